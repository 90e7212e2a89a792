#!/usr/bin/env bash
# clang-tidy 14 with the .clang-tidy of the repository: every source that a configured build compiles, or those whose
# path matches a given pattern. About a quarter of a minute of one core a source. Fails on any warning.
#
# usage: tests/tidy.sh BUILD [PATTERN...]      for example tests/tidy.sh build/release '/sim/sched/'
#        JOBS=N in the environment: so many at a time; otherwise as many as there are cores
set -euo pipefail
cd "$(dirname "$0")/.."
command -v run-clang-tidy >/dev/null || { echo "tidy: run-clang-tidy is missing; it comes with clang-tidy" >&2; exit 3; }
build=$1
shift
[ $# -gt 0 ] || set -- '/(sim|models|validate|tests)/'
found=$(run-clang-tidy -quiet -j "${JOBS:-$(nproc)}" -p "$build" "$@" 2>/dev/null | grep -E '(warning|error): ' | sort -u) || true
[ -z "$found" ] && exit 0
sed "s#$PWD/##" <<<"$found"
exit 1
