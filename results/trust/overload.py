#!/usr/bin/env python3
"""What each preset does beyond its memory and beyond its rate, audited point by point.

usage: results/trust/overload.py BINARY      writes overload.csv and overload.svg beside itself (needs gnuplot)

A small model on a slow card (tests/support), 200 requests of lognormal lengths, Poisson arrivals. Load: arrivals over
what the preset completes of the same requests when all are there at once and memory is plenty (oversubscription 0.25).
Oversubscription: what max_num_seqs mean requests want of the KV cache, over what it has. Each point runs fast and step
by step; the auditor of tests/worlds reads both.
"""
import csv
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "worlds"))
import audit  # noqa: E402
import worlds  # noqa: E402

OVERSUBSCRIPTIONS = [0.25, 0.5, 1, 2, 4, 8]
LOADS = [0.1, 0.3, 0.7, 1, 1.5, 3]


def world_of(preset, oversubscription, arrivals):
    return {**worlds.SIMPLEST, "seed": 1, "preset": preset, "requests": 200, "arrivals": arrivals, "prompt": "lognormal",
            "output": "lognormal", "max_num_seqs": 16, "oversubscription": oversubscription}


def point(binary, preset, oversubscription, load, best):
    world = world_of(preset, oversubscription, "poisson")
    rate = max(1e-3, round(load * best, 3))
    scenario, facts = worlds.scenario_of(world, rate)
    with tempfile.TemporaryDirectory() as folder:
        wrong, outs = [], []
        for name, options in (("fast", ()), ("plain", ("--step-by-step",))):
            out, trace = os.path.join(folder, name), os.path.join(folder, name + ".trace")
            done = worlds.simulate(binary, scenario, folder, "--out", out, "--trace", trace, "--timeline", "full", *options)
            if done.returncode != 0:
                return rate, None, [done.stderr]
            wrong += audit.audit(out, trace, facts)
            outs.append(out)
        wrong += audit.differences(*outs)
        with open(os.path.join(outs[0], "summary.json")) as f:
            return rate, json.load(f), wrong


def main():
    binary = os.path.abspath(sys.argv[1])
    rows = []
    for preset in worlds.PRESETS:
        with tempfile.TemporaryDirectory() as folder:
            at_once, _ = worlds.scenario_of(world_of(preset, 0.25, "batch"), 1)
            best = json.loads(worlds.simulate(binary, at_once, folder, "--json").stdout)["throughput"]["requests_per_s"]
        static = preset in ("hf-generate", "fastertransformer")
        for oversubscription in OVERSUBSCRIPTIONS[:1] if static else OVERSUBSCRIPTIONS:
            for load in LOADS:
                rate, s, wrong = point(binary, preset, oversubscription, load, best)
                latency = s["latency"]
                p99 = lambda name: f"{latency[name]['p99']:.5g}" if s["requests"]["completed"] else ""
                rows.append([preset, "" if static else oversubscription, load, f"{rate:.3f}",
                             f"{s['throughput']['requests_per_s']:.4g}", f"{s['throughput']['requests_per_s'] / best:.4f}",
                             s["requests"]["completed"], s["requests"]["rejected"], p99("ttft_s"), p99("tpot_s"), p99("e2el_s"),
                             s["scheduler"]["preemptions"], "; ".join(wrong) or "adds up"])
    head = ["preset", "oversubscription", "load", "arrivals_per_s", "requests_per_s", "of_best", "completed", "rejected",
            "ttft_p99_s", "tpot_p99_s", "e2el_p99_s", "preemptions", "audit"]
    with open(os.path.join(HERE, "overload.csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(head)
        out.writerows(rows)
    print(f"{len(rows)} points, {sum(r[-1] != 'adds up' for r in rows)} that do not add up")
    draw(rows)


def draw(rows):
    """Three panels at load 1 (what a preset could just do with memory): against oversubscription."""
    presets = [p for p in worlds.PRESETS if any(r[0] == p and r[1] != "" for r in rows)]
    data, body = "", ""
    for i, preset in enumerate(presets):
        data += f"$d{i} << EOD\n" + "".join(f"{r[1]} {r[5]} {r[10] or 'nan'} {r[11] / 200}\n" for r in rows
                                            if r[0] == preset and r[2] == 1 and r[1] != "") + "EOD\n"
    for column, label, extra in ((2, "completed per second, of the best", "set yrange [0:*]"),
                                 (3, "99th percentile of the whole answer, s", "set logscale y; set yrange [*:*]"),
                                 (4, "preemptions per request", "unset logscale y; set yrange [0:*]")):
        key = "set key top left font ',9'" if column == 4 else "unset key"
        plots = ", ".join(f"$d{i} using 1:{column} with linespoints lw 1.5 pt {i + 4} ps 0.5 title '{p}'"
                          for i, p in enumerate(presets))
        body += f"{extra}\n{key}\nset title '{label}'\nplot {plots}\n"
    script = (data + "set terminal svg size 1200,420 font 'Sans,11' dynamic\nset output 'overload.svg'\n"
              "set logscale x 2\nset xlabel 'KV oversubscription at load 1'\nset grid\nset multiplot layout 1,3\n" + body)
    subprocess.run(["gnuplot"], input=script, text=True, cwd=HERE, check=True)


if __name__ == "__main__":
    main()
