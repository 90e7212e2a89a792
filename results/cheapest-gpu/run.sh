#!/usr/bin/env bash
# Makes everything in this folder: cards.csv, plans.csv, cards.svg. Needs python3 and gnuplot. Takes several minutes.
set -euo pipefail
cd "$(dirname "$0")"
python3 <<'PY'
import csv, json, subprocess
CARDS = "[a100-40gb, a100-80gb, a10g, a6000, h100-sxm, h200-sxm, l4, l40s, rtx-3090, rtx-4090, v100-32gb]"
def plan(name, *options):
    line = ["../../headroom", "plan", f"../../configs/scenarios/{name}-8b.yaml", "--percentile", "95", "--json", "--quiet",
            "--over", f"hardware={CARDS}", "--over", "cluster.tensor_parallel_size=[1, 2]", *options]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["candidates"]
cards, plans = [], []
for name in ("chat", "code", "document"):
    for c in plan(name):
        s = c["settings"]
        row = [name, s["hardware"], s["cluster.tensor_parallel_size"]]
        high = c.get("highest")
        if "problem" in c:
            row += ["", "", "", "", "", "does not fit"]
        elif high is None:
            row += [0, "", c["usd_per_gpu_hour"], "", c["provenance"], c["limits"]["binding"]]
        else:
            dollars = c["usd_per_gpu_hour"] * c["gpus_per_replica"] / 3600 / high["requests_per_s"]
            row += [f'{high["requests_per_s"]:.4g}', f'{100 * high["attainment_low"]:.1f}', c["usd_per_gpu_hour"],
                    f"{1000 * dollars:.4g}", c["provenance"], c["limits"]["binding"]]
        cards.append(row)
    for c in plan(name, "--rate", "20/s")[:3]:
        if c.get("replicas"):
            plans.append([name, c["settings"]["hardware"], c["settings"]["cluster.tensor_parallel_size"], c["replicas"],
                          c["gpus"], f'{c["usd_per_hour"]:.2f}'])
def write(name, header, rows):
    with open(name, "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)
write("cards.csv", ["workload", "hardware", "tensor_parallel_size", "requests_per_s", "within_slo_at_least_percent",
                    "usd_per_gpu_hour", "usd_per_1000_requests", "provenance", "binds"], cards)
write("plans.csv", ["workload", "hardware", "tensor_parallel_size", "replicas_for_20_per_s", "gpus", "usd_per_hour"], plans)
names = sorted({row[1] for row in cards})
with open("bars.tmp", "w") as f:
    for hardware in names:
        best = []
        for name in ("chat", "code", "document"):
            costs = [float(r[6]) for r in cards if r[0] == name and r[1] == hardware and r[6] not in ("", 0)]
            best.append(f"{min(costs):.4g}" if costs else "nan")
        f.write(f'{hardware} ' + " ".join(best) + "\n")
PY
gnuplot <<'GP'
set terminal svg size 820,420 font "sans,12" background "white"
set output "cards.svg"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 border -1
set grid y lc rgb "#dddddd"
set logscale y
set ylabel "USD per 1,000 requests, better of tensor parallel 1 and 2"
set xtics rotate by -30
set key top right
plot "bars.tmp" using 2:xtic(1) title "chat", "" using 3 title "code", "" using 4 title "long document"
GP
rm bars.tmp
