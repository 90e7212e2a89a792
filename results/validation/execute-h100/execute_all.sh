# Each case: `execute` on the GPU, outputs in a folder of its own.
out=$1; mkdir -p $out
go() { name=$1; shift; timeout 90 ./headroom execute "$@" --out $out/$name --json > $out/$name.json 2> $out/$name.err || { echo "$name failed: $(tail -c 300 $out/$name.err)"; return; }
  python3 -c "import json; d=json.load(open('$out/$name.json')); l=d['latency']; print('%-34s %8.2f req/s ttft %.4f %.4f tpot %.5f %.5f e2e %.3f %.3f preempt %d' % ('$name', d['throughput']['requests_per_s'], l['ttft_s']['p50'], l['ttft_s']['p99'], l['tpot_s']['p50'], l['tpot_s']['p99'], l['e2el_s']['p50'], l['e2el_s']['p99'], d['scheduler']['preemptions']))"; }
for load in 0.3 0.7 1.0 1.5; do for pool in 0.5:5.9 2:1.5 4:0.75; do
  go 1b-paged-load$load-over${pool%:*} scn/vllm.yaml --set workload.arrivals.rate=$(python3 -c "print(round(224*$load,2))")/s --set engine.kv_cache_memory_bytes="${pool#*:} GiB"
done; done
for load in 0.3 0.7 1.5; do
  go 1b-hf-load$load scn/hf.yaml --set workload.arrivals.rate=$(python3 -c "print(round(35*$load,2))")/s
done
for load in 0.3 0.7; do for pool in 0.5:5.9 2:1.5; do
  go 1b-contiguous-load$load-over${pool%:*} scn/vllm.yaml --set engine.kv_allocator=contiguous-max --set workload.arrivals.rate=$(python3 -c "print(round(60*$load,2))")/s --set engine.kv_cache_memory_bytes="${pool#*:} GiB" --set workload.requests=300
done; done
for load in 0.3 0.7 1.5; do for pool in 0.5:23.5 4:3; do
  go 8b-paged-load$load-over${pool%:*} scn/vllm.yaml --set model=llama-3.1-8b --set workload.requests=200 --set workload.arrivals.rate=$(python3 -c "print(round(45*$load,2))")/s --set engine.kv_cache_memory_bytes="${pool#*:} GiB"
done; done
go 8b-hf-load0.7 scn/hf.yaml --set model=llama-3.1-8b --set workload.requests=64 --set workload.arrivals.rate=5/s
go opt-1.3b-paged scn/vllm.yaml --set model=opt-1.3b --set dtype=float16 --set workload.requests=200
go qwen3-0.6b-paged scn/vllm.yaml --set model=qwen3-0.6b --set workload.requests=200
