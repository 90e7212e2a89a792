#!/usr/bin/env python3
"""Random valid scenarios, each run fast and step by step, and audited from outside.

usage: worlds.py BINARY [--count N] [--seed S] [--keep FOLDER] [--no-shrink]     N worlds from seed S on
       worlds.py BINARY --world FOLDER                              those kept there

A world is a dictionary of choices. One that fails is shrunk, choice by choice, to the smallest that still fails, and
written to FOLDER as JSON; put into tests/worlds/found it becomes a test. Needs nothing but Python.
"""
import argparse
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile

from audit import audit, differences

HERE = os.path.dirname(os.path.abspath(__file__))
SUPPORT = os.path.join(HERE, "..", "support")

# layers, hidden, heads, KV heads, head size, MLP, as in tests/support/*.yaml; both models are alike but for the window.
LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD, MLP = 2, 256, 4, 2, 64, 512
LINEAR = LAYERS * (HIDDEN * HEAD * (HEADS + 2 * KV_HEADS) + HEADS * HEAD * HIDDEN + 3 * HIDDEN * MLP)
KV_BYTES = 2 * LAYERS * KV_HEADS * HEAD * 2  # of one token
COPY_BANDWIDTH = 25e9  # PCIe
NODES = ["two-machines.yaml", "one-machine.yaml"]
CARDS = {"slow.yaml": (1e12, 100e9), "card.yaml": (1e18, 1e18)}

PRESETS = {  # engine settings beside the preset, one of each list
    "vllm-v1-2025": [{}, {"enable_prefix_caching": False}, {"long_prefill_token_threshold": 32},
                     {"kv_allocator": "contiguous-pow2"}, {"enable_chunked_prefill": False},
                     {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3, "acceptance_rate": 0.6,
                                             "found_fraction": 0.7}},
                     {"kv_offloading_size": "1 MiB"}],
    "vllm-v1-2026": [{}, {"watermark": 0.05}, {"async_scheduling": False},
                     {"speculative_config": {"method": "eagle", "num_speculative_tokens": 2, "acceptance_rate": 0.6}},
                     {"kv_offloading_size": "8 MiB"}],
    "disaggregated": [{}, {"kv_transfer": "push"}, {"kv_transfer": "push-layerwise"}, {"async_scheduling": False},
                      {"kv_transfer": "push-layerwise", "async_scheduling": False, "long_prefill_token_threshold": 32},
                      {"kv_offloading_size": "1 MiB"}, {"enable_prefix_caching": False}],
    "vllm-v0": [{}, {"enable_prefix_caching": True}, {"preemption_mode": "swap"}],
    "sarathi": [{}, {"chunk_size": 64}],
    "orca": [{}, {"kv_allocator": "contiguous-exact", "contiguous_fit": "best"}, {"kv_allocator": "contiguous-pow2"},
             {"kv_allocator": "paged"}],
    "hf-generate": [{}, {"cache_implementation": "static"}],
    "fastertransformer": [{}],
    "hf-continuous": [{}, {"policy": "prefill-first", "block_size": 16}],
    "hf-continuous-2025": [{}],
    "tgi": [{}],
}
LENGTHS = {
    "short": ({"distribution": "uniform", "min": 1, "max": 40}, 20),
    "lognormal": ({"distribution": "lognormal", "mean": 80, "cv": 1.2, "max": 400}, 75),
    "fixed": (64, 64),
    "long": ({"distribution": "exponential", "mean": 200, "min": 1, "max": 440}, 165),
}
SIMPLEST = {"requests": 5, "preset_variant": 0, "model": "tiny.yaml", "arrivals": "batch", "prompt": "fixed",
            "output": "fixed", "replicas": 1, "router": "round-robin", "tp": 1, "shared": 0, "samples": 1,
            "block_size": 16, "oversubscription": 0.25, "max_num_seqs": 4, "card": "slow.yaml", "pp": 1}


