#!/usr/bin/env bash
# Makes the pictures of the documents (docs/pictures/) by running the program:
#   flood.svg            the live screen of `flood`, as a terminal shows it
#   report.png           the first part of flood's HTML report
#   dashboard.png        the page of `run`, of a fleet under load
#   outer-frame.*.svg    the B interface's outer frame, in each language
#
#   scripts/picture.sh [--bin FILE] [--seconds S] [--only NAME]
#
# Needs Python 3; for report.png also chromium, for dashboard.png chromium-driver besides. Serves on 127.0.0.1, and stops what it started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

readonly OUT=docs/pictures COLUMNS_SHOWN=100 ROWS_SHOWN=34 RATE=1000 READY_SECONDS=30 REPORT_SIZE=1000,1010 PAGE_SIZE=1280x860 PAGE_FSUS=3000
bin='' seconds=60 only=''
while [ $# -gt 0 ]; do
    case $1 in
        --bin) bin=$2 ;;
        --seconds) seconds=$2 ;;
        --only) only=$2 ;;
        *) sed -n '2,11s/^# \{0,1\}//p' "$0" && exit 2 ;;
    esac
    shift 2
done

work=$(mktemp -d "${TMPDIR:-/tmp}/fsu-mock-picture.XXXXXX")
mock=
finish() {
    [ -z "$mock" ] || kill -TERM "$mock" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# wants NAME: true if this picture is wanted.
wants() {
    [ -z "$only" ] || [ "$only" = "$1" ]
}

# serve: a mock of the embedded configuration, until `ready`.
serve() {
    # By a short name: the page shows it.
    env -C "$work" "$bin" run --config my-fleet --performance --log-dir "$work/logs" --stats "$work/stats.json" \
        >"$work/mock.log" 2>&1 &
    mock=$!
    local tries=$((READY_SECONDS * 10))
    until grep -qs "^ready" "$work/mock.log"; do
        [ $((tries -= 1)) -gt 0 ] || fail "the mock is not ready: $(tail -n 3 "$work/mock.log")"
        sleep 0.1
    done
}

# end: the mock ends and writes its counts.
end() {
    kill -TERM "$mock"
    wait "$mock" || true
    mock=
}

flood() {
    env -C "$work" "$bin" flood --config my-fleet --rate "$RATE" "$@"
}

need python3 python3 "it draws the pictures"
mkdir -p "$OUT"
if wants outer-frame; then
    for language in en zh; do
        python3 scripts/picture.py frame "$OUT/outer-frame.$language.svg" "scripts/pictures/outer-frame.$language.json"
    done
fi
if wants flood || wants report || wants dashboard; then
    if [ -z "$bin" ]; then
        need_build_tools
        cargo build --release --locked
        bin=$(target_dir)/release/fsu-mock
    fi
    bin=$(realpath "$bin")
    "$bin" init "$work/my-fleet" >/dev/null
fi
if wants flood; then
    serve
    python3 scripts/picture.py shot "$OUT/flood.svg" "$COLUMNS_SHOWN" "$ROWS_SHOWN" "$seconds" \
        "$bin" flood --config "$work/my-fleet" --rate "$RATE" --seconds $((seconds + 30))
    end
fi
if wants report; then
    have chromium || apt_install chromium || fail "chromium is missing (it draws the report): apt-get install chromium, as root"
    serve
    flood --seconds "$((seconds / 2))" --json "$work/report.json" --quiet >"$work/table.txt"
    end
    flood_from=("$bin" flood --from "$work/report.json" --mock-stats "$work/stats.json" --html "$work/report.html" --quiet)
    "${flood_from[@]}" >>"$work/table.txt" || fail "flood has failed: $(tail -n 3 "$work/table.txt")"
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$REPORT_SIZE" \
        --screenshot="$PWD/$OUT/report.png" "file://$work/report.html" >"$work/chromium.log" 2>&1 \
        || fail "chromium has failed: $(tail -n 3 "$work/chromium.log")"
fi
if wants dashboard; then
    have chromium || apt_install chromium || fail "chromium is missing (it draws the page): apt-get install chromium, as root"
    have chromedriver || apt_install chromium-driver || fail "chromedriver is missing: apt-get install chromium-driver, as root"
    python3 - "$work/my-fleet/sys_config.json" "$PAGE_FSUS" <<'FLEET'
import json, sys
path, count = sys.argv[1], int(sys.argv[2])
config = json.load(open(path))
one = next(fsu for fsu in config["fsu_list"] if fsu["protocol_type"] == "udp" and fsu.get("fsuid"))
one.update(fsuname="site", port=21001, count=count)
config["fsu_list"] = [one]
json.dump(config, open(path, "w"))
FLEET
    serve
    page=$(sed -n 's/^control: //p' "$work/mock.log")
    flood --seconds "$((seconds + 30))" --quiet >"$work/table.txt" 2>&1 &
    load=$!
    "$bin" ctl --at "$page" offline 'site_*13?' --for 3600s >/dev/null
    python3 scripts/picture.py page "$OUT/dashboard.png" "$PAGE_SIZE" "$seconds" "$page"
    kill -INT "$load" 2>/dev/null || true
    wait "$load" || true
    end
fi
ls -l "$OUT"
