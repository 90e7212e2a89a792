#!/usr/bin/env python3
"""Fit the A10G profile's efficiencies and three host costs to the `part: fit` cases, and print what to write where.

  validate/fit/fit_a10g.py build/release/headroom

The cases of part `judge` are not read. Minimises the squared log errors over an 8 % deviation, plus a prior that keeps
each parameter near where it starts. Large products may not pass the 64.3 of 70 TFLOP/s that were measured alone (senpai
pull request 68); weights are streamed at 0.80 of nominal within 10 %. Needs numpy and scipy.
"""
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from glob import glob

import numpy as np
from scipy.optimize import least_squares

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# name, file, pattern of the value, unit, start, lowest, highest, standard deviation of the prior (log)
PARAMETERS = [
    ("gemm_compute", "hardware/a10g.yaml", r"(gemm_compute: \{value: )([\d.]+)", "", 64.3 / 70, 0.6, 64.3 / 70 + 1e-3, 0.05),
    ("gemm_memory", "hardware/a10g.yaml", r"(gemm_memory: \{value: )([\d.]+)", "", 0.80, 0.6, 0.95, 0.10),
    ("attention_memory", "hardware/a10g.yaml", r"(attention_memory: \{value: )([\d.]+)", "", 0.80, 0.5, 0.95, 0.15),
    ("elementwise_memory", "hardware/a10g.yaml", r"(elementwise_memory: \{value: )([\d.]+)", "", 0.80, 0.5, 0.95, 0.10),
    ("launch_time", "hardware/a10g.yaml", r"(launch_time: \{value: )([\d.]+)", " us", 20, 12, 30, 0.3),
    ("vllm-v0 per_step", "engines/vllm-v0.yaml", r"(per_step: )([\d.]+)", " ms", 1.5, 0.05, 8, 1.0),
    ("tgi per_step", "engines/tgi.yaml", r"(per_step: )([\d.]+)", " ms", 1.0, 0.05, 8, 1.0),
]


def write(folder, values):
    for (_, file, pattern, *_), value in zip(PARAMETERS, values):
        path = os.path.join(folder, file)
        text = open(path).read()
        text, count = re.subn(pattern, lambda m: m.group(1) + f"{value:.6g}", text, count=1)
        assert count == 1, file
        open(path, "w").write(text)


def errors(binary, folder):
    files = sorted(glob(os.path.join(ROOT, "validate/cases/a10g-*.yaml")))
    files = [f for f in files if "part: fit" in open(f).read()]
    out = subprocess.run([binary, "validate", "--json", "--part", "fit", *files], stdout=subprocess.PIPE, check=True,
                         env={**os.environ, "HEADROOM_CONFIGS": folder})
    result = []
    for case in json.loads(out.stdout)["cases"]:
        for value in case["values"]:
            if value["metric"] in ("peak_allocated_bytes", "kv_pool_tokens", "output_tokens_per_s"):
                continue  # memory does not depend on these; throughput is its latencies once more
            result.append((case["title"], case["case"], value["metric"], math.log1p(value["error"])))
    return result


def main():
    binary = os.path.abspath(sys.argv[1])
    start = np.array([p[4] for p in PARAMETERS])
    with tempfile.TemporaryDirectory() as folder:
        configs = os.path.join(folder, "configs")
        shutil.copytree(os.path.join(ROOT, "configs"), configs)

        def residuals(x):
            values = start * np.exp(x - 1)
            write(configs, values)
            all_errors = errors(binary, configs)
            data = [e / 0.08 for *_, e in all_errors]
            prior = [math.log(v / s) / p[7] for v, s, p in zip(values, start, PARAMETERS)]
            return np.array(data + prior)

        low, high = (1 + np.log(np.array([p[i] for p in PARAMETERS]) / start) for i in (5, 6))
        fit = least_squares(residuals, np.ones(len(start)), bounds=(low, high), diff_step=0.03, max_nfev=12)
        values = start * np.exp(fit.x - 1)
        write(configs, values)
        final = errors(binary, configs)
    for (name, *_), value in zip(PARAMETERS, values):
        print(f"{name:22} {value:.4g}")
    for title, case, metric, error in sorted(final, key=lambda e: -abs(e[3])):
        print(f"{100 * math.expm1(error):+6.1f} %  {metric:14} {title}: {case}")
    print(f"deviation of the log errors {np.std([e[3] for e in final]):.3f}")


if __name__ == "__main__":
    main()
