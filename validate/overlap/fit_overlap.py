#!/usr/bin/env python3
"""Do the times of arithmetic and of memory traffic inside one kernel add, or overlap?

Fits t = ((flops/(ec*P))^p + (bytes/(em*BW))^p)^(1/p) + t0 to tables of measured kernels, with p = 1 (they add),
p = infinity (the larger counts) and p free, by least squares of the logarithm, on two thirds of the shapes, and
reports errors on the rest. Work is counted as the simulator counts it (models/kernel_time.cpp): products with rows
padded to tiles and whole waves of tiles, attention as causal multiply-adds in tiles of 64 queries, SMs without a tile
idle, and one pass over K, V, queries and result.
Products and decode attention whose operands would stay in the L2 cache between repetitions are left out.

usage: fit_overlap.py   writes results/overlap/fits.csv and overlap.svg, prints the fits; needs numpy, scipy, matplotlib
"""
import csv
import os

import numpy as np
from scipy.optimize import least_squares

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TABLES = os.path.join(ROOT, "configs/hardware/tables")
# name, name of its tables, peak TFLOP/s, GB/s, SMs, L2 MB
DEVICES = [("h100-sxm", "h100-sxm", 989, 3350, 132, 50), ("h200-sxm", "h200-sxm", 989, 4800, 132, 50),
           ("a100", "a100", 312, 2039, 108, 40), ("l40s", "l40s", 362, 864, 142, 96),
           ("rtx-4090", "rtx-4090", 165.2, 1008, 128, 72), ("a6000", "a6000", 154.8, 768, 84, 6),
           ("rtx-3090", "rtx-3090", 71, 936, 82, 6), ("a40", "a40", 149.7, 696, 84, 6)]
HEAD_DIM, BYTES = 128, 2
SPLITS = 64                                    # of the KV length of one sequence and KV head, at most


# A row is a curve: columns KEY=VALUE hold a time each (sim/config/kernel_tables.h).
def points(row):
    for column, time in row.items():
        key, equals, value = column.partition("=")
        if equals and time:
            yield dict(row, **{key: value, "time_us": time})


def load(kind, name, columns):
    for folder in (TABLES, os.path.dirname(os.path.abspath(__file__))):
        path = os.path.join(folder, "%s-%s.csv" % (kind, name))
        if os.path.exists(path):
            with open(path, newline="") as f:
                rows = [[float(p[c]) for c in columns] for r in csv.DictReader(f) for p in points(r)]
            return np.array(rows).T
    return None


# Each gives what the kernels have to do, in operations and bytes, the groups that are held out together, and seconds.
def gemm(name, sms, cache):
    d = load("gemm", name, ["m", "n", "k", "time_us"])
    if d is None:
        return None
    m, n, k, t = d[:, d[1] * d[2] * BYTES >= 1.5e6 * cache]
    tile = np.where(m <= 16, 16, np.where(m <= 32, 32, np.where(m <= 64, 64, 128)))
    rows = np.ceil(m / tile) * tile
    tiles = rows / tile * np.ceil(n / 128)
    waves = np.where(tiles > sms, np.ceil(tiles / sms) * sms / tiles, 1)
    return 2 * rows * k * n * waves, BYTES * (k * n + m * (k + n)), list(zip(n, k)), t * 1e-6


def decode(name, sms, cache):
    d = load("decode", name, ["batch", "context_tokens", "q_heads", "kv_heads", "time_us"])
    if d is None:
        return None
    b, c, q, kv, t = d[:, d[0] * d[1] * d[3] * 2 * HEAD_DIM * BYTES >= 1.5e6 * cache]
    occupancy = np.minimum(1, b * kv * SPLITS / sms)
    return 4 * b * c * q * HEAD_DIM, b * c * kv * 2 * HEAD_DIM * BYTES / occupancy, list(zip(q, kv, b)), t * 1e-6


def prefill(name, sms, cache):
    d = load("prefill", name, ["batch", "new_tokens", "past_tokens", "q_heads", "kv_heads", "time_us"])
    if d is None:
        return None
    b, n, past, q, kv, t = d
    rows = np.ceil(n / 64) * 64
    idle = np.maximum(1, sms / (rows / 64 * q * b))
    flops = 4 * q * HEAD_DIM * b * (rows * past + rows * (rows + 1) / 2) * idle
    moved = b * ((past + n) * kv * 2 * HEAD_DIM + 2 * n * q * HEAD_DIM) * BYTES
    return flops, moved, list(zip(q, kv, b, past)), t * 1e-6


def time(x, compute, memory, p):
    c, b, t0 = compute / np.exp(x[0]), memory / np.exp(x[1]), np.exp(x[2])
    if p is None:
        p = 1 + np.exp(x[3])
    top = np.maximum(c, b)
    return top + t0 if p == np.inf else top * ((c / top) ** p + (b / top) ** p) ** (1 / p) + t0


def hold_out(groups):
    names = sorted(set(groups))
    if len(names) < 6:                         # too few shapes: every third point
        return np.arange(len(groups)) % 3 == 1
    held = set(names[1::3])
    return np.array([g in held for g in groups])


