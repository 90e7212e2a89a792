#!/usr/bin/env python3
"""Plots of what the H100 reached, and the comparison with the public tables of the same card: plot.py, no arguments.

Writes achieved.svg (rates against size, points held out beside what the model says of them) and comparison.csv and
comparison.svg (this program's kernels beside those of the public tables, where both have the same shape). Needs
matplotlib.
"""
import csv
import gzip
import io
import os
import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "headroom"
import matplotlib.pyplot as plt

HERE = os.path.dirname(os.path.abspath(__file__))
TABLES = os.path.join(HERE, "..", "..", "configs", "hardware", "tables")
LLAMA_8B = {(6144, 4096): "qkv", (4096, 4096): "out", (28672, 4096): "gate and up", (4096, 14336): "down"}


def rows(path):
    raw = open(path, "rb").read()
    text = (gzip.decompress(raw) if path.endswith(".gz") else raw).decode()
    return list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))


def measured(kind):
    return rows(os.path.join(HERE, "raw", kind + ".csv.gz"))


def held_out():
    """(family, {column: number}, measured_us, predicted_us) of every point held out."""
    for r in rows(os.path.join(HERE, "h100-sxm-executor.held-out.csv.gz")):
        key = {k: int(v) for k, v in (pair.split("=") for pair in r["key"].split())}
        yield r["family"], key, float(r["measured_us"]), float(r["predicted_us"])


def public(kind, columns):
    """{shape: microseconds} of a table with a curve in a row."""
    points = {}
    for r in rows(os.path.join(HERE, "public" if kind == "gemm" else TABLES, f"{kind}-h100-sxm.csv")):
        if "bfloat16" not in r.values():
            continue
        shape = tuple(int(r[c]) for c in columns)
        for column, time in r.items():
            if "=" in column and time:
                points[shape + (int(column.split("=")[1]),)] = float(time)
    return points


def prefill_flops(heads, size, batch, new, past):
    return 4 * heads * size * batch * (new * past + new * (new + 1) / 2)


def draw_achieved():
    figure, axes = plt.subplots(2, 2, figsize=(11, 8))
    held = list(held_out())

    ax = axes[0][0]
    points = {}
    for r in measured("gemm"):
        if r["dtype"] == "bfloat16":
            points.setdefault((int(r["n"]), int(r["k"])), []).append((int(r["m"]), float(r["time_us"])))
    for i, ((n, k), name) in enumerate(LLAMA_8B.items()):
        rate = lambda m, us: 2 * m * n * k / us / 1e6
        line = sorted(points[n, k])
        ax.plot([m for m, _ in line], [rate(m, us) for m, us in line], color=f"C{i}", lw=1, label=f"{name} {n}x{k}")
        out = [(key["m"], p) for f, key, _, p in held if f == "gemm" and (key["n"], key["k"]) == (n, k)]
        ax.plot([m for m, _ in out], [rate(m, p) for m, p in out], "x", color=f"C{i}", ms=4)
    ax.set(xscale="log", yscale="log", xlabel="rows", ylabel="TFLOP/s", title="Products, bf16, Llama-3.1-8B")

    ax = axes[0][1]
    token = 2 * 2 * 8 * 128
    for i, batch in enumerate((1, 8, 64)):
        line = [(int(r["context_tokens"]), float(r["time_us"])) for r in measured("decode")
                if (r["head_dim"], r["q_heads"], r["kv_heads"], int(r["batch"])) == ("128", "32", "8", batch)]
        line.sort()
        rate = lambda context, us: batch * context * token / us / 1e3
        ax.plot([c for c, _ in line], [rate(c, us) for c, us in line], color=f"C{i}", lw=1, label=f"{batch} sequence{'s' * (batch > 1)}")
        out = [(key["context_tokens"], p) for f, key, _, p in held if f == "decode" and
               (key["head_dim"], key["q_heads"], key["kv_heads"], key["batch"]) == (128, 32, 8, batch)]
        ax.plot([c for c, _ in out], [rate(c, p) for c, p in out], "x", color=f"C{i}", ms=4)
    ax.axhline(3350, color="grey", lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel="context of each sequence, tokens", ylabel="GB/s of KV",
           title="Decode attention, 32/8 heads of 128")

    ax = axes[1][0]
    for i, past in enumerate((0, 1024, 16384)):
        line = [(int(r["new_tokens"]), float(r["time_us"])) for r in measured("prefill")
                if (r["head_dim"], r["q_heads"], r["kv_heads"], r["batch"], int(r["past_tokens"])) ==
                ("128", "32", "8", "1", past)]
        line.sort()
        rate = lambda new, us: prefill_flops(32, 128, 1, new, past) / us / 1e6
        ax.plot([n for n, _ in line], [rate(n, us) for n, us in line], color=f"C{i}", lw=1, label=f"after {past} tokens")
        out = [(key["new_tokens"], p) for f, key, _, p in held if f == "prefill" and
               (key["head_dim"], key["q_heads"], key["kv_heads"], key["batch"], key["past_tokens"]) ==
               (128, 32, 8, 1, past)]
        ax.plot([n for n, _ in out], [rate(n, p) for n, p in out], "x", color=f"C{i}", ms=4)
    ax.set(xscale="log", yscale="log", xlabel="new tokens of one sequence", ylabel="TFLOP/s",
           title="Prefill attention, 32/8 heads of 128")

    ax = axes[1][1]
    streams = {}
    for r in measured("streaming"):
        streams.setdefault(r["kernel"], []).append((int(r["bytes"]), float(r["time_us"])))
    for r in measured("host-copy"):
        if r["pieces"] == "1":
            streams.setdefault(r["direction"], []).append((int(r["bytes"]), float(r["time_us"])))
    for i, (name, line) in enumerate(streams.items()):
        line.sort()
        ax.plot([b for b, _ in line], [b / us / 1e3 for b, us in line], lw=1, color=plt.cm.tab20(i), label=name,
                ls="--" if "-" in name else "-")
    ax.axhline(3350, color="grey", lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel="bytes", ylabel="GB/s", title="Kernels that move bytes; host copies")
    for ax in axes.flat:
        ax.legend(fontsize=7, loc="upper left" if ax is axes[1][1] else "lower right")
        ax.grid(alpha=0.3)
    figure.suptitle("H100 80GB HBM3: measured (lines), held out and predicted from the rest (crosses), data sheet (dots)")
    figure.tight_layout()
    figure.savefig(os.path.join(HERE, "achieved.svg"), metadata={"Date": None})


