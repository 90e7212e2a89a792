#!/usr/bin/env python3
"""Makes everything in this folder: tiers.csv, tiers.svg. Needs gnuplot; half a minute on two cores.

usage: run.py [BINARY]
"""
import concurrent.futures
import csv
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BINARY = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build", "release", "headroom")
SCENARIO = os.path.join(ROOT, "configs", "scenarios", "kv-offload.yaml")
SIZES = [0, 8, 16, 32, 48, 64, 96, 128, 192, 256]  # GiB
COPIES = {"one a block": "true", "two a layer": "false"}
SEEDS = [1, 2, 3]
FIELDS = ["copies", "tier_gib", "ttft_mean_s", "ttft_p50_s", "ttft_p99_s", "tpot_p50_s", "prompt_found", "found_on_gpu",
          "loaded_gib", "stored_gib", "load_wait_s", "recompute_s", "link_busy"]


def point(copies, size, seed):
    with tempfile.TemporaryDirectory() as out:
        run = subprocess.run(
            [BINARY, "run", SCENARIO, "--json", "--quiet", "--out", out, "--seed", str(seed), "--set",
             "variants.none.engine={kv_offloading_size: %d GiB, enable_cross_layers_blocks: %s}" % (size, COPIES[copies])],
            capture_output=True, text=True, check=True)
        s = json.loads(run.stdout)["none"]
        with open(os.path.join(out, "none", "requests.csv"), newline="") as f:
            rows = list(csv.DictReader(f))
    t, l = s.get("kv_offload", {}), s["latency"]
    found = sum(int(r["cached_tokens"]) for r in rows) / sum(int(r["prompt_tokens"]) for r in rows)
    return [l["ttft_s"]["mean"], l["ttft_s"]["p50"], l["ttft_s"]["p99"], l["tpot_s"]["p50"], found,
            s["scheduler"]["prefix_cache_hit_rate"], t.get("loaded_bytes", 0) / 2**30, t.get("stored_bytes", 0) / 2**30,
            t.get("load_wait_s", 0), t.get("recompute_s", 0), t.get("loading_s", 0) / s["duration_s"]]


def main():
    keys = [(c, size) for c in COPIES for size in SIZES if size or c == "one a block"]
    tasks = [(*k, seed) for k in keys for seed in SEEDS]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        points = dict(zip(tasks, pool.map(lambda t: point(*t), tasks)))
    with open(os.path.join(HERE, "tiers.csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(FIELDS)
        for k in keys:
            mean = [sum(v) / len(SEEDS) for v in zip(*(points[(*k, seed)] for seed in SEEDS))]
            out.writerow([*k, *(f"{v:.4g}" for v in mean)])
    draw()


def draw():
    plot = """set datafile separator ","
set terminal svg size 900,380 font "sans,12" background "white"
set output "tiers.svg"
set multiplot layout 1,2
set grid lc rgb "#dddddd"
set xlabel "host memory behind the prefix cache, GiB"
set ylabel "time to first token, s"
set logscale y
plot "< grep '^one' tiers.csv" using 2:4 with linespoints lw 2 pt 7 ps 0.4 title "p50", \\
     "" using 2:3 with linespoints lw 2 pt 7 ps 0.4 title "mean", "" using 2:5 with linespoints lw 2 pt 7 ps 0.4 title "p99"
unset logscale y
set yrange [0:1]
set ylabel "share of the prompt tokens"
set key top left
plot "< grep '^one' tiers.csv" using 2:7 with linespoints lw 2 pt 7 ps 0.4 title "not computed again", \\
     "" using 2:8 with linespoints lw 2 pt 7 ps 0.4 title "found on the GPU"
"""
    subprocess.run(["gnuplot"], input=plot, text=True, check=True, cwd=HERE)


if __name__ == "__main__":
    main()