def draw(seed):
    r = random.Random(seed)
    preset = r.choice(list(PRESETS))
    return {"seed": seed, "preset": preset, "preset_variant": r.randrange(len(PRESETS[preset])),
            "model": r.choice(["tiny.yaml", "windowed.yaml"]), "card": r.choice(["slow.yaml", "slow.yaml", "card.yaml"]),
            "requests": r.choice([5, 20, 60, 120]), "arrivals": r.choice(
                ["batch", "poisson", "gamma", "constant", "on-off", "closed-loop", "sessions"]),
            "load": r.choice([0.1, 0.5, 0.9, 1.2, 3.0]), "prompt": r.choice(list(LENGTHS)),
            "output": r.choice(list(LENGTHS)), "replicas": r.choice([1, 1, 1, 2, 5]),
            "router": r.choice(["round-robin", "random", "least-outstanding", "prefix-affinity"]),
            "tp": r.choice([1, 1, 2]), "shared": r.choice([0, 0, 16, 50, 100]),
            "samples": r.choice([1, 1, 1, 3]) if preset in ("vllm-v0", "vllm-v1-2025") else 1,  # but for sessions
            "block_size": r.choice([1, 8, 16, 32]), "max_num_seqs": r.choice([1, 4, 16, 64]),
            "oversubscription": r.choice([0.25, 0.5, 1, 2, 4, 8]), "pp": r.choice([1, 1, 2])}


def stages_of(world):
    """Of the pipeline; one where the program simulates none."""
    settings = PRESETS[world["preset"]][world["preset_variant"]]
    has_some = world["preset"] in ("vllm-v0", "vllm-v1-2025", "vllm-v1-2026", "sarathi", "orca")
    return world.get("pp", 1) if has_some and not settings.keys() & {"speculative_config", "kv_offloading_size"} else 1