# All int4 products of one decode step of one model on an A10G by rows, microseconds, under the Marlin kernel (senpai,
# pull request 68, roofline audit). Its steps after 16, 32 and 48 rows are tiles of 16. Fitted: the time of the weights,
# of one row's arithmetic, and p.
MARLIN = {1: 4798, 8: 4868, 12: 5141, 16: 5178, 24: 5692, 32: 5766, 33: 7465, 48: 7581, 49: 9727}


def marlin():
    m = np.array(list(MARLIN))
    rows = np.where(m <= 8, 8, np.ceil(m / 16) * 16)
    seen = np.array(list(MARLIN.values())) * 1e-6
    for word, p in (("max", np.inf), ("add", 1.0), ("free", None)):
        start = [0, np.log(5e-3), np.log(1e-9)] + ([0.5] if p is None else [])
        held = lambda x: np.array([x[0], x[1], -25] + list(x[3:]))
        model = lambda x: time(held(x), rows * 1e-4, np.ones_like(seen) * np.exp(2 * x[1]), p)
        fit = least_squares(lambda x: np.log(model(x) / seen), start)
        error = np.abs(model(fit.x) / seen - 1)
        yield ["gemm-int4", "a10g", word, "%.2f" % (1 + np.exp(fit.x[3]) if p is None else p), "", "", "",
               "%.1f" % (100 * np.median(error)), "%.1f" % (100 * np.percentile(error, 95)), "", len(m), 0]


def main():
    out, points = list(marlin()), []
    for kind, read in (("gemm", gemm), ("decode-attention", decode), ("prefill-attention", prefill)):
        for name, table, peak, bandwidth, sms, cache in DEVICES:
            found = read(table, sms, cache)
            if found is None:
                continue
            flops, moved, groups, seen = found
            test = hold_out(groups)
            compute, memory = flops / (peak * 1e12), moved / (bandwidth * 1e9)
            for word, p in (("max", np.inf), ("add", 1.0), ("free", None)):
                start = [np.log(0.7), np.log(0.8), np.log(3e-6)] + ([0.5] if p is None else [])
                low = [-7, -7, np.log(1e-8)] + ([-5] if p is None else [])
                high = [2, 2, np.log(1e-3)] + ([np.log(63)] if p is None else [])
                fit = least_squares(lambda x: np.log(time(x, compute[~test], memory[~test], p) / seen[~test]), start,
                                    bounds=(low, high), loss="soft_l1", f_scale=0.1)
                error = np.abs(time(fit.x, compute[test], memory[test], p) / seen[test] - 1)
                ec, em, t0 = np.exp(fit.x[:3])
                ridge = np.abs(np.log(compute[test] / ec * em / memory[test])) < np.log(3)
                out.append([kind, name, word, "%.2f" % (1 + np.exp(fit.x[3]) if p is None else p), "%.3f" % ec,
                            "%.3f" % em, "%.2f" % (1e6 * t0), "%.1f" % (100 * np.median(error)),
                            "%.1f" % (100 * np.percentile(error, 95)),
                            "%.1f" % (100 * np.median(error[ridge])) if ridge.sum() >= 5 else "",
                            len(seen) - test.sum(), test.sum()])
                if word == "max":
                    c, b = compute / ec, memory / em
                    large = seen > 3 * t0      # where the fixed time does not hide the rest
                    points.append((kind, name, (c / b)[large], ((seen - t0) / np.maximum(c, b))[large]))
    header = ["kernel", "device", "law", "p", "compute_efficiency", "memory_efficiency", "fixed_us",
              "held_out_median_error_percent", "held_out_p95_error_percent", "near_ridge_median_error_percent",
              "points_fitted", "points_held_out"]
    folder = os.path.join(ROOT, "results/overlap")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "fits.csv"), "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(header)
        w.writerows(out)
    for row in [header] + out:
        print(",".join(map(str, row)))
    draw(points, os.path.join(folder, "overlap.svg"))


# Median over the shapes of like ratio of compute to memory time, against what the two laws say.
def draw(points, path):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    matplotlib.rcParams["svg.hashsalt"] = "overlap"
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    edges = np.logspace(-2, 2, 17)
    x = np.logspace(-2, 2, 200)
    for axis, kind in zip(axes, ("gemm", "prefill-attention")):
        axis.plot(x, np.ones_like(x), "k-", label="max")
        axis.plot(x, 1 + np.minimum(x, 1 / x), "k--", label="sum")
        for of, name, ratio, y in points:
            if of != kind:
                continue
            at, middle = [], []
            for low, high in zip(edges, edges[1:]):
                inside = (ratio >= low) & (ratio < high)
                if inside.sum() >= 5:
                    at.append(np.sqrt(low * high))
                    middle.append(np.median(y[inside]))
            axis.plot(at, middle, "o-", markersize=3, linewidth=1, label=name)
        axis.set(xscale="log", xlabel="compute time / memory time", title=kind, ylim=(0, 2.5))
        axis.legend(fontsize=7)
    axes[0].set_ylabel("measured / larger of the two")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


main()
