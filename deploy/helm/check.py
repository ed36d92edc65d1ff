#!/usr/bin/env python3
"""Checks the chart: lints it, renders it with several values, and validates what comes out against the published schemas.

The plain manifests of deploy/kubernetes are the chart with fixed values: they have to be what it renders, and are validated too.

Called by scripts/charts.sh, which installs what it needs. With --write it writes the plain manifests.
"""
import pathlib
import sys

import helm_python
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent
CHART = HERE / "fsu-mock"
PLAIN = HERE.parent / "kubernetes"
VERSIONS = ["1.28.0", "1.37.0"]

CASES = {
    "as it is": {},
    "everything": {
        "parts": 3,
        "config": {"files": {"sys_config.json": "{}", "door/rules.json": "{}"}},
        "control": {"tokenSecret": "token"},
        "flood": {"enabled": True},
        "results": {"claim": "results"},
        "merge": {"enabled": True},
        "serviceMonitor": {"enabled": True},
        "seccomp": {"type": "Localhost"},
        "run": {
            "hostNetwork": False,
            "services": {"enabled": True, "ports": [{"name": "door", "port": 22001, "protocol": "UDP"}]},
            "args": ["--performance"],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "load", "operator": "Exists"}],
        },
    },
    "a volume": {"config": {"claim": "fleet"}, "run": {"enabled": True}},
    "a map": {"config": {"configMap": "fleet"}},
}

# What must be refused, and why.
WRONG = {
    "merge without a volume": ({"merge": {"enabled": True}}, "results.claim"),
    "merge of nothing": (
        {"merge": {"enabled": True}, "results": {"claim": "results"}, "run": {"enabled": False}},
        "nothing to merge",
    ),
    "metrics without a server": ({"serviceMonitor": {"enabled": True}}, "control.tokenSecret"),
    "no parts": ({"parts": 0}, "parts"),
    "a misspelt key": ({"partz": 2}, "partz"),
}


# Each file of deploy/kubernetes: the values, and the kinds of objects in it.
PLAIN_FILES = {
    "run.yaml": (
        {
            "parts": 3,
            "config": {"configMap": "fleet-config"},
            "control": {"tokenSecret": "fleet-token"},
            "results": {"claim": "fleet-results"},
        },
        {"StatefulSet", "Service"},
    ),
    "flood.yaml": (
        {
            "parts": 3,
            "config": {"configMap": "fleet-config"},
            "flood": {"enabled": True},
            "results": {"claim": "fleet-results"},
            "run": {"enabled": False},
        },
        {"Job"},
    ),
    "merge.yaml": (
        {
            "parts": 3,
            "config": {"configMap": "fleet-config"},
            "flood": {"enabled": True},
            "merge": {"enabled": True},
            "results": {"claim": "fleet-results"},
        },
        {"Job"},
    ),
}
PLAIN_HEAD = """# {what}, of three parts. The chart makes the same with other values (docs/use/kubernetes.md);
# scripts/charts.sh --write makes this file from it.
# Needs the ConfigMap fleet-config, the Secret fleet-token (key: token) and the volume claim fleet-results where it names them.
"""
PLAIN_WHAT = {"run.yaml": "A fleet", "flood.yaml": "A load", "merge.yaml": "One result of what the parts left"}


def plain(name):
    """The text of a plain manifest."""
    values, kinds = PLAIN_FILES[name]
    documents = [one for one in rendered(values) if one["kind"] in kinds]
    if name in ("flood.yaml", "merge.yaml"):
        documents = [one for one in documents if ("-merge-" in one["metadata"]["name"]) == (name == "merge.yaml")]
    for one in documents:
        # There is no release of Helm.
        labels = one["metadata"].get("labels", {})
        labels.pop("helm.sh/chart", None)
    documents.sort(key=lambda one: (one["kind"] != "Service", one["metadata"]["name"]))
    return PLAIN_HEAD.format(what=PLAIN_WHAT[name]) + yaml.safe_dump_all(documents, sort_keys=False, width=120)


def check_plain(write):
    failures = 0
    for name in PLAIN_FILES:
        text, path = plain(name), PLAIN / name
        if write:
            path.write_text(text)
        if not path.exists() or path.read_text() != text:
            print(f"{path.name}: not what the chart renders (scripts/charts.sh --write)")
            failures += 1
            continue
        documents = [one for one in yaml.safe_load_all(text) if one]
        for one in documents:
            for version in VERSIONS:
                kubernetes_validate.validate(one, version, strict=True)
        print(f"{path.name}: {len(documents)} objects are right for {', '.join(VERSIONS)}")
    return failures


def rendered(values):
    with helm_python.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values)
        texts = chart.render(values, name="fleet")
    documents = []
    texts = {name: text for name, text in texts.items() if name.endswith(".yaml")}
    for text in texts.values():
        documents += [one for one in yaml.safe_load_all(text) if one]
    return documents


def facts(documents, values):
    """What a pod must have, whatever the values."""
    parts = values.get("parts", 2)
    for one in documents:
        pod = one.get("spec", {}).get("template", {}).get("spec") if one["kind"] in ("StatefulSet", "Job") else None
        if pod is None:
            continue
        container = pod["containers"][0]
        security = container["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True, one["metadata"]["name"]
        assert security["readOnlyRootFilesystem"] is True and security["capabilities"]["drop"] == ["ALL"]
        assert all(isinstance(argument, str) for argument in container["args"]), container["args"]
        if "-merge-" in one["metadata"]["name"]:
            what = one["metadata"]["name"].rsplit("-", 1)[1]
            assert container["args"][1:] == [f"/results/merged-{what}"] + [f"/results/{what}-{part}" for part in range(parts)]
            continue
        number = container["args"][container["args"].index("--partition") + 1]
        assert number.endswith(f"/{parts}") and number.startswith("$("), number
    states = [one for one in documents if one["kind"] == "StatefulSet"]
    assert len(states) == 1 and states[0]["spec"]["replicas"] == parts


def main():
    failures = 0
    errors = helm_python.lint(str(CHART), quiet=True)["errors"]
    print(f"lint: {errors or 'no errors'}")
    failures += len(errors)
    for name, values in CASES.items():
        documents = rendered(values)
        facts(documents, values)
        for one in documents:
            if one["kind"] == "ServiceMonitor":
                # Not one of Kubernetes' own; there is no published schema in its set.
                continue
            for version in VERSIONS:
                kubernetes_validate.validate(one, version, strict=True)
        print(f"{name}: {len(documents)} objects are right for {', '.join(VERSIONS)}")
    for name, (values, why) in WRONG.items():
        try:
            rendered(values)
        except Exception as error:  # noqa: BLE001: whatever refuses it has to say why
            if why in str(error):
                print(f"{name}: refused")
                continue
            print(f"{name}: refused for another reason: {error}")
        else:
            print(f"{name}: not refused")
        failures += 1
    failures += check_plain("--write" in sys.argv[1:])
    return 1 if failures else 0


sys.exit(main())