def compared():
    """(kind, group, size, ours_us, public_us) of shapes that both have."""
    table = public("gemm", ("n", "k"))
    for r in measured("gemm"):
        shape = (int(r["n"]), int(r["k"]), int(r["m"]))
        if r["dtype"] == "bfloat16" and shape in table:
            m = shape[2]
            group = "1 to 64 rows" if m <= 64 else "65 to 512 rows" if m <= 512 else "more rows"
            yield "products", group, m, float(r["time_us"]), table[shape]
    table = public("decode", ("q_heads", "kv_heads", "batch"))
    for r in measured("decode"):
        shape = tuple(int(r[c]) for c in ("q_heads", "kv_heads", "batch", "context_tokens"))
        if r["head_dim"] == "128" and shape in table:
            tokens = shape[2] * shape[3]
            group = "to 8,192 tokens in all" if tokens <= 8192 else "to 131,072" if tokens <= 131072 else "more tokens"
            yield "decode attention", group, tokens, float(r["time_us"]), table[shape]
    table = public("prefill", ("q_heads", "kv_heads", "batch", "past_tokens"))
    for r in measured("prefill"):
        shape = tuple(int(r[c]) for c in ("q_heads", "kv_heads", "batch", "past_tokens", "new_tokens"))
        if r["head_dim"] == "128" and shape in table:
            new = shape[2] * shape[4]
            group = "to 512 new tokens" if new <= 512 else "to 4,096" if new <= 4096 else "more new tokens"
            yield "prefill attention", group, new, float(r["time_us"]), table[shape]


def draw_comparison():
    points = list(compared())
    groups = {}
    for kind, group, _, ours, theirs in points:
        groups.setdefault((kind, group), []).append(ours / theirs)
    with open(os.path.join(HERE, "comparison.csv"), "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kernel", "where", "points", "median_ratio_of_times", "p10", "p90", "share_within_15_pct"])
        for (kind, group), ratios in groups.items():
            tenths = statistics.quantiles(ratios, n=10)
            within = sum(1 / 1.15 <= r <= 1.15 for r in ratios) / len(ratios)
            writer.writerow([kind, group, len(ratios), f"{statistics.median(ratios):.3f}", f"{tenths[0]:.3f}",
                             f"{tenths[-1]:.3f}", f"{within:.2f}"])
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True)
    labels = {"products": "rows", "decode attention": "tokens of all sequences", "prefill attention": "new tokens"}
    for ax, (kind, label) in zip(axes, labels.items()):
        ax.plot([p[2] for p in points if p[0] == kind], [p[3] / p[4] for p in points if p[0] == kind], ".", ms=2.5,
                alpha=0.35, rasterized=True)
        ax.axhspan(1 / 1.15, 1.15, color="grey", alpha=0.15)
        ax.set(xscale="log", yscale="log", xlabel=label, title=kind)
        ax.set_yticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("time here / public time")
    figure.tight_layout()
    figure.savefig(os.path.join(HERE, "comparison.svg"), metadata={"Date": None}, dpi=150)


if __name__ == "__main__":
    draw_achieved()
    draw_comparison()
