#!/usr/bin/env bash
# valgrind's memcheck, leaks included, over a smoke set of the program's commands. A few minutes.
#
# usage: tests/memcheck.sh BINARY      for example build/debug/headroom
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The loader compares "$ORIGIN" in a module's run path eight bytes at a time, past the string's end.
cat >"$scratch/supp" <<'S'
{
  run path of a module
  Memcheck:Addr8
  fun:strncmp
  fun:is_dst
}
S
failed=0
memcheck() {
  local name=$1 code=0
  shift
  valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
    --suppressions="$scratch/supp" --trace-children=yes --trace-children-skip='*gnuplot*' \
    --log-file="$scratch/log.$name.%p" "$binary" "$@" >"$scratch/out" 2>&1 || code=$?
  cat "$scratch/log.$name".*
  [ "$code" -eq 0 ] || tail -3 "$scratch/out"
  [ "$code" -eq 0 ] && [ -z "$(cat "$scratch/log.$name".*)" ] || { failed=$((failed + 1)); echo "$name: exit $code"; }
}
scenarios=configs/scenarios
memcheck hello run $scenarios/hello.yaml --quiet --set workload.requests=30
memcheck swap run $scenarios/samples-cow.yaml --quiet --set workload.requests=40 --set workload.arrivals.rate=4/s \
  --set engine.max_num_seqs=18 --set engine.num_gpu_blocks_override=180 --set 'engine.swap_space=800 MiB' \
  --out "$scratch/swap" --trace "$scratch/trace.json" --vllm-bench "$scratch/bench.json"
memcheck pressure run tests/golden/corners.yaml --quiet
memcheck costs run tests/golden/costs.yaml --quiet --set workload.requests=3
memcheck pipeline run $scenarios/two-machines-70b.yaml --set workload.requests=20 --quiet
memcheck disaggregated run $scenarios/disaggregated.yaml --set workload.requests=40 --quiet
memcheck offload run $scenarios/kv-offload.yaml --set workload.requests=60 --quiet
memcheck clock run $scenarios/hello.yaml --set workload.requests=20 --set cluster.replicas=2 --step-by-step --quiet
memcheck intervals run $scenarios/hello.yaml --set workload.requests=10 --intervals --quiet
memcheck sweep sweep tests/golden/sweeps/small.yaml --db "$scratch/sweep.sqlite" --jobs 2
memcheck report report "$scratch/sweep.sqlite" --out "$scratch/report.html"
memcheck import import 'vllm serve meta-llama/Llama-3.1-8B --max-num-seqs 64 --tensor-parallel-size 2'
memcheck memory memory $scenarios/hello.yaml
memcheck check check $scenarios/chat-a10g.yaml
echo "$failed of 14 commands with errors or leaks"
[ "$failed" -eq 0 ]
