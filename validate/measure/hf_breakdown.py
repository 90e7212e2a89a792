#!/usr/bin/env python3
"""Where the GPU's time of a generate() call goes: kernels of the prefill and of the decode steps, by kind.

  hf_breakdown.py --model llama-2-7b --dtype float16 --batch 8 --prompt 1024 [--new 9] [--cache static --compile] --out FILE.csv

Appends one row a phase and kind: the profiler's sum of kernel times, launches, and the wall time of the same phase
without the profiler. Needs a GPU, torch and transformers; random weights, nothing is downloaded.
"""
import argparse
import os
import time

import torch

from hf_generate import build_model, generate

KINDS = [("gemm", ("gemm", "nvjet", "cutlass", "gemv", "splitk", "cublas")),
         ("attention", ("flash", "fmha", "attention")),
         ("concatenation", ("catarray",)), ("copy", ("memcpy", "memset", "copy"))]


def kind_of(name):
    lower = name.lower()
    for kind, words in KINDS:
        if any(word in lower for word in words):
            return "attention" if kind == "gemm" and "fmha" in lower else kind
    return "elementwise"


def kernels(profile):
    sums = {}
    for event in profile.key_averages():
        if event.self_device_time_total <= 0 or event.device_type != torch.autograd.DeviceType.CUDA:
            continue
        kind = sums.setdefault(kind_of(event.key), [0.0, 0])
        kind[0] += event.self_device_time_total / 1e6
        kind[1] += event.count
    return sums


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--cache", default="dynamic", choices=["dynamic", "static"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--prompt", type=int, required=True)
    parser.add_argument("--new", type=int, default=9)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    model = build_model(args.model, getattr(torch, args.dtype), args.attention, "cuda")
    rows = []
    with torch.inference_mode():
        def call(new):
            torch.cuda.synchronize()
            start = time.perf_counter()
            times = generate(model, [dict(prompt=args.prompt, output=new)] * args.batch, args, "cuda")
            return times[0] - start, (times[-1] - times[0]) / max(1, new - 1)

        call(args.new), call(args.new)
        walls = [call(args.new) for _ in range(3)]
        prefill, decode = min(w[0] for w in walls), min(w[1] for w in walls)
        profiles = {}
        for phase, new in (("prefill", 1), ("whole", args.new)):
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
                call(new)
            profiles[phase] = kernels(profile)
    label = f"{args.model},{args.dtype},{args.attention},{args.cache}{'-compiled' if args.compile else ''},{args.batch},{args.prompt}"
    for kind in sorted(profiles["whole"]):
        time_1, count_1 = profiles["prefill"].get(kind, (0, 0))
        time_n, count_n = profiles["whole"][kind]
        steps = args.new - 1
        rows.append(f"{label},prefill,{kind},{time_1:.6f},{count_1},{prefill:.6f}")
        rows.append(f"{label},decode,{kind},{(time_n - time_1) / steps:.7f},{(count_n - count_1) / steps:.1f},{decode:.6f}")
    new_file = not os.path.exists(args.out)
    with open(args.out, "a") as file:
        if new_file:
            file.write("model,dtype,attention,cache,batch,prompt_tokens,phase,kind,gpu_s,launches,wall_s\n")
        file.write("\n".join(rows) + "\n")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
