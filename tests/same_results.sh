#!/usr/bin/env bash
# Do several builds of the program write the same bytes? Every scenario under configs/scenarios, shortened, and those of
# tests/golden, under each.
#
# usage: tests/same_results.sh BINARY BINARY...      for example build/release/headroom build/clang/headroom
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
different=0 compared=0
for scenario in configs/scenarios/*.yaml tests/golden/corners.yaml tests/golden/costs.yaml; do
  name=$(basename "$scenario" .yaml)
  first=
  for binary in "$@"; do
    out=$scratch/$name.$(echo "$binary" | tr / _)
    "$binary" run "$scenario" --set workload.requests=300 --quiet --out "$out"
    find "$out" -name summary.json -exec sed -i '/"simulator"/,/}/d' {} +     # version, time and memory of the run itself
    if [ -z "$first" ]; then first=$out; continue; fi
    compared=$((compared + 1))
    diff -rq "$first" "$out" || different=$((different + 1))
  done
done
echo "$compared pairs of outputs compared, $different differ"
[ "$different" -eq 0 ]
