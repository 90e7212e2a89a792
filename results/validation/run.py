#!/usr/bin/env python3
"""Validate every case that ships, and write this folder's tables and figure: results/validation/run.py [headroom]

Writes values.csv (every measured value), cases.md (the same, bad ones first), reach.md (the bounds this project set
itself, and how often intervals held), errors.svg. README.md is written by hand on top of them. Needs matplotlib.
"""
import csv
import json
import math
import os
import statistics
import subprocess
import sys
from glob import glob

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "validate/fit"))
import fit_discrepancy  # noqa: E402: which runs intervals were fitted to

LOADED_HOST = ("h100-hf-server", "h100-hf-continuous")


def validate(binary):
    files = sorted(glob(os.path.join(ROOT, "validate/cases/*.yaml")))
    out = subprocess.run([binary, "validate", "--json", *[os.path.relpath(f, ROOT) for f in files]], cwd=ROOT,
                         stdout=subprocess.PIPE, check=True).stdout
    rows = []
    for case in json.loads(out)["cases"]:
        for v in case["values"]:
            rows.append({**{k: case[k] for k in ("title", "case", "part", "model", "hardware", "engine", "source")}, **v})
    return rows


def size(row):
    return math.inf if row["error"] is None else abs(row["error"])


def write_csv(rows):
    with open(os.path.join(HERE, "values.csv"), "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["title", "case", "part", "model", "hardware", "engine", "metric", "measured (s, 1/s, B, count)",
                      "spread (fraction)", "predicted", "error (fraction)", "interval low", "interval high", "inside"])
        for r in rows:
            low, high = r["interval"] or ("", "")
            number = lambda x: "" if x in (None, "") else f"{x:.6g}"
            out.writerow([r["title"], r["case"], r["part"], r["model"], r["hardware"], r["engine"], r["metric"],
                          number(r["measured"]), number(r["spread"]), number(r["predicted"]), number(r["error"]),
                          number(low), number(high), "" if r["inside"] is None else str(r["inside"]).lower()])


def human(metric, value):
    if value is None:
        return "-"
    if metric.endswith("_bytes"):
        return f"{value / 2**30:.3f} GiB"
    if "_per_s" in metric and not metric.startswith("normalized"):
        return f"{value:.3g} /s"
    if "_s" in metric:
        return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.4g} s"
    return f"{value:.0f}"


def write_cases(rows):
    lines = ["# Every measured value, bad ones first", "",
             "Written by run.py. `fit`: a constant was fitted to it, so it judges nothing. Outside: the measured value lies",
             "outside of the prediction's 90 % interval.", "",
             "| error | metric | measured | predicted | 90 % interval | part | case |", "|---|---|---|---|---|---|---|"]
    for r in sorted(rows, key=size, reverse=True):
        error = "-" if r["error"] is None else f"{100 * r['error']:+.1f} %"
        interval = "exact" if r["interval"] is None else " to ".join(human(r["metric"], x) for x in r["interval"])
        if r["inside"] is False:
            interval += ", outside"
        lines.append(f"| {error} | {r['metric']} | {human(r['metric'], r['measured'])} | {human(r['metric'], r['predicted'])} "
                     f"| {interval} | {r['part']} | {r['title']}: {r['case']} |")
    open(os.path.join(HERE, "cases.md"), "w").write("\n".join(lines) + "\n")


def tokens(case):
    parts = case.split(" + ")[0].split()
    return int(parts[-3]) * int(parts[-1])


REACH = [  # what, which rows, bound on the worst error, bound on the median
    ("peak memory of generate(), H100", lambda r: r["metric"] == "peak_allocated_bytes" and r["hardware"] == "h100-sxm", 0.02, None),
    ("decode steps of the compiled cache, H100", lambda r: "compiled" in r["title"] and r["metric"] == "itl_s.min", 0.07, None),
    ("prefill of 2,048 tokens and more, H100", lambda r: r["title"].startswith("generate()") and r["metric"] == "ttft_s.mean"
     and tokens(r["case"]) >= 2048, 0.07, None),
    ("A10G, one card: time per token and throughput", lambda r: r["hardware"] == "a10g" and r["part"] == "judge"
     and "cards" not in r["case"] and "GPTQ" not in r["case"] and "launch post" not in r["title"]
     and r["metric"].split(".")[0] in ("tpot_s", "itl_s", "normalized_s_per_token", "requests_per_s", "output_tokens_per_s", "e2el_s"),
     0.25, 0.10),
    ("A10G, several cards: time per token and throughput", lambda r: r["hardware"] == "a10g" and r["part"] == "judge"
     and "cards" in r["case"] and r["metric"].split(".")[0] in ("normalized_s_per_token", "requests_per_s", "output_tokens_per_s"), 0.25, 0.10),
    ("KV capacity reported, A10G (fit) ", lambda r: r["hardware"] == "a10g" and r["metric"] == "kv_pool_tokens", 0.03, None),
    ("blocks reported, RTX 4090", lambda r: r["metric"] == "reported_gpu_blocks", 0.02, None),
    ("RTX 4090, per-request run: throughput and mean latencies", lambda r: "300 ShareGPT" in r["title"]
     and (r["metric"].endswith(".mean") or r["metric"].endswith("_per_s")), 0.10, None),
    ("vLLM on H100 and RTX 4090, published: throughput and mean latencies but TTFT", lambda r: r["hardware"] in ("h100-sxm", "h200-sxm", "rtx-4090")
     and r["part"] == "judge" and "vllm" in r["engine"] and "300 ShareGPT" not in r["title"]
     and (r["metric"].endswith("_per_s") or r["metric"] == "e2el_s.mean"), 0.10, None),
    ("the same: mean TTFT", lambda r: r["hardware"] == "h100-sxm" and "vllm" in r["engine"] and r["metric"] == "ttft_s.mean", 0.10, None),
]


