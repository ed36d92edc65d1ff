# shellcheck shell=bash
# Functions shared by the scripts: messages, and tools that a fresh machine may lack. Sourced, not run.

# fail TEXT...: prints the reason and exits.
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# say TEXT...: prints a heading.
say() {
    printf '\n== %s\n' "$*"
}

# have COMMAND: true if the command exists.
have() {
    command -v "$1" >/dev/null 2>&1
}

# apt_install PACKAGE: installs it with apt; false if that is not allowed or fails.
apt_install() {
    have apt-get && [ "$(id -u)" -eq 0 ] || return 1
    printf 'installing %s\n' "$1"
    export DEBIAN_FRONTEND=noninteractive
    timeout 300 apt-get install -qq -y --no-install-recommends "$1" >/dev/null 2>&1 && return 0
    timeout 120 apt-get update -qq >/dev/null 2>&1
    timeout 300 apt-get install -qq -y --no-install-recommends "$1" >/dev/null 2>&1
}

# need COMMAND PACKAGE WHY: installs the command if it is missing; exits if that fails.
need() {
    have "$1" && return 0
    apt_install "$2" && have "$1" && return 0
    fail "$1 is missing ($3): apt-get install $2, as root"
}

# need_build_tools: what a build needs besides the crates.
need_build_tools() {
    if ! have cargo && [ -r "$HOME/.cargo/env" ]; then
        # shellcheck source=/dev/null
        . "$HOME/.cargo/env"
    fi
    have cargo || fail "cargo is missing: install Rust with https://rustup.rs, then open a new shell"
    need cc build-essential "a C compiler builds a part of glommio"
    need git git "the build of glommio calls it"
}

# target_dir: where cargo builds; target/ unless its configuration or the environment says otherwise.
target_dir() {
    cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# raise_open_files: raises the soft limit of open files to the hard one; each FSU takes a socket.
raise_open_files() {
    ulimit -S -n "$(ulimit -H -n)" 2>/dev/null || true
}

# allowed_processors: the processors this process may run on, one per line.
allowed_processors() {
    local part from to
    part=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
    for part in ${part//,/ }; do
        from=${part%-*} to=${part#*-}
        seq "$from" "$to"
    done
}

# choose_processors: sets server_cpu and generator_cpu, where not given, to the first and the last processor allowed.
choose_processors() {
    local allowed
    allowed=$(allowed_processors)
    server_cpu=${server_cpu:-$(sed -n 1p <<<"$allowed")}
    generator_cpu=${generator_cpu:-$(sed -n '$p' <<<"$allowed")}
}
