#!/usr/bin/env bash
# Installs the .deb in a fresh Debian, starts what its unit starts, asks it, and stops it. As root; takes about a minute, so it is not a
# part of scripts/test.sh.
#   scripts/test-package.sh [--deb FILE] [--base DIR] [--suite NAME]
# FILE: target/package/out/*.deb by default. DIR: a root file system that is there already; it is copied. NAME: of Debian (trixie).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

READY_MS_MAX=10000
deb=
base=
suite=trixie
while [ $# -gt 0 ]; do
    case $1 in
        --deb) deb=${2:?} ;;
        --base) base=${2:?} ;;
        --suite) suite=${2:?} ;;
        *) fail "unknown option $1 (--deb FILE, --base DIR, --suite NAME)" ;;
    esac
    shift 2
done
[ "$(id -u)" -eq 0 ] || fail "root is needed for a root file system"
if [ -z "$deb" ]; then
    debs=(target/package/out/*.deb)
    deb=${debs[0]}
fi
[ -r "$deb" ] || fail "no .deb: scripts/package.sh makes it"

work=$(mktemp -d)
root=$work/root
trap 'umount -R "$root/proc" 2>/dev/null || true; rm -rf "$work"' EXIT
if [ -n "$base" ]; then
    cp -a "$base" "$root"
else
    need debootstrap debootstrap "it makes the root file system"
    say "a fresh Debian ($suite)"
    debootstrap --variant=minbase "$suite" "$root" >"$work/debootstrap.log" || { tail "$work/debootstrap.log"; exit 1; }
fi
if have systemd-analyze; then
    say "the unit"
    mkdir "$work/unpacked"
    dpkg-deb -x "$deb" "$work/unpacked"
    # The program has to be there for the check; where it is not, its path is made one that is.
    for unit in "$work"/unpacked/usr/lib/systemd/system/*@.service; do
        checked=$work/$(basename "${unit%@.service}")@example.service
        sed "s|/usr/bin/fsu-mock|$work/unpacked/usr/bin/fsu-mock|; /^Documentation=/d" "$unit" >"$checked"
        systemd-analyze verify --man=no "$checked"
        systemd-analyze security --offline=true "$checked" | tail -n 1
    done
fi

cp "$deb" "$root/fsu-mock.deb"
unshare --mount --net --pid --fork deploy/systemd/walk.sh "$root" "$READY_MS_MAX"
