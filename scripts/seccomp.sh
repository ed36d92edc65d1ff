#!/usr/bin/env bash
# Makes deploy/seccomp/fsu-mock.json: the system calls that the program made while the integration tests and those of the control server
# ran. Every start of the program is traced. Takes several minutes, so it is not a part of scripts/test.sh; the test `seccomp` proves the
# profile there.
#   scripts/seccomp.sh [--check]     --check: only tells calls that the profile lacks
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

profile=deploy/seccomp/fsu-mock.json
check=false
[ "${1:-}" != --check ] || check=true
need_build_tools
need strace strace "it traces system calls"
need python3 python3 "it writes the profile"

say "build"
tests=$(cargo test --workspace --all-features --no-run --test integration --test control --message-format=json 2>/dev/null |
    python3 -c 'import json, sys
for line in sys.stdin:
    one = json.loads(line)
    if one.get("reason") == "compiler-artifact" and one.get("executable") and one["target"]["name"] in ("integration", "control"):
        print(one["executable"])')
program=$(target_dir)/debug/fsu-mock
traces=$(mktemp -d)
trap '[ ! -e "$program.traced" ] || mv -f "$program.traced" "$program"; rm -rf "$traces"' EXIT
mv "$program" "$program.traced"
# -D: the program keeps its number, so that tests can send it signals.
printf '#!/bin/sh\nexec strace -D -f -qq -o "%s/$$" "%s" "$@"\n' "$traces" "$program.traced" >"$program"
chmod +x "$program"

say "tests, traced"
for test in $tests; do
    # Tracing is slow: a test may fail for its time, and its calls count all the same. Those that need privileges are traced, too, and
    # their calls are left out below.
    (cd src/cli && "$test" --test-threads 2 --skip one_socket --skip xdp --skip spaces --skip seccomp >"$traces.log" 2>&1) ||
        tail -n 3 "$traces.log"
done
rm -f "$traces.log"
mv -f "$program.traced" "$program"

say "profile"
cat "$traces"/* | python3 -c '
import json, re, sys
check, path = sys.argv[1] == "true", sys.argv[2]
call = re.compile(r"^\d+\s+(?:<\.\.\. )?([a-z0-9_]+)(?:\(| resumed)")
made = {match.group(1) for match in map(call.match, sys.stdin) if match}
# Of other C libraries and kernels, for the same functions; of a signal that interrupts; of a panic.
made |= {"clone", "fstat", "lstat", "stat", "newfstatat", "pselect6", "epoll_pwait2", "rt_sigreturn", "restart_syscall", "clock_gettime",
         "gettimeofday", "tgkill", "getrlimit", "setrlimit", "dup", "exit", "exit_group"}
# What --one-socket and --driver xdp need, and nothing else does.
made -= {"bpf", "setns", "unshare", "ptrace", "kill"}
if check:
    there = set(json.load(open(path))["syscalls"][0]["names"])
    print("lacking:", " ".join(sorted(made - there)) or "none")
    sys.exit(1 if made - there else 0)
text = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": sorted(made), "action": "SCMP_ACT_ALLOW"}]}
open(path, "w").write(json.dumps(text, indent=2) + "\n")
print(len(made), "system calls")
' "$check" "$profile"
