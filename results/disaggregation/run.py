#!/usr/bin/env python3
"""Makes everything in this folder: pools.csv, pools.svg. Needs gnuplot; about twenty seconds on two cores.

usage: run.py [BINARY]
"""
import concurrent.futures
import csv
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BINARY = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build", "release", "headroom")
SCENARIO = os.path.join(ROOT, "configs", "scenarios", "disaggregated.yaml")
LINKS = {"NVLink": "node-8xh100-nvswitch", "PCIe": "node-8xh100-pcie", "100 GbE": "node-1xh100-100gbe",
         "25 GbE": "node-1xh100-25gbe"}
PROMPTS = {"1000 tokens in": ("1000", "4000", [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]),
           "3000 tokens in": ("3000", "12000", [1, 2, 3, 4, 6, 8, 10, 12, 14, 16]),
           "10000 tokens in": ("10000", "30000", [0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4])}
FIELDS = ["prompts", "link", "serving", "rate_per_s", "goodput_fraction", "ttft_p50_s", "ttft_p99_s", "tpot_p50_s",
          "tpot_p99_s", "itl_p99_s", "transfer_p50_s", "transfer_p99_s", "prefill_busy", "decode_busy", "preemptions"]


def point(prompts, link, serving, rate):
    mean, most, _ = PROMPTS[prompts]
    run = subprocess.run(
        [BINARY, "run", SCENARIO, "--json", "--quiet", "--set", f"workload.arrivals.rate={rate}/s", "--set",
         f"workload.prompt_tokens.mean={mean}", "--set", f"workload.prompt_tokens.max={most}", "--set",
         f"cluster.node={LINKS[link]}"], capture_output=True, text=True, check=True)
    rows = []
    for name, s in json.loads(run.stdout).items():
        if (link != "NVLink" and name == "mixed") or (serving and name not in serving):
            continue  # the replicas of the mixed pair do not talk to each other
        apart = s.get("disaggregation")
        moved = apart["transfers"]["time_s"] if apart else {"p50": 0, "p99": 0}
        l = s["latency"]
        rows.append([prompts, "none" if name == "mixed" else link, name, rate, s["goodput"]["fraction"], l["ttft_s"]["p50"],
                     l["ttft_s"]["p99"], l["tpot_s"]["p50"], l["tpot_s"]["p99"], l["itl_s"]["p99"], moved["p50"],
                     moved["p99"], apart["prefill"]["busy_fraction"] if apart else s["gpu"]["busy_fraction"],
                     apart["decode"]["busy_fraction"] if apart else s["gpu"]["busy_fraction"],
                     s["scheduler"]["preemptions"]])
    return rows


def carried(rows, prompts, link, serving):
    """Highest rate with 95 % of the requests within the SLO, on the line between the points around it."""
    mine = [(r[3], r[4]) for r in rows if r[:3] == [prompts, link, serving]]
    best = 0.0
    for (rate, share), (next_rate, next_share) in zip(mine, mine[1:] + [(mine[-1][0], 0)]):
        if share < 0.95:
            break
        best = rate if next_share >= 0.95 or next_rate == rate else rate + (next_rate - rate) * (share - 0.95) / (
            share - next_share)
    return best


def main():
    tasks = [(p, l, None, r) for p in PROMPTS for l in LINKS for r in PROMPTS[p][2]]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        rows = [row for part in pool.map(lambda t: point(*t), tasks) for row in part]
    with open(os.path.join(HERE, "pools.csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(FIELDS)
        for r in rows:
            out.writerow([f"{v:.4g}" if isinstance(v, float) else v for v in r])
    kinds = [("none", "mixed")] + [(l, m) for l in LINKS for m in ("pull", "push-layerwise")]
    print("| requests/s with 95 % within the SLO | " + " | ".join(PROMPTS) + " |\n|---|---|---|---|")
    for link, serving in kinds:
        name = "two mixed replicas" if serving == "mixed" else f"1P1D, {serving}, {link}"
        print(f"| {name} | " + " | ".join(f"{carried(rows, p, link, serving):.1f}" for p in PROMPTS) + " |")
    draw()


def draw():
    plot = ['set datafile separator ","', 'set terminal svg size 1100,400 font "sans,12" background "white"',
            'set output "pools.svg"', "set multiplot layout 1,3", "set grid lc rgb '#dddddd'", "set yrange [0:1.02]",
            'set xlabel "requests/s"', 'set ylabel "within 1 s to the first and 12 ms per further token"',
            "set key bottom left"]
    for p in PROMPTS:
        plot.append(f'set title "{p}"')
        lines = []
        for link, serving in [("none", "mixed")] + [(l, "pull") for l in LINKS]:
            title = "mixed" if serving == "mixed" else f"1P1D, {link}"
            lines.append(f'"< grep \'^{p},{link},{serving},\' pools.csv" using 4:5 with linespoints lw 2 pt 7 ps 0.4 '
                         f'title "{title}"')
        plot.append("plot " + ", ".join(lines))
        plot.append("unset key")
    subprocess.run(["gnuplot"], input="\n".join(plot), text=True, check=True, cwd=HERE)


if __name__ == "__main__":
    main()
