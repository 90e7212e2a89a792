#!/usr/bin/env python3
"""Measures how fast the simulator is; writes rows.csv, growth.csv, growth.svg and instructions.csv beside itself.

usage: results/speed/run.py [--instructions]      after ./headroom has built the release binary

Processor time of the whole process, the least of some runs, and that run's wall clock; one core is enough: the two
are equal on an idle machine. --instructions counts
instructions with callgrind instead: they do not depend on who else uses the machine. The plot needs gnuplot.
"""
import csv
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BINARY = os.path.join(ROOT, "build/release/headroom")
MOONCAKE = ("prefix-mooncake.yaml", "variants={cache: {engine: {enable_prefix_caching: true}}}", "cluster.replicas=1")


def command(scenario, *settings, folder=None, extra=()):
    words = [BINARY, "run", os.path.join(ROOT, "configs/scenarios", scenario), "--json", "--quiet", *extra]
    for s in settings:
        words += ["--set", s]
    return words + (["--out", folder] if folder else [])


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(scenario, *settings, repeat=3, out=True, extra=()):
    """The run of `repeat` that took least processor time: wall seconds, processor seconds, the summary."""
    best = None
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            words = command(scenario, *settings, folder=folder if out else None, extra=extra)
            before, start = children_cpu(), time.perf_counter()
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            wall, cpu = time.perf_counter() - start, children_cpu() - before
            j = json.loads(done.stdout)
            if best is None or cpu < best[1]:
                best = (wall, cpu, j if "simulator" in j else next(iter(j.values())))
    return best


def write(name, header, rows):
    with open(os.path.join(HERE, name), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)
    for r in rows:
        print(*r, sep=", ", flush=True)


def row(case, target, result):
    wall, cpu, j = result
    requests, steps = j["requests"]["submitted"], j["scheduler"]["steps"]
    return [case, target, f"{wall:.4f}", f"{cpu:.4f}", requests, f"{requests / cpu:.0f}", steps, f"{steps / cpu:.0f}",
            j["scheduler"]["preemptions"], f"{j['scheduler']['mean_batch']:.1f}",
            round(j["simulator"]["peak_rss_bytes"] / 1e6)]


def rows():
    write("rows.csv", ["case", "target", "wall_s", "cpu_s", "requests", "requests_per_s", "steps", "steps_per_s",
                       "preemptions", "mean_batch", "peak_rss_mb"],
          [row("1M requests, Poisson 10/s", "<= 6 s, <= 400 MB", run("million.yaml")),
           row("the same saturated, 60/s", "<= 12 s", run("million.yaml", "workload.arrivals.rate=60/s")),
           row("--step-by-step, 200,000 requests at 4/s", ">= 800,000 steps/s",
               run("million.yaml", "workload.requests=200000", "workload.arrivals.rate=4/s", extra=("--step-by-step",))),
           row("hello, exec to exit", "<= 15 ms", run("hello.yaml", repeat=20, out=False)),
           row("Mooncake, 12,031 requests, prefix cache", ">= 50,000 requests/s", run(*MOONCAKE, repeat=10))])


def growth():
    table = []

    def add(what, n, requests, *settings, repeat=3):
        wall, cpu, j = run("million.yaml", f"workload.requests={requests}", *settings, repeat=repeat)
        table.append([what, n, f"{wall:.4f}", f"{cpu:.4f}", f"{1e6 * cpu / requests:.3f}",
                      round(j["simulator"]["peak_rss_bytes"] / requests)])

    for n in (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        add("requests", n, n, repeat=40 if n <= 10_000 else 5 if n == 100_000 else 2 if n == 1_000_000 else 1)
    for replicas in (1, 10, 100, 1000):
        add("replicas", replicas, 1_000_000, f"cluster.replicas={replicas}", f"workload.arrivals.rate={10 * replicas}/s", repeat=2)
    write("growth.csv", ["what", "n", "wall_s", "cpu_s", "us_per_request", "bytes_per_request"], table)
    plot()


def plot():
    subprocess.run(["gnuplot"], cwd=HERE, check=True, text=True, input="""
        set datafile separator ","
        set terminal svg size 760,320 font "sans,13" background "white"
        set output "growth.svg"
        set multiplot layout 1,2
        set logscale x
        set format x "10^{%L}"
        set yrange [0:*]
        set grid lc rgb "#dddddd"
        set ylabel "us of processor a request"
        set xlabel "requests"
        plot "growth.csv" using (strcol(1) eq "requests" ? $2 : NaN):5 with linespoints lw 2 pt 7 ps 0.5 notitle
        set xlabel "replicas, a million requests in all"
        plot "growth.csv" using (strcol(1) eq "replicas" ? $2 : NaN):5 with linespoints lw 2 pt 7 ps 0.5 notitle
        """)


def instructions():
    table = []
    for case, words, requests in (
            ("hello", command("hello.yaml"), 10),
            ("20,000 requests, Poisson 10/s", command("million.yaml", "workload.requests=20000"), 20_000),
            ("20,000 requests, saturated", command("million.yaml", "workload.requests=20000", "workload.arrivals.rate=60/s"),
             20_000),
            ("Mooncake, prefix cache", command(*MOONCAKE), 12_031)):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", *words],
                                  check=True, capture_output=True, text=True)
        count = int(re.search(r"refs:\s+([\d,]+)", done.stderr).group(1).replace(",", ""))
        table.append([case, count, round(count / requests)])
    write("instructions.csv", ["case", "instructions", "instructions_per_request"], table)


if "--instructions" in sys.argv:
    instructions()
else:
    rows()
    growth()
