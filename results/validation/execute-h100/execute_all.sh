#!/usr/bin/env bash
# Every case on this GPU: execute_all.sh HEADROOM OUT [PATTERN]. One folder a case in OUT, as `headroom execute` writes it.
# PATTERN: only cases whose name it matches. REPEATS=3: so many runs of each, numbered from the second on.
set -uo pipefail
headroom=$1 out=$2 pattern=${3:-.}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"

go() {
  local name=$1 scenario=$2 repeat
  shift 2
  [[ $name =~ $pattern ]] || return 0
  for repeat in $(seq 1 "${REPEATS:-1}"); do
    local folder=$out/$name
    ((repeat > 1)) && folder=$out/$name.$repeat
    if timeout 120 "$headroom" execute "$here/$scenario" "$@" --out "$folder" > "$folder.log" 2>&1; then
      rm "$folder.log"
      echo "$name"
    else
      echo "$name failed: $(tail -c 300 "$folder.log")"
    fi
  done
}
rate() { awk -v capacity="$1" -v load="$2" 'BEGIN { printf "workload.arrivals.rate=%.2f/s", capacity * load }'; }

# Loads are shares of the requests a second that the card was seen to finish.
for load in 0.3 0.7 1.0 1.5; do
  for pool in 0.5:5.9 2:1.5 4:0.75; do
    go "1b-paged-load$load-over${pool%:*}" vllm.yaml --set "$(rate 224 $load)" \
      --set "engine.kv_cache_memory_bytes=${pool#*:} GiB"
  done
done
for load in 0.3 0.7 1.5; do
  go "1b-hf-load$load" hf.yaml --set "$(rate 35 $load)"
done
for load in 0.3 0.7; do
  for pool in 0.5:5.9 2:1.5; do
    go "1b-contiguous-load$load-over${pool%:*}" vllm-contiguous.yaml --set "$(rate 60 $load)" \
      --set "engine.kv_cache_memory_bytes=${pool#*:} GiB"
  done
done
for load in 0.3 0.7 1.5; do
  for pool in 0.5:23.5 4:3; do
    go "8b-paged-load$load-over${pool%:*}" vllm.yaml --set model=llama-3.1-8b --set workload.requests=200 \
      --set "$(rate 45 $load)" --set "engine.kv_cache_memory_bytes=${pool#*:} GiB"
  done
done
go 8b-hf-load0.7 hf.yaml --set model=llama-3.1-8b --set workload.requests=64 --set workload.arrivals.rate=5/s
go opt-1.3b-paged vllm.yaml --set model=opt-1.3b --set dtype=float16 --set workload.requests=200
go qwen3-0.6b-paged vllm.yaml --set model=qwen3-0.6b --set workload.requests=200
