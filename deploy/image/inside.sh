#!/usr/bin/env bash
# Serves and asks with the root file system of an image, as its user, without capabilities, read-only, in a network of its own.
# Called by scripts/image.sh within new namespaces for mounts, network and processes.
set -euo pipefail
root=$1
writable=$root/var/lib/fsu-mock
user=65532
chroot=$(command -v chroot)

ip link set lo up
mount --bind "$root" "$root"
mount -t tmpfs -o mode=0700,uid=$user,gid=$user tmpfs "$writable"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -o remount,bind,ro "$root"

# inside ARGUMENT...: the image's program. A root that enters a chroot has lost its capabilities once it is another user.
inside() {
    exec env -i HOME=/ PATH=/usr/bin "$chroot" --userspec=$user:$user "$root" /usr/bin/fsu-mock "$@"
}

(inside --version)
begin=$(date +%s%N)
inside run --control off --log-dir /var/lib/fsu-mock/logs --stats /var/lib/fsu-mock/stats.json >"$writable/out" 2>&1 &
job=$!
until grep -q '^ready' "$writable/out"; do
    kill -0 "$job" 2>/dev/null || { cat "$writable/out"; exit 1; }
    sleep 0.01
done
(inside ask --fsu yaao --cmd 01) >"$writable/answer" || { cat "$writable/answer"; exit 1; }
printf 'the first verified reply came %d ms after the start\n' $((($(date +%s%N) - begin) / 1000000))
if touch "$root/written" 2>/dev/null; then
    echo "the root file system can be written"
    exit 1
fi
kill -TERM "$job"
wait "$job"
grep -q '"answered": *1' "$writable/stats.json" || { echo "the statistics do not have the reply"; exit 1; }
echo "served, asked and stopped as user $user on a read-only root file system"
