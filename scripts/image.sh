#!/usr/bin/env bash
# Makes an OCI image layout of a program, without an engine, and checks it by running its root file system under chroot.
#   scripts/image.sh --bin FILE [--out DIR]     FILE: the program, stripped; DIR: target/package/image by default
# The check needs root; without it only the layout is checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

program=
out=target/package/image
while [ $# -gt 0 ]; do
    case $1 in
        --bin) program=${2:?} ;;
        --out) out=${2:?} ;;
        *) fail "unknown option $1 (--bin FILE, --out DIR)" ;;
    esac
    shift 2
done
[ -x "$program" ] || fail "--bin FILE: the program"
need python3 python3 "it assembles the layout"
need ldd libc-bin "it lists the libraries of the program"

rm -rf "$out"
mkdir -p "$out/rootfs/usr/bin" "$out/rootfs/var/lib/fsu-mock" "$out/rootfs/tmp" "$out/rootfs/proc" "$out/rootfs/sys" "$out/rootfs/dev" "$out/rootfs/etc/fsu-mock" "$out/rootfs/etc/ssl/certs"
install -m 755 "$program" "$out/rootfs/usr/bin/fsu-mock"
# What the loader would load, the loader itself included; vdso has no file.
ldd "$program" | sed -n 's/^.*=> \(\/[^ ]*\) .*$/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*$/\1/p' | sort -u | while read -r library; do
    install -D -m 755 "$(readlink -f "$library")" "$out/rootfs$library"
done
# The CAs that `connect.tls` trusts without `ca`.
if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
    install -m 644 /etc/ssl/certs/ca-certificates.crt "$out/rootfs/etc/ssl/certs/ca-certificates.crt"
fi
case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) architecture=$(uname -m) ;;
esac
version=$("$program" --version | sed 's/.* //')
python3 deploy/image/layout.py "$out/rootfs" "$out/layout" "$version" "$architecture"

if [ "$(id -u)" -ne 0 ]; then
    echo "the image was not run: that needs root"
    exit 0
fi
unshare --mount --net --pid --fork deploy/image/inside.sh "$(readlink -f "$out/rootfs")"
