#!/usr/bin/env python3
"""`run` beside `execute`: compare.py HEADROOM EXECUTED. EXECUTED holds one folder a case, as execute_all.sh leaves them.

Each case is predicted twice: by the cost model, and replayed on the executor's own step times. Writes errors.csv, worst
TTFT first. Host costs are those of the scenarios beside this file, fitted to FITTED's steps; the others judge them.
"""
import csv
import json
import os
import subprocess
import sys
import tempfile

FITTED = "1b-paged-load0.7-over0.5"
HOST = ["--set", "engine.host.per_step=27.0 us", "--set", "engine.host.per_sequence=0.187 us",
        "--set", "engine.host.per_prefill_token=0.0258 us"]
LATENCIES = [(name, at) for name in ("ttft_s", "tpot_s", "e2el_s") for at in ("p50", "p99")]


def summary(headroom, *options):
    return json.loads(subprocess.run([headroom, "run", *options, "--json"], check=True, capture_output=True).stdout)


def total(folder, column, prompts):
    import gzip
    with gzip.open(os.path.join(folder, "steps-compared.csv.gz"), "rt") as file:
        return sum(float(r[column]) for r in csv.DictReader(file) if (r["chunks"] != "0") == prompts)


def main():
    headroom, executed = sys.argv[1:]
    rows = []
    for case in sorted(os.listdir(executed)):
        folder = os.path.join(executed, case)
        scenario = os.path.join(folder, "scenario.yaml")
        if not os.path.exists(scenario):
            continue
        with open(os.path.join(folder, "summary.json")) as file:
            measured = json.load(file)
        predicted = summary(headroom, scenario, *HOST)
        with tempfile.TemporaryDirectory() as out:
            replayed = summary(headroom, scenario, "--replay-steps", os.path.join(folder, "steps.csv.gz"), "--out", out)
            row = {"case": case}
            for name, prompts in (("decode_gpu_error_pct", False), ("prompt_gpu_error_pct", True)):
                row[name] = 100 * (total(out, "predicted_gpu_s", prompts) / total(out, "gpu_s", prompts) - 1)
        rate = "output_tokens_per_s"
        row["throughput_error_pct"] = 100 * (predicted["throughput"][rate] / measured["throughput"][rate] - 1)
        for name, at in LATENCIES:
            row[f"{name[:-2]}_{at}_error_pct"] = 100 * (predicted["latency"][name][at] / measured["latency"][name][at] - 1)
        for kind, run in (("measured", measured), ("predicted", predicted), ("replayed", replayed)):
            row[f"preemptions_{kind}"] = run["scheduler"]["preemptions"]
        waste = measured["memory"]["waste"]
        row["replayed_waste_difference"] = max(abs(waste[k] - replayed["memory"]["waste"][k]) for k in waste)
        rows.append(row)
    rows.sort(key=lambda r: -abs(r["ttft_p50_error_pct"]))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "errors.csv"), "w") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
    bounds = {"throughput": 3, "ttft_p50": 5, "tpot_p50": 5, "e2el_p50": 5, "ttft_p99": 10, "tpot_p99": 10, "e2el_p99": 10}
    for name, bound in bounds.items():
        errors = [r[f"{name}_error_pct"] for r in rows]
        print(f"{name:12} within {bound:2} %: {sum(abs(e) <= bound for e in errors):2} of {len(rows)}"
              f"   {min(errors):+.1f} to {max(errors):+.1f} %")
    print("preemptions replayed equal:", all(r["preemptions_measured"] == r["preemptions_replayed"] for r in rows),
          "  largest difference of a waste fraction:", max(r["replayed_waste_difference"] for r in rows))


if __name__ == "__main__":
    main()