def coverage_lines(intervals):
    """Of the half of the runs that the discrepancy was not fitted to."""
    judged = [v for v in intervals if v["part"] == "judge"]
    engines = [v for v in judged if v["ground"] != "own kernels"]
    quiet = [v for v in engines if v["source"] not in LOADED_HOST]
    lines = ["", "How often the truth lay inside the 90 % interval, over the half of the runs that the model's discrepancy was not",
             "fitted to (validate/fit/fit_discrepancy.py says which; the last line has the other half). Half-width: half of the",
             "intervals are wider than the prediction times or divided by this.", "",
             "| which | values | draws alone | with discrepancy | half-width |", "|---|---|---|---|---|"]

    def line(what, values):
        if values:
            count, drawn, inside, width = fit_discrepancy.coverage(values)
            lines.append(f"| {what} | {count} | {100 * drawn:.0f} % | {100 * inside:.0f} % | {width:.2f} |")

    line("**engines: all published runs and own runs of generate()**", engines)
    line("**the same without the two workloads on a loaded host**", quiet)
    for kind in fit_discrepancy.KINDS:
        for ground in fit_discrepancy.GROUNDS[1:]:
            line(f"{kind}, {ground}", [v for v in quiet if v["kind"] == kind and v["ground"] == ground])
    for family in sorted({v["metric"].split(".")[0] for v in quiet}):
        line(f"`{family}`", [v for v in quiet if v["metric"].split(".")[0] == family])
    line("on a loaded host: a server loop, transformers' continuous batching", [v for v in engines if v["source"] in LOADED_HOST])
    line("`run` against `execute`, own kernels on the same card", [v for v in judged if v["ground"] == "own kernels"])
    line("the half it was fitted to, engines", [v for v in intervals if v["part"] == "fit" and v["ground"] != "own kernels"])
    return lines


def write_reach(rows, intervals):
    lines = ["# The bounds set in advance", "", "Written by run.py. Held: no value beyond the bound on the worst (and the median, where one is set).", "",
             "| what | bound | values | median error | worst | held |", "|---|---|---|---|---|---|"]
    table = []
    for what, chosen, worst, median in REACH:
        errors = [size(r) for r in rows if chosen(r)]
        held = bool(errors) and max(errors) <= worst and (median is None or statistics.median(errors) <= median)
        inside = sum(e <= worst for e in errors)
        bound = f"{100 * worst:.0f} %" + (f", median {100 * median:.0f} %" if median else "")
        table.append((held, f"| {what} | {bound} | {len(errors)} | {100 * statistics.median(errors):.1f} % | {100 * max(errors):.1f} % "
                      f"| {'yes' if held else f'no, {inside} of {len(errors)}'} |"))
    lines += [text for _, text in sorted(table, key=lambda x: x[0])]
    rate = {r["case"]: r for r in rows if "launch post" in r["title"]}
    if len(rate) == 3:
        lines += ["", "vLLM's launch post, LLaMA-7B on an A10G, requests a minute:", "", "| | vLLM | TGI | HF | vLLM : HF | vLLM : TGI |", "|---|---|---|---|---|---|"]
        for key in ("measured", "predicted"):
            v, t, h = (60 * rate[name][key] for name in ("vLLM", "TGI", "HF"))
            lines.append(f"| {key} | {v:.1f} | {t:.1f} | {h:.1f} | {v / h:.1f} | {v / t:.2f} |")
    lines += coverage_lines(intervals)
    open(os.path.join(HERE, "reach.md"), "w").write("\n".join(lines) + "\n")
    print("\n".join(lines))


def plot(rows):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "headroom"
    import matplotlib.pyplot as plt
    groups = {}
    for r in rows:
        if r["error"] is None or abs(r["error"]) > 5:
            continue
        family = r["metric"].split(".")[0]
        groups.setdefault(family, []).append(r)
    names = sorted(groups, key=lambda n: statistics.median(size(r) for r in groups[n]))
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(names) + 1.2))
    for y, name in enumerate(names):
        for part, colour, shift in (("judge", "#1f5fa8", 0.12), ("fit", "#b0b0b0", -0.12)):
            points = [r["predicted"] / r["measured"] for r in groups[name] if r["part"] == part and r["measured"] > 0 and r["predicted"]]
            axes.plot(points, [y + shift] * len(points), "o", ms=4, alpha=0.6, color=colour, label=part if y == 0 else None)
    axes.axvspan(0.9, 1.1, color="#dfe9df", zorder=0)
    axes.set_xscale("log")
    axes.set_xticks([0.25, 0.5, 0.8, 1, 1.25, 2, 4], ["0.25", "0.5", "0.8", "1", "1.25", "2", "4"])
    axes.minorticks_off()
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted / measured (band: within 10 %)")
    axes.legend(loc="lower right", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(os.path.join(HERE, "errors.svg"), metadata={"Date": None})


def main():
    binary = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build/release/headroom")
    rows = validate(binary)
    write_csv(rows)
    write_cases(rows)
    write_reach(rows, list(fit_discrepancy.values_of(fit_discrepancy.measured_cases(binary))))
    plot(rows)


if __name__ == "__main__":
    main()
