#!/usr/bin/env python3
"""Measures how fast the simulator is; writes rows.csv and growth.csv beside itself. Wall clock of the whole process,
best of three; one core is enough. usage: results/speed/run.py (after ./headroom has built the release binary)"""
import csv
import json
import os
import resource
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BINARY = os.path.join(ROOT, "build/release/headroom")


def run(scenario, *settings, repeat=3, out=True, extra=()):
    best = None
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            command = [BINARY, "run", os.path.join(ROOT, "configs/scenarios", scenario), "--json", "--quiet", *extra]
            for s in settings:
                command += ["--set", s]
            if out:
                command += ["--out", folder]
            start = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            wall = time.perf_counter() - start
            j = json.loads(done.stdout)
            if best is None or wall < best[0]:
                best = (wall, j)
    return best


def write(name, header, rows):
    with open(os.path.join(HERE, name), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)


def row(case, target, result):
    wall, j = result
    j = j if "simulator" in j else next(iter(j.values()))
    return [case, target, f"{wall:.3f}", j["requests"]["submitted"], f"{j['requests']['submitted'] / wall:.0f}",
            j["scheduler"]["steps"], f"{j['scheduler']['steps'] / j['simulator']['wall_s']:.0f}", j["scheduler"]["preemptions"],
            f"{j['scheduler']['mean_batch']:.1f}", round(j["simulator"]["peak_rss_bytes"] / 1e6)]


def main():
    rows = [row("1M requests, Poisson 10/s", "<= 6 s, <= 400 MB", run("million.yaml")),
            row("the same saturated, 60/s", "<= 12 s", run("million.yaml", "workload.arrivals.rate=60/s")),
            row("--step-by-step, 20,000 requests at 4/s", ">= 800,000 steps/s",
                run("million.yaml", "workload.requests=20000", "workload.arrivals.rate=4/s", extra=("--step-by-step",))),
            row("hello, exec to exit", "<= 15 ms", run("hello.yaml", repeat=10, out=False)),
            row("Mooncake, 12,031 requests, prefix cache", ">= 50,000 requests/s",
                run("prefix-mooncake.yaml", "variants={cache: {engine: {enable_prefix_caching: true}}}", "cluster.replicas=1"))]
    write("rows.csv", ["case", "target", "wall_s", "requests", "requests_per_s", "steps", "steps_per_s", "preemptions",
                       "mean_batch", "peak_rss_mb"], rows)
    growth = []
    for n in (1_000, 10_000, 100_000, 1_000_000):
        wall, j = run("million.yaml", f"workload.requests={n}")
        growth.append(["requests", n, f"{wall:.3f}", f"{1e6 * wall / n:.2f}", round(j["simulator"]["peak_rss_bytes"] / n)])
    for replicas in (1, 10, 100, 1000):
        n = 200_000
        wall, j = run("million.yaml", f"workload.requests={n}", f"cluster.replicas={replicas}",
                      f"workload.arrivals.rate={10 * replicas}/s")
        growth.append(["replicas", replicas, f"{wall:.3f}", f"{1e6 * wall / n:.2f}", round(j["simulator"]["peak_rss_bytes"] / n)])
    write("growth.csv", ["what", "n", "wall_s", "us_per_request", "bytes_per_request"], growth)
    for r in rows + growth:
        print(*r, sep=", ")


main()
