#!/usr/bin/env bash
# Builds the program, serves the embedded fleet on 127.0.0.1, sends it one request over UDP and one over TCP, and shows
# the decoded exchanges, the device log and the final counts. Needs Rust and bash; changes nothing outside target/ and a
# temporary directory below ${TMPDIR:-/tmp}, which it removes at the end. Works from any directory, as any user.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# The reference exchange of the B interface: set the clock of the door controller behind FSU "20250125".
readonly UDP_PORT=21001 UDP_FSU=bangsun_old
readonly UDP_REQUEST=FF3230323530313235000000000000000000000000000000000000000001012700EE010022007E01008B10260112011730030000000000000000000000000000000000000020010D31FE
# The same controller behind a TCP port: read its state. No outer frame here.
readonly TCP_PORT=21001 TCP_FSU=bangsun_tcp
readonly TCP_REQUEST=7E6744811000000000000000000000000000000000000000000000000000003C010D
readonly READY_SECONDS=30 REPLY_SECONDS=5 STOP_SECONDS=15

reply=
work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-mock-demo.XXXXXX")
mock=

# Stops what was started, by its id, however the script ends.
finish() {
    if [ -n "$mock" ] && kill -0 "$mock" 2>/dev/null; then
        kill -TERM "$mock" 2>/dev/null || true
        wait_gone || kill -KILL "$mock" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# wait_gone: until the mock has ended; false when it takes too long.
wait_gone() {
    local tries=$((STOP_SECONDS * 10))
    while kill -0 "$mock" 2>/dev/null; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.1
    done
}

# hex_file HEX FILE: the bytes as a file, so that a datagram is sent with one write.
hex_file() {
    local hex=$1 at
    for ((at = 0; at < ${#hex}; at += 2)); do
        printf '%b' "\\x${hex:at:2}"
    done >"$2"
}

# ask udp|tcp PORT HEX: the reply as hex digits; empty if none arrived in time.
ask() {
    hex_file "$3" "$work/request"
    exec 3<>"/dev/$1/127.0.0.1/$2"
    dd if="$work/request" bs=65536 count=1 status=none >&3
    timeout "$REPLY_SECONDS" dd bs=65536 count=1 status=none <&3 | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F
    exec 3<&- 3>&-
}

# exchange udp|tcp PORT FSU HEX: sends it and stores the reply in $reply.
exchange() {
    printf 'sent to %s, %s 127.0.0.1:%s\n  %s\n' "$3" "$1" "$2" "$4"
    reply=$(ask "$1" "$2" "$4")
    [ -n "$reply" ] || fail "no reply from $3 on $1 port $2 within $REPLY_SECONDS s"
    printf 'received\n  %s\n' "$reply"
}

say "what the machine needs"
need_build_tools
raise_open_files
printf 'kernel %s, open files %s, locked memory %s KiB\n' "$(uname -r)" "$(ulimit -n)" "$(ulimit -l)"
echo "the program tests io_uring and both limits when it starts; it says what it does without them, and how to change that."

say "build (the first time takes a few minutes)"
cargo build --release --locked --quiet
program=$(target_dir)/release/fsu-mock
"$program" --version

say "serve the embedded fleet: fsu-mock run"
"$program" run --log-dir "$work/logs" --stats "$work/stats.json" >"$work/out" 2>"$work/err" &
mock=$!
tries=$((READY_SECONDS * 10))
until grep -q '^ready' "$work/out"; do
    if ! kill -0 "$mock" 2>/dev/null; then
        status=0
        wait "$mock" || status=$?
        mock=
        cat "$work/out" "$work/err" >&2
        fail "the program ended with exit code $status (3: a port is taken, 4: the machine lacks something)"
    fi
    [ $((tries -= 1)) -gt 0 ] || fail "not ready within $READY_SECONDS s"
    sleep 0.1
done
cat "$work/out"
shown=$(wc -l <"$work/out")

say "ask over UDP: set the clock (the device's frame as through data of an outer frame)"
exchange udp "$UDP_PORT" "$UDP_FSU" "$UDP_REQUEST"

say "the same exchange decoded: fsu-mock explain"
"$program" explain --fsu "$UDP_FSU" "$UDP_REQUEST" | tee "$work/explained"
grep -qx "reply: $reply" "$work/explained" || fail "explain says another reply than the one that came"
echo "which is what was received."

say "ask over TCP: read the state (the same device, no outer frame)"
exchange tcp "$TCP_PORT" "$TCP_FSU" "$TCP_REQUEST"

say "stop it: SIGTERM"
kill -TERM "$mock"
wait_gone || fail "still there $STOP_SECONDS s after SIGTERM"
status=0
wait "$mock" || status=$?
mock=
tail -n +$((shown + 1)) "$work/out"
printf 'exit code %s\n' "$status"
[ "$status" -eq 0 ] || { cat "$work/err" >&2; fail "it should have been 0"; }

say "its device log of $UDP_FSU"
cat "$work"/logs/devices/"$UDP_FSU"_udp_*.log

say "next"
cat <<'END'
  fsu-mock init my-fleet                    the embedded configuration as files, for editing
  fsu-mock check my-fleet                   every error in it, with file, line and column
  fsu-mock run --config my-fleet            serve it
  docs/describe/add-a-vendor.md                      a vendor of your own, with JSON only
END
printf 'the program: %s\n' "$program"
