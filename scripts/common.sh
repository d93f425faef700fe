# shellcheck shell=bash
# What the scripts share. Sourced, never run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # used by those that source this
jobs=$(nproc)

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# usage STATUS - prints the script's own head comment and ends.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit "$1"
}

# configure DIR ARGUMENTS… - prepares a build tree, with Ninja where a new one can have it.
configure() {
    local dir=$1
    shift
    local generator=()
    if [[ ! -e $dir/CMakeCache.txt ]] && command -v ninja >/dev/null; then
        generator=(-G Ninja)
    fi
    cmake -S "$root" -B "$dir" "${generator[@]}" "$@"
}

# integration_tests ARGUMENTS… - pytest over tests/integration.
integration_tests() {
    pytest_run "$@" "$root/tests/integration"
}

# pytest_run ARGUMENTS… - pytest, by a Python that has it.
pytest_run() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import pytest' 2>/dev/null; then
            PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -p no:cacheprovider "$@"
            return
        fi
    done
    die "no pytest: run scripts/deps test"
}
