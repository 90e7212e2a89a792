#!/usr/bin/env bash
# Makes everything in this folder: waste.csv, waste.svg. Needs python3 and gnuplot.
set -euo pipefail
cd "$(dirname "$0")"
python3 <<'PY'
import csv, subprocess, tempfile
PAPER = {"max": (20.4, 13.3, 57.3, 8.9), "pow2": (26.8, 17.9, 13.6, 41.6), "oracle": (38.2, 25.2, 0.0, 36.6),
         "paged": (96.3, None, None, None)}
rows = []
for name, paper in PAPER.items():
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["../../headroom", "run", f"../../configs/scenarios/waste-{name}.yaml", "--quiet", "--out", out,
                        "--timeline", "full"], check=True)
        timeline = list(csv.DictReader(open(out + "/timeline.csv")))
    # Saturated: from the first step to the last moment at which something waits.
    last = max(i for i, r in enumerate(timeline) if int(r["waiting"]) > 0)
    columns = ("token_states", "reservation", "internal", "external", "free")
    time, sums = 0.0, dict.fromkeys(columns, 0.0)
    for now, after in zip(timeline[:last], timeline[1:last + 1]):
        step = float(after["time_s"]) - float(now["time_s"])
        time += step
        for c in columns:
            sums[c] += step * float(now[c])
    pool = sum(float(timeline[0][c]) for c in columns + ("padding", "cached"))
    share = {c: 100 * v / time / pool for c, v in sums.items()}
    ours = (share["token_states"], share["reservation"], share["internal"], share["external"] + share["free"])
    for word, value, printed in zip(("token states", "reservation", "internal", "external and others"), ours, paper):
        rows.append([name, word, f"{value:.1f}", "" if printed is None else printed,
                     "" if printed is None else f"{value - printed:+.1f}"])
with open("waste.csv", "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow(["system", "part", "simulated_percent", "paper_percent", "difference_points"])
    out.writerows(rows)
with open("bars.tmp", "w") as f:
    for name in PAPER:
        ours = [r[2] for r in rows if r[0] == name]
        theirs = [r[3] if r[3] != "" else ("0" if name == "paged" else "nan") for r in rows if r[0] == name]
        if name == "paged":
            theirs = ["96.3", "0", "0", "3.7"]
        f.write(f'"{name}" ' + " ".join(ours) + "\n" + f'"{name}, paper" ' + " ".join(map(str, theirs)) + "\n")
PY
gnuplot <<'GP'
set terminal svg size 820,430 font "sans,12" background "white"
set output "waste.svg"
set style data histograms
set style histogram rowstacked
set style fill solid 0.9 border -1
set boxwidth 0.7
set ylabel "percent of the KV slots"
set yrange [0:100]
set key outside right
set xtics rotate by -30
plot "bars.tmp" using 2:xtic(1) title "token states" lc rgb "#4c9f70", "" using 3 title "reservation" lc rgb "#7fb2d9", \
     "" using 4 title "internal" lc rgb "#d98c5f", "" using 5 title "external, others" lc rgb "#bbbbbb"
GP
rm -f bars.tmp
