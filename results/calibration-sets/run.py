#!/usr/bin/env python3
"""Makes everything in this folder: observers.csv, sets.csv, sizes.csv, tasks.svg, sizes.svg. Needs python3 and gnuplot.

usage: run.py FOLDER   where FOLDER is layer5.mlp_down_in of what validate/activations/record.py --out writes
"""
import csv
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
TASKS = ["prose", "code", "tables", "russian", "chinese"]


def calibrate(folder, *options):
    command = [f"{ROOT}/headroom", "numerics", "--to", "int8", "--json", *options]
    for task in TASKS:
        command += ["--calibration", f"{task}={folder}/{task}.npy"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def write(name, header, rows):
    with open(os.path.join(HERE, name), "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows([["" if v is None else f"{v:.5g}" if isinstance(v, float) else v for v in row] for row in rows])


def main():
    folder = sys.argv[1]
    by = {observer: calibrate(folder, "--observer", observer) for observer in ("min-max", "percentile", "mse")}
    quality = [f"{t}_{m}" for t in TASKS for m in ("sqnr_db", "clipped_fraction")]

    def cells(q):
        return [q["tasks"][t][m] for t in TASKS for m in ("sqnr_db", "clipped_fraction")]

    write("observers.csv", ["observer", "scales_per", "samples", "clip"] + quality + ["worst_sqnr_db"],
          [[q["name"], q["granularity"], q["samples"], q["clip"], *cells(q), q["worst_kept_sqnr_db"]]
           for q in by["mse"]["observers"]])
    write("sets.csv", ["observer", "set", "samples", "clip"] + quality + ["worst_sqnr_db"],
          [[o, q["name"], q["samples"], q["clip"], *cells(q), q["worst_kept_sqnr_db"]]
           for o, r in by.items() for q in r["sets"]])
    write("sizes.csv", ["observer", "set", "samples", "clip", "worst_sqnr_db", "enough_samples"],
          [[o, q["name"], q["samples"], q["clip"], q["worst_kept_sqnr_db"], r["stops_helping_at_samples"][q["name"]]]
           for o, r in by.items() for q in r["sizes"]])
    draw(by["mse"])


def draw(report):
    lines = ["set " + " ".join(f'"{t}"' for t in TASKS)]
    lines += [f'"{q["name"]}" ' + " ".join(str(q["tasks"][t]["sqnr_db"]) for t in TASKS) for q in report["sets"]]
    bars = "\n".join(lines)
    blocks, plots = [], []
    for i, name in enumerate(dict.fromkeys(q["name"] for q in report["sizes"])):
        points = "\n".join(f'{q["samples"]} {q["worst_kept_sqnr_db"]}' for q in report["sizes"] if q["name"] == name)
        blocks.append(f"$s{i} << EOD\n{points}\nEOD\n")
        plots.append(f"$s{i} using 1:2 with linespoints lw 2 pt 7 ps 0.5 title '{name}'")
    common = 'set terminal svg size 900,440 font "sans,13" background "white"\nset grid y lc rgb "#dddddd"\n'
    script = common + f"""set output "tasks.svg"
$t << EOD
{bars}
EOD
set style data histogram
set style histogram clustered gap 1
set style fill solid border -1
set ylabel "SQNR of held-out samples, dB"
set yrange [22:34]
set key top center horizontal autotitle columnheader
set xtics rotate by -20
plot for [i=2:{len(TASKS) + 1}] $t using i:xtic(1)
reset
""" + common + "".join(blocks) + f"""set output "sizes.svg"
set logscale x 2
set key outside right
set xlabel "samples in the calibration set"
set ylabel "SQNR of the worst task, dB"
plot {", ".join(plots)}
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True, cwd=HERE)


main()
