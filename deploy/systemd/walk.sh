#!/usr/bin/env bash
# Installs /fsu-mock.deb in a root file system, starts and stops the service as its unit says, and asks it. Called by
# scripts/test-package.sh within new namespaces for mounts, network and processes.
set -euo pipefail
root=$1
ready_ms_max=$2
ip link set lo up
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
within() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}
unit=$root/usr/lib/systemd/system/fsu-mock@.service
setting() {
    sed -n "s/^$1=//p" "$unit" | sed "s/%i/example/g"
}

begin=$(date +%s%N)
# apt itself where it is; it has nothing to fetch, as a minimal Debian has what the program needs.
if within sh -c 'command -v apt-get' >/dev/null; then
    within apt-get install -y --no-install-recommends /fsu-mock.deb >"$root/install.log" 2>&1 || { cat "$root/install.log"; exit 1; }
else
    within dpkg -i /fsu-mock.deb
fi
# What systemd would do for a dynamic user.
user=61184
for kind in "var/log $(setting LogsDirectory)" "var/lib $(setting StateDirectory)"; do
    read -r under name <<<"$kind"
    mkdir -p "$root/$under/$name"
    chown $user:$user "$root/$under/$name"
done
# shellcheck disable=SC2016 # the unit's own variable
read -ra command <<<"$(setting ExecStart | sed 's/ \$FSU_MOCK_ARGS//')"
(
    exec env -i PATH=/usr/sbin:/usr/bin chroot --userspec=$user:$user "$root" "${command[@]}"
) >"$root/service.log" 2>&1 &
job=$!
until grep -q '^ready' "$root/service.log"; do
    kill -0 "$job" 2>/dev/null || { cat "$root/service.log"; exit 1; }
    sleep 0.01
done
within fsu-mock ask --config /etc/fsu-mock/example --fsu site --cmd 01
ms=$((($(date +%s%N) - begin) / 1000000))
printf 'from the installation to the first verified reply: %d ms\n' "$ms"
[ "$ms" -le "$ready_ms_max" ] || { echo "more than $ready_ms_max ms"; exit 1; }

kill -HUP "$job"
until grep -q 'reload' "$root/service.log" "$root"/var/log/fsu-mock/example/system_*.log; do
    kill -0 "$job" || exit 1
    sleep 0.01
done
kill -TERM "$job"
wait "$job"
grep -q '"answered": *1' "$root/var/lib/fsu-mock/example/stats.json"
for page in fsu-mock fsu-mock-run fsu-mock-merge; do
    gzip -t "$root/usr/share/man/man1/$page.1.gz"
done
within dpkg --purge fsu-mock >/dev/null
[ ! -e "$root/usr/bin/fsu-mock" ] && [ ! -e "$root/etc/fsu-mock/example/sys_config.json" ]
echo "installed, served, asked, reloaded, stopped and purged"
