#!/usr/bin/env bash
# Lints the Helm chart with Helm itself, renders it with several values, and validates the result against the published schemas of
# Kubernetes; the same for the plain manifests, which --write makes. Works from any directory; needs Python 3 and its package registry, and says so where one of them is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# Helm's own library, and the schemas.
packages=(helm-python-sdk==0.2.2 kubernetes-validate==1.37.0)
venv=target/charts

need python3 python3 "it runs Helm's library"
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import helm_python, kubernetes_validate' 2>/dev/null; then
    rm -rf "$venv"
    mkdir -p target
    python3 -m venv "$venv" >/dev/null 2>&1 || { apt_install python3-venv && python3 -m venv "$venv"; } ||
        fail "python3-venv is missing: apt-get install python3-venv, as root"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" ||
        fail "${packages[*]} cannot be installed with pip"
fi
"$venv/bin/python" deploy/helm/check.py "$@"
