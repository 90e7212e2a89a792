#!/usr/bin/env python3
"""How far measured runs leave the intervals of costs and workload: the table of models/uncertainty.cpp, and its check.

  validate/fit/fit_discrepancy.py build/release/headroom

The measured runs that judge are split in two, by source: a file of validate/cases is in the fit part if the first byte
of the SHA-256 of its name (without .yaml) is below 128, in the judged part otherwise. The executor's runs, one source
by themselves (results/validation/execute-h100), are split by the names of their cases in the same way. Cases of part
`fit` are in neither: constants were fitted to them.

A measured value y leaves the drawn interval [l, h] by e = max(log(l / y), log(y / h)), negative inside of it. For each
kind of value and each ground, the discrepancy is the conformal quantile of e over the fit part (conformalized quantile
regression: Romano, Patterson, Candes 2019): with n cases, each of weight 1 / (n + 1) shared by the figures published of
it, the least e that 0.9 of the weight does not exceed (hierarchical data: Lee, Barber, Willett 2023). Worse ground is
never given less than better ground; fewer than 9 cases cannot give it, and take what all grounds together give. The
guarantee behind it wants cases that are exchangeable with the judged ones, which those of other sources are not: that is
what the judged part is there to say.
"""
import hashlib
import json
import math
import os
import subprocess
import sys
import tarfile
import tempfile
from glob import glob

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEVEL, FEWEST = 0.9, 9
KINDS = ("first token", "time", "memory")
GROUNDS = ("own kernels", "kernel tables", "fitted", "datasheet")


def part_of(name):
    return "fit" if hashlib.sha256(name.encode()).digest()[0] < 128 else "judge"


def kind_of(metric):
    if metric.endswith("_bytes") or metric in ("kv_pool_tokens", "num_gpu_blocks", "reported_gpu_blocks"):
        return "memory"
    family = metric.split(".")[0]
    if family in ("ttft_s", "queue_s"):
        return "first token"
    return "time" if family.endswith("_s") or "_per_" in family else None


def validate(binary, path):
    out = subprocess.run([binary, "validate", "--json", path], stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout
    return json.loads(out)["cases"]


def measured_cases(binary):
    """Pairs of (name that is hashed, case)."""
    cases = []
    for file in sorted(glob(os.path.join(ROOT, "validate/cases/*.yaml"))):
        name = os.path.basename(file)[:-len(".yaml")]
        cases += [(name, case) for case in validate(binary, file) if case["part"] == "judge"]
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(os.path.join(ROOT, "results/validation/execute-h100/executed.tar.gz")) as tar:
            tar.extractall(folder)
        for path in sorted(glob(os.path.join(folder, "**/summary.json"), recursive=True)):
            name = os.path.basename(os.path.dirname(path))
            for case in validate(binary, os.path.dirname(path)):
                cases.append((name, {**case, "title": "run against execute, H100", "case": name}))
    return cases


def values_of(cases):
    for name, case in cases:
        for v in case["values"]:
            kind = kind_of(v["metric"])
            if kind and v["interval"] and v["measured"] > 0:
                yield {"part": part_of(name), "source": name, "case": case["title"] + case["case"], "kind": kind,
                       "ground": case["ground"], **v}


def excess(v):
    return max(math.log(v["drawn"][0] / v["measured"]), math.log(v["measured"] / v["drawn"][1]))


def conformal(values):
    """The quantile, and how many cases it is of."""
    count = {}
    for v in values:
        count[v["case"]] = count.get(v["case"], 0) + 1
    n = len(count)
    wanted, seen = LEVEL * (n + 1), 0.0
    for v in sorted(values, key=excess):
        seen += 1 / count[v["case"]]
        if seen >= wanted - 1e-9:
            return excess(v), n
    return (excess(max(values, key=excess)) if values else 0.0), n


def main():
    values = list(values_of(measured_cases(os.path.abspath(sys.argv[1]))))
    fit = [v for v in values if v["part"] == "fit"]
    for kind in KINDS:
        pooled, _ = conformal([v for v in fit if v["kind"] == kind])
        least, row = 0.0, []
        for ground in GROUNDS:
            own, n = conformal([v for v in fit if v["kind"] == kind and v["ground"] == ground])
            least = max(least, own if n >= FEWEST else pooled)
            row.append(f"{least:.3f} ({n} cases)" if n >= FEWEST else f"{least:.3f} (all grounds)")
        print(f"{kind}: " + ", ".join(row))


def coverage(values):
    """How many, share inside of the drawn interval and of the widened one, median half-width as a factor."""
    inside = lambda v, which: v[which][0] <= v["measured"] <= v[which][1]
    widths = sorted(math.sqrt(v["interval"][1] / v["interval"][0]) for v in values)
    return (len(values), sum(inside(v, "drawn") for v in values) / len(values),
            sum(inside(v, "interval") for v in values) / len(values), widths[len(widths) // 2])


if __name__ == "__main__":
    main()
