#!/usr/bin/env bash
# Makes everything that a release has, in target/package/out: .deb, .rpm, OCI image, an archive of the program, its debug information,
# and SHA-256 sums. Works from any directory.
#   scripts/package.sh [--bin FILE]     FILE: a release build that is there already, with its debug information
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

DEB_BYTES_MAX=8000000
tools=target/tools
program=
while [ $# -gt 0 ]; do
    case $1 in
        --bin) program=${2:?} ;;
        *) fail "unknown option $1 (--bin FILE)" ;;
    esac
    shift 2
done

need_build_tools
need objcopy binutils "it takes the debug information out of the program"
need dpkg-shlibdeps dpkg-dev "it finds the packages that the program needs"
for tool in cargo-deb@3 cargo-generate-rpm@0; do
    have "${tool%@*}" || [ -x "$tools/bin/${tool%@*}" ] || cargo install --quiet --locked --root "$tools" "$tool"
done
PATH=$PWD/$tools/bin:$PATH

if [ -z "$program" ]; then
    say "program"
    cargo build --release --locked
    program=$(target_dir)/release/fsu-mock
fi

say "files"
root=target/package/root
out=target/package/out
rm -rf "$root" "$out"
mkdir -p "$root/usr/bin" "$root/usr/share/man/man1" "$out" \
    "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" "$root/usr/share/fish/vendor_completions.d"
version=$("$program" --version | sed 's/.* //')
debug=$out/fsu-mock-$version-$(uname -m).debug
objcopy --only-keep-debug --compress-debug-sections "$program" "$debug"
objcopy --strip-all --add-gnu-debuglink="$debug" "$program" "$root/usr/bin/fsu-mock"
chmod 755 "$root/usr/bin/fsu-mock"
program=$root/usr/bin/fsu-mock
"$program" man "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
"$program" completions bash >"$root/usr/share/bash-completion/completions/fsu-mock"
"$program" completions zsh >"$root/usr/share/zsh/vendor-completions/_fsu-mock"
"$program" completions fish >"$root/usr/share/fish/vendor_completions.d/fsu-mock.fish"

say "packages"
cargo deb --quiet --package fsu-mock --no-build --no-strip --output "$PWD/$out/"
cargo generate-rpm --package src/cli --auto-req disabled --output "$out/"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$root" -cf - usr | gzip -9n >"$out/fsu-mock-$version-$(uname -m).tar.gz"

say "image"
scripts/image.sh --bin "$program"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C target/package/image/layout -cf "$out/fsu-mock-$version-image.tar" .

say "sums"
(cd "$out" && sha256sum -- * >SHA256SUMS && sha256sum --quiet --check SHA256SUMS && ls -l)
printf '\nprogram: %s bytes\n' "$(stat -c %s "$program")"
for deb in "$out"/*.deb; do
    [ "$(stat -c %s "$deb")" -le $DEB_BYTES_MAX ] || fail "$deb has more than $DEB_BYTES_MAX bytes"
done