def scenario_of(world, rate):
    """As YAML's subset JSON, and what the auditor has to know of it."""
    preset, stages = world["preset"], stages_of(world)
    engine = {"preset": preset, "max_num_seqs": world["max_num_seqs"], "max_model_len": 1024,
              **PRESETS[preset][world["preset_variant"]]}
    allocator = engine.get("kv_allocator", "contiguous-max" if preset == "orca" else "paged")
    static = preset in ("hf-generate", "fastertransformer")
    prompt, mean_prompt = LENGTHS[world["prompt"]]
    output, mean_output = LENGTHS[world["output"]]
    block = 1
    if not static:
        if allocator == "paged" and "block_size" not in engine and not preset.startswith("hf-"):
            engine["block_size"] = world["block_size"]
        if allocator == "paged":
            block = engine.get("block_size", {"hf-continuous": 256, "hf-continuous-2025": 32}.get(preset, 16))
        wanted = world["max_num_seqs"] * (mean_prompt + mean_output) * world["samples"]
        # A null block, and one for each batch in flight.
        engine["num_gpu_blocks_override"] = 1 + max(stages, 1 + int(wanted / world["oversubscription"] / block))
    if preset.startswith("vllm-v1") or preset == "disaggregated":
        engine["max_num_batched_tokens"] = max(256, world["max_num_seqs"]) if engine.get(
            "enable_chunked_prefill", True) else 1024
    arrivals = {"batch": {"process": "batch"}, "poisson": {"process": "poisson", "rate": f"{rate}/s"},
                "gamma": {"process": "gamma", "rate": f"{rate}/s", "burstiness": 0.3},
                "constant": {"process": "constant", "rate": f"{rate}/s"},
                "on-off": {"process": "on-off", "rate": f"{2 * rate}/s", "on_time": "1 s", "off_time": "1 s"},
                "sessions": {"process": "poisson", "rate": f"{rate}/s"},
                "closed-loop": {"process": "closed-loop", "users": 5, "think_time": "10 ms"}}[world["arrivals"]]
    samples = 1 if world["arrivals"] == "sessions" else world["samples"]
    workload = {"requests": world["requests"], "arrivals": arrivals, "prompt_tokens": prompt, "output_tokens": output,
                "samples": samples}
    if world["shared"] and preset != "orca":
        workload["shared_prefix"] = {"tokens": world["shared"], "count": 3, "fraction": 0.7}
    if world["arrivals"] == "sessions":
        workload["sessions"] = {"turns": 4, "think_time": "50 ms"}
    scenario = {"name": "world", "seed": world["seed"], "model": os.path.join(SUPPORT, world["model"]),
                "hardware": os.path.join(SUPPORT, world["card"]), "engine": engine, "workload": workload,
                "cluster": {"replicas": world["replicas"], "router": world["router"], "tensor_parallel_size": world["tp"],
                            "pipeline_parallel_size": stages}}
    peak, bandwidth = CARDS[world["card"]]
    if preset == "disaggregated":
        prefill = (world["replicas"] + 1) // 2
        scenario["cluster"].update(replicas=2 * prefill, prefill_replicas=prefill, decode_replicas=prefill)
        if world["seed"] % 3:
            scenario["cluster"]["node"] = os.path.join(SUPPORT, NODES[world["seed"] % 3 - 1])
    shares = 1 if preset.startswith("vllm-v1") and allocator == "paged" else stages  # of queue and pool
    most_running = -(-world["max_num_seqs"] // shares)
    asynchronous = (stages == 1 or shares > 1) and preset in ("vllm-v1-2026", "disaggregated") and engine.get("async_scheduling", True)
    facts = {"requests": world["requests"], "samples": samples, "block": block, "static": static,
             "late_rows": asynchronous, "speculates": "speculative_config" in engine,
             "swaps": preset == "vllm-v0", "most_running": (2 if asynchronous else 1) * most_running,
             "stages": stages, "pool_shares": shares, "flops_per_token": 2 * LINEAR / world["tp"], "bytes_per_step": 2 * LINEAR / world["tp"], "peak": peak,
             "bandwidth": bandwidth, "copied_block": block * KV_BYTES // world["tp"], "ranks": world["tp"],
             "reduced_per_token": 2 * LAYERS * HIDDEN * 2 * 2 * (world["tp"] - 1) // world["tp"],  # each rank, each way
             "copy_bandwidth": 1e12 if "two-machines" in scenario["cluster"].get("node", "") else COPY_BANDWIDTH,
             "prefill_replicas": scenario["cluster"].get("prefill_replicas", 0),
             "pull": engine.get("kv_transfer", "pull") == "pull"}
    return scenario, facts


def simulate(binary, scenario, folder, *options):
    file = os.path.join(folder, "world.yaml")
    with open(file, "w") as f:
        json.dump(scenario, f)
    return subprocess.run([binary, "run", file, "--quiet", *options], capture_output=True, text=True, timeout=120)


def problems_of(binary, world):
    """What is wrong with a world; empty: nothing."""
    with tempfile.TemporaryDirectory() as folder:
        rate = 1.0
        if world["arrivals"] not in ("batch", "closed-loop"):  # a load relative to what it completes at its best
            at_once, _ = scenario_of({**world, "arrivals": "batch"}, 1)
            done = simulate(binary, at_once, folder, "--json")
            if done.returncode == 0:
                best = json.loads(done.stdout)["throughput"]["requests_per_s"]
                rate = max(1e-3, round(world["load"] * best, 3)) or 1.0
        scenario, facts = scenario_of(world, rate)
        runs = []
        for name, options in (("fast", ()), ("plain", ("--step-by-step",))):
            out, trace = os.path.join(folder, name), os.path.join(folder, name + ".trace")
            try:
                done = simulate(binary, scenario, folder, "--out", out, "--trace", trace, "--timeline", "full", *options)
            except subprocess.TimeoutExpired:
                return [f"{name}: no end within two minutes"]
            if done.returncode != 0:
                return [f"{name}: exit {done.returncode}: {done.stderr.strip()[-500:]}"]
            runs.append((name, out, trace))
        wrong = [f"{name}: {w}" for name, out, trace in runs for w in audit(out, trace, facts)]
        return wrong + differences(runs[0][1], runs[1][1])


def shrunk(binary, world):
    """The simplest world found that still has a problem."""
    smaller = True
    while smaller:
        smaller = False
        for key, simplest in SIMPLEST.items():
            for value in ([simplest] if key != "requests" else [5, 10, world["requests"] // 2]):
                trial = {**world, key: value}
                if world.get(key, simplest) == value or (key == "requests" and not 0 < value < world[key]):
                    continue
                if problems_of(binary, trial):
                    world, smaller = trial, True
                    break
    return world


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", default=".")
    parser.add_argument("--world")
    parser.add_argument("--no-shrink", action="store_true")
    a = parser.parse_args()
    if a.world:
        worlds = []
        for name in sorted(os.listdir(a.world)):
            with open(os.path.join(a.world, name)) as f:
                worlds.append(json.load(f))
    else:
        worlds = [draw(seed) for seed in range(a.seed, a.seed + a.count)]
    failed = []
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for world, wrong in zip(worlds, pool.map(lambda w: problems_of(a.binary, w), worlds)):
            if wrong:
                failed.append(world)
                print(f"world {world['seed']} ({world['preset']}):", *wrong[:5], sep="\n  ", flush=True)
    for world in [] if a.no_shrink else failed[:3]:
        small = world if a.world else shrunk(a.binary, world)
        file = os.path.join(a.keep, f"world-{world['seed']}.json")
        with open(file, "w") as f:
            json.dump(small, f, indent=1)
        print(f"shrunk to {file}:", json.dumps(small), *problems_of(a.binary, small)[:5], sep="\n  ")
    print(f"{len(worlds) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
