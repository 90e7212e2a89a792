#!/usr/bin/env bash
# Makes everything in this folder: times.csv, breakdown.csv, time.svg, ratio.svg. Needs python3 and gnuplot.
set -euo pipefail
cd "$(dirname "$0")"
root=../..
python3 - "$root" <<'PY'
import csv, json, subprocess, sys
root = sys.argv[1]
parts = ["gemm_s", "attention_s", "elementwise_s", "cache_copy_s", "host_s"]
times, breakdown = [], []
for batch in (1, 8, 32):
    for tokens in (1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 640, 768, 896, 1024):
        command = [f"{root}/headroom", "run", f"{root}/configs/scenarios/hello.yaml", "--json", "--quiet",
                   "--set", f"workload.requests={batch}", "--set", "workload.arrivals={process: batch}",
                   "--set", f"workload.output_tokens={tokens}", "--set", f"variants.hf.engine.max_num_seqs={batch}"]
        runs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        hf, vllm = runs["hf"], runs["vllm"]
        assert vllm["requests"]["completed"] == batch
        fits = hf["requests"]["completed"] == batch      # otherwise generate() has run out of memory
        times.append([batch, tokens, hf["duration_s"] if fits else "", vllm["duration_s"],
                      hf["duration_s"] / vllm["duration_s"] if fits else "", vllm["scheduler"]["preemptions"]])
        for name, run in runs.items():
            if tokens in (128, 512) and (fits or name == "vllm"):
                breakdown.append([batch, tokens, name, run["duration_s"]] + [run["time_breakdown"][p] for p in parts])
def write(name, header, rows):
    with open(name, "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows([[f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows])
write("times.csv", ["batch", "new_tokens", "hf_s", "vllm_s", "ratio", "vllm_preemptions"], times)
write("breakdown.csv", ["batch", "new_tokens", "engine", "duration_s"] + parts, breakdown)
PY
gnuplot <<'GP'
set datafile separator ","
set terminal svg size 760,460 font "sans,13" background "white"
set key top left
set grid lc rgb "#dddddd"
set xlabel "new tokens"
set output "time.svg"
set title "generate() of one word on an A10G, Llama-2-7B fp16 (simulated)"
set ylabel "seconds"
plot for [b in "1 8 32"] "times.csv" using (column(1)==b ? column(2) : NaN):3 every ::1 with linespoints lw 2 pt 7 ps 0.4 title "HF, batch ".b, \
     for [b in "1 8 32"] "times.csv" using (column(1)==b ? column(2) : NaN):4 every ::1 with linespoints lw 2 dt 2 pt 6 ps 0.4 title "vLLM, batch ".b
set output "ratio.svg"
set title "HF time over vLLM time (simulated)"
set ylabel "ratio"
set yrange [0:*]
plot for [b in "1 8 32"] "times.csv" using (column(1)==b ? column(2) : NaN):5 every ::1 with linespoints lw 2 pt 7 ps 0.4 title "batch ".b, 1 lc rgb "#999999" notitle
GP
