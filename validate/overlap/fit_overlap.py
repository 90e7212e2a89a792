#!/usr/bin/env python3
"""Do the times of arithmetic and of memory traffic inside one matrix product add, or overlap?

Fits t = ((flops/(ec*P))^p + (bytes/(em*BW))^p)^(1/p) + t0 to the tables of configs/hardware/tables with p = 1 (they
add), p = infinity (the larger counts) and p free, by least squares of the logarithm, on two thirds of the shapes, and
reports errors on the rest. Work is counted as the simulator counts it (models/kernel_time.cpp): rows padded to tiles,
whole waves of tiles. Shapes whose weights would stay in the L2 cache between repetitions are left out.

usage: fit_overlap.py   writes results/overlap/fits.csv and prints it
"""
import csv
import gzip
import os

import numpy as np
from scipy.optimize import least_squares

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# name, table, peak TFLOP/s, GB/s, SMs, L2 MB
DEVICES = [("h100-sxm", "gemm-h100-sxm", 989, 3350, 132, 50), ("h200-sxm", "gemm-h200-sxm", 989, 4800, 132, 50),
           ("a100", "gemm-a100", 312, 2039, 108, 40), ("l40s", "gemm-l40s", 362, 864, 142, 96),
           ("rtx-4090", "gemm-rtx-4090", 165.2, 1008, 128, 72), ("a6000", "gemm-a6000", 154.8, 768, 84, 6),
           ("rtx-3090", "gemm-rtx-3090", 71, 936, 82, 6)]


def load(name):
    with gzip.open(os.path.join(ROOT, "configs/hardware/tables", name + ".csv.gz"), "rt") as f:
        rows = list(csv.DictReader(f))
    return np.array([[float(r["m"]), float(r["n"]), float(r["k"]), float(r["time_us"]) * 1e-6] for r in rows])


def work(d, sms):
    m, n, k = d[:, 0], d[:, 1], d[:, 2]
    tile = np.where(m <= 16, 16, np.where(m <= 32, 32, np.where(m <= 64, 64, 128)))
    rows = np.ceil(m / tile) * tile
    tiles = rows / tile * np.ceil(n / 128)
    waves = np.where(tiles > sms, np.ceil(tiles / sms) * sms / tiles, 1)
    return 2 * rows * k * n * waves, 2 * (k * n + m * (k + n))


def time(x, compute, memory, p):
    ec, em, t0 = np.exp(x[0]), np.exp(x[1]), np.exp(x[2])
    c, b = compute / ec, memory / em
    if p is None:
        p = 1 + np.exp(x[3])
    if p == np.inf:
        return np.maximum(c, b) + t0
    top = np.maximum(c, b)
    return top * ((c / top) ** p + (b / top) ** p) ** (1 / p) + t0


def main():
    out = []
    for name, table, peak, bandwidth, sms, cache in DEVICES:
        d = load(table)
        d = d[d[:, 1] * d[:, 2] * 2 >= 1.5e6 * cache]
        shapes = sorted({(r[1], r[2]) for r in d})
        held = set(shapes[1::3]) if len(shapes) >= 6 else None
        test = np.array([(r[1], r[2]) in held for r in d]) if held else np.arange(len(d)) % 3 == 1
        flops, moved = work(d, sms)
        compute, memory, seen = flops / (peak * 1e12), moved / (bandwidth * 1e9), d[:, 3]
        for word, p in (("max", np.inf), ("add", 1.0), ("free", None)):
            start = [np.log(0.7), np.log(0.8), np.log(3e-6)] + ([0.5] if p is None else [])
            fit = least_squares(lambda x: np.log(time(x, compute[~test], memory[~test], p) / seen[~test]), start,
                                loss="soft_l1", f_scale=0.1)
            error = np.abs(time(fit.x, compute[test], memory[test], p) / seen[test] - 1)
            ridge = np.abs(np.log(compute[test] / memory[test])) < np.log(3)
            out.append([name, word, "%.2f" % (1 + np.exp(fit.x[3]) if p is None else p),
                        "%.3f" % np.exp(fit.x[0]), "%.3f" % np.exp(fit.x[1]), "%.2f" % (1e6 * np.exp(fit.x[2])),
                        "%.1f" % (100 * np.median(error)), "%.1f" % (100 * np.percentile(error, 95)),
                        "%.1f" % (100 * np.median(error[ridge])) if ridge.any() else "", len(d) - test.sum(), test.sum()])
    header = ["device", "law", "p", "compute_efficiency", "memory_efficiency", "fixed_us", "held_out_median_error_percent",
              "held_out_p95_error_percent", "near_ridge_median_error_percent", "points_fitted", "points_held_out"]
    os.makedirs(os.path.join(ROOT, "results/overlap"), exist_ok=True)
    with open(os.path.join(ROOT, "results/overlap/fits.csv"), "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(out)
    for row in [header] + out:
        print(",".join(map(str, row)))


main()
