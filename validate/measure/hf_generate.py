#!/usr/bin/env python3
"""Measure Hugging Face generate() with random weights of a named shape, and leave a folder that `headroom validate` takes.

  headroom run SCENARIO.yaml --export-workload requests.csv --quiet
  hf_generate.py --model llama-3.2-1b --workload requests.csv --rows 8 --out DIR
  headroom validate DIR

Needs torch and transformers; nothing is downloaded. The weights are random numbers, since timing does not depend on
their values; end-of-sequence is off, so each request makes the tokens it asks for.

Requests come from --workload (CSV: arrival_s,prompt_tokens,output_tokens) and are served as a plain server would:
whenever idle, take up to --rows waiting requests in order of arrival, pad on the left to the longest prompt, generate to
the longest output; all answers end with the batch. With --repeats the whole workload is served again and again.

The folder: requests.csv (times of the first repeat), bench.json (as vLLM's benchmark client names its fields),
memory.json (bytes before the first batch, peak allocated, reserved), scenario as part of measured.yaml.
"""
import argparse
import json
import os
import time

import torch
import transformers
import yaml

from measured_folder import ROOT, bench, percentile, read_workload, write, write_requests


def build_model(name, dtype, attention, device):
    path = name if os.path.exists(name) else os.path.join(ROOT, "configs", "models", name + ".yaml")
    with open(path) as file:
        shape = yaml.safe_load(file)
    config = transformers.AutoConfig.for_model(shape.pop("model_type"), **shape)
    torch.manual_seed(0)
    with torch.device(device):  # the library's own initialisation, on the device: random numbers
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    model.eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model


class Clock(transformers.StoppingCriteria):
    """Notes when each token is there: the device is synchronised after every step, as a streaming server must."""

    def __init__(self, device):
        self.sync = torch.cuda.synchronize if device == "cuda" else lambda: None
        self.times = []

    def __call__(self, input_ids, scores, **kwargs):
        self.sync()
        self.times.append(time.perf_counter())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def generate(model, batch, args, device):
    longest = max(r["prompt"] for r in batch)
    new = max(r["output"] for r in batch)
    ids = torch.randint(1, model.config.vocab_size, (len(batch), longest), device=device)
    mask = torch.ones_like(ids)
    for row, request in enumerate(batch):
        mask[row, : longest - request["prompt"]] = 0
    clock = Clock(device)
    options = {}
    if args.cache == "static":
        options["cache_implementation"] = "static"
        options["disable_compile"] = not args.compile
    model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=new,
                   stopping_criteria=[clock], **options)
    return clock.times


def serve(model, workload, args, device):
    """One pass over the workload; returns per-request times from its start and all gaps between tokens of a batch."""
    waiting, done, gaps = list(workload), [], []
    started = time.perf_counter()
    now = lambda: time.perf_counter() - started
    while waiting:
        if waiting[0]["arrival"] > now():
            time.sleep(waiting[0]["arrival"] - now())
        arrived = now()
        batch = [r for r in waiting[: args.rows] if r["arrival"] <= arrived]
        del waiting[: len(batch)]
        begin = now()
        times = [t - started for t in generate(model, batch, args, device)]
        gaps.append([b - a for a, b in zip(times, times[1:])])
        for r in batch:
            done.append(dict(r, scheduled=begin, first=times[0], finish=times[-1]))
    return done, gaps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a name under configs/models, or a YAML or config.json of a shape")
    parser.add_argument("--hardware", default="h100-sxm", help="the profile that is to predict this run")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--cache", default="dynamic", choices=["dynamic", "static"])
    parser.add_argument("--compile", action="store_true", help="static cache: compile the decode step, replay it as a graph")
    parser.add_argument("--workload", required=True)
    parser.add_argument("--rows", type=int, default=8, help="most rows of one generate() call")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    if args.compile and args.cache != "static":
        parser.error("--compile needs --cache static")
    device = args.device
    workload = read_workload(args.workload)
    os.makedirs(args.out, exist_ok=True)

    model = build_model(args.model, getattr(torch, args.dtype), args.attention, device)
    cuda = device == "cuda"
    with torch.inference_mode():
        # Warm-up: libraries load, workspaces are taken; with --compile every batch shape is compiled here.
        longest = max(workload, key=lambda r: r["prompt"] + r["output"])
        generate(model, [dict(prompt=8, output=4)] * min(args.rows, len(workload)), args, device)
        if args.compile:
            generate(model, [longest] * min(args.rows, len(workload)), args, device)
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() if cuda else 0
        passes = [serve(model, workload, args, device) for _ in range(args.repeats)]

    facts = {
        "device": torch.cuda.get_device_name() if cuda else "cpu", "torch": torch.__version__,
        "transformers": transformers.__version__, "parameters": sum(p.numel() for p in model.parameters()),
        "allocated_before_bytes": before,
        "peak_allocated_bytes": torch.cuda.max_memory_allocated() if cuda else None,
        "reserved_bytes": torch.cuda.max_memory_reserved() if cuda else None,
    }
    write_requests(args.out, passes[0][0])
    write(args.out, "memory.json", json.dumps(facts, indent=1) + "\n")
    benches = [bench(p[0], "transformers") for p in passes]
    write(args.out, "bench.json", json.dumps(benches[0], indent=1) + "\n")

    # Values of all repeats, so that the spread of the measurement is known.
    units = {"requests_per_s": ("request_throughput", "/s", 1), "output_tokens_per_s": ("output_throughput", "/s", 1),
             "ttft_s.mean": ("mean_ttft_ms", " ms", 1), "ttft_s.p50": ("median_ttft_ms", " ms", 1),
             "tpot_s.mean": ("mean_tpot_ms", " ms", 1), "tpot_s.p50": ("median_tpot_ms", " ms", 1),
             "e2el_s.mean": ("mean_e2el_ms", " ms", 1), "e2el_s.p50": ("median_e2el_ms", " ms", 1)}
    metrics = {name: [f"{b[key]:.6g}{unit}" for b in benches] for name, (key, unit, _) in units.items() if key in benches[0]}
    gaps = [[g for batch in p[1] for g in batch] for p in passes]
    if all(gaps):
        metrics["itl_s.min"] = [f"{1e3 * min(g):.6g} ms" for g in gaps]
        metrics["itl_s.p50"] = [f"{1e3 * percentile(g, 50):.6g} ms" for g in gaps]
    if cuda:
        metrics["peak_allocated_bytes"] = f"{facts['peak_allocated_bytes']} B"
    engine = {"preset": "hf-generate", "max_num_seqs": args.rows, "cache_implementation": args.cache,
              "attention": "flash" if args.attention == "sdpa" else "eager"}
    if args.compile:
        engine["execution"] = "compiled"
    measured = {
        "measured": f"generate() of {args.model} on {facts['device']}",
        "source": f"validate/measure/hf_generate.py, torch {torch.__version__}, transformers {transformers.__version__}",
        "scenario": {"model": args.model, "hardware": args.hardware, "dtype": args.dtype, "engine": engine,
                     "workload": {"trace": {"format": "csv", "path": "requests.csv"}, "ignore_eos": True}},
        "cases": {f"{args.attention} {args.cache}{' compiled' if args.compile else ''}, up to {args.rows} rows":
                  {"metrics": metrics}},
    }
    write(args.out, "measured.yaml", yaml.safe_dump(measured, sort_keys=False, width=120))
    print(json.dumps({**facts, **benches[0]}))


if __name__ == "__main__":
    main()
