#!/usr/bin/env python3
"""Assembles an OCI image layout from a root file system, without an engine. Called by scripts/image.sh.

The same root file system gives the same image: times are 0, owners are fixed, names are sorted.
"""
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile

USER = 65532
WRITABLE = "var/lib/fsu-mock"


def layer(root):
    """The root file system as a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            one = tar.gettarinfo(path, arcname=name)
            one.mtime, one.uname, one.gname = 0, "", ""
            one.uid = one.gid = USER if name == WRITABLE else 0
            with (path.open("rb") if one.isreg() else io.BytesIO()) as content:
                tar.addfile(one, content if one.isreg() else None)
    return out.getvalue()


def blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    path = layout / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def to_bytes(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def main(root, layout, version, architecture):
    root, layout = pathlib.Path(root), pathlib.Path(layout)
    tar = layer(root)
    # Level 9 and no name or time: the same bytes each time.
    packed = gzip.compress(tar, compresslevel=9, mtime=0)
    one = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **blob(layout, packed)}
    labels = {
        "org.opencontainers.image.title": "fsu-mock",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
    }
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Entrypoint": ["/usr/bin/fsu-mock"],
            "Cmd": ["run"],
            "WorkingDir": f"/{WRITABLE}",
            "Volumes": {f"/{WRITABLE}": {}},
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
        "history": [{"created_by": "scripts/image.sh"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(layout, to_bytes(config))},
        "layers": [one],
        "annotations": labels,
    }
    entry = {"mediaType": manifest["mediaType"], **blob(layout, to_bytes(manifest))}
    entry["annotations"] = {"org.opencontainers.image.ref.name": version}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    (layout / "index.json").write_bytes(to_bytes(index))
    (layout / "oci-layout").write_bytes(to_bytes({"imageLayoutVersion": "1.0.0"}))
    check(layout)
    total = sum(path.stat().st_size for path in layout.rglob("*") if path.is_file())
    print(f"image: {total} bytes, {len(tar)} unpacked, {entry['digest']}")
    return total


def check(layout):
    """Every digest and size that the layout names is that of a blob, and nothing else is there."""
    named = set()

    def read(one):
        data = (layout / "blobs" / "sha256" / one["digest"].split(":")[1]).read_bytes()
        assert len(data) == one["size"] and hashlib.sha256(data).hexdigest() == one["digest"].split(":")[1]
        named.add(one["digest"].split(":")[1])
        return data

    for entry in json.loads((layout / "index.json").read_text())["manifests"]:
        manifest = json.loads(read(entry))
        config = json.loads(read(manifest["config"]))
        layers = [gzip.decompress(read(one)) for one in manifest["layers"]]
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers]
        assert config["config"]["User"] not in ("", "0", "root")
    assert named == {path.name for path in (layout / "blobs" / "sha256").iterdir()}


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:]) <= 15_000_000 else "the image has more than 15 MB")
