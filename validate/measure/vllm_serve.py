#!/usr/bin/env python3
"""Measure vLLM with dummy weights of a named shape, and leave a folder that `headroom validate` takes.

  headroom run SCENARIO.yaml --export-workload requests.csv --quiet
  vllm_serve.py --model llama-3.1-8b --hardware a10g --workload requests.csv --out DIR [--offline]
  headroom validate DIR

Written against the documented interface of vLLM 0.11 to 0.19 (LLM, AsyncEngineArgs, AsyncLLMEngine, load_format
"dummy"). Versions it was run with: none yet.

Requests come from --workload (CSV: arrival_s,prompt_tokens,output_tokens). Served: each is sent when it arrives, tokens
are timed as they come out of the engine, without HTTP between. Offline: all at once through LLM.generate(). Nothing is
downloaded: the shape is written as a config.json, prompts are random token ids, end-of-sequence is ignored.

The folder: requests.csv, bench.json (vLLM's own field names), startup.json (blocks, KV tokens, bytes in use),
measured.yaml.
"""
import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time

import yaml

from measured_folder import ROOT, bench, percentile, read_workload, write, write_requests

ARCHITECTURES = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "mixtral": "MixtralForCausalLM",
                 "opt": "OPTForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM",
                 "gpt_neox": "GPTNeoXForCausalLM", "gpt2": "GPT2LMHeadModel", "gemma2": "Gemma2ForCausalLM"}


def model_folder(name, folder):
    path = name if os.path.exists(name) else os.path.join(ROOT, "configs", "models", name + ".yaml")
    with open(path) as file:
        shape = yaml.safe_load(file)
    if shape["model_type"] not in ARCHITECTURES:
        sys.exit(f"{path}: error: no architecture known for model_type '{shape['model_type']}'")
    shape.setdefault("architectures", [ARCHITECTURES[shape["model_type"]]])
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(shape, file)
    return shape


def engine_arguments(args, folder):
    options = dict(model=folder, load_format="dummy", skip_tokenizer_init=True, dtype=args.dtype,
                   tensor_parallel_size=args.tensor_parallel_size, gpu_memory_utilization=args.gpu_memory_utilization,
                   enforce_eager=args.enforce_eager, enable_prefix_caching=args.enable_prefix_caching)
    for name in ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "block_size"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    return options


def prompts(workload, vocabulary):
    rng = random.Random(0)
    return [[rng.randrange(10, vocabulary - 10) for _ in range(r["prompt"])] for r in workload]


def sampling(vllm, request):
    return vllm.SamplingParams(temperature=0, max_tokens=request["output"], ignore_eos=True, detokenize=False)


def startup_facts(config):
    facts = {"num_gpu_blocks": config.cache_config.num_gpu_blocks, "block_size": config.cache_config.block_size,
             "max_num_seqs": config.scheduler_config.max_num_seqs,
             "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
             "max_model_len": config.model_config.max_model_len}
    try:
        import torch
        free, total = torch.cuda.mem_get_info()
        facts.update(device=torch.cuda.get_device_name(), device_bytes=total, used_bytes=total - free)
    except Exception as error:  # the engine's process owns the device; the facts above stand without it
        facts["device_facts_missing"] = str(error)
    return facts


async def served(vllm, args, folder, workload, ids):
    engine = vllm.AsyncLLMEngine.from_engine_args(vllm.AsyncEngineArgs(**engine_arguments(args, folder)))
    facts = startup_facts(engine.vllm_config)

    async def one(index, started):
        request = workload[index]
        await asyncio.sleep(max(0.0, request["arrival"] - (time.perf_counter() - started)))
        times, seen = [], 0
        async for output in engine.generate(vllm.TokensPrompt(prompt_token_ids=ids[index]), sampling(vllm, request), str(index)):
            new = len(output.outputs[0].token_ids) - seen
            times += [time.perf_counter() - started] * new
            seen += new
        return dict(request, first=times[0], finish=times[-1], times=times)

    warm = dict(prompt=len(ids[0]), output=4)
    async for _ in engine.generate(vllm.TokensPrompt(prompt_token_ids=ids[0]), sampling(vllm, warm), "warm-up"):
        pass
    started = time.perf_counter()
    done = await asyncio.gather(*(one(i, started) for i in range(len(workload))))
    engine.shutdown()
    return list(done), facts


def offline(vllm, args, folder, workload, ids):
    llm = vllm.LLM(**engine_arguments(args, folder), disable_log_stats=False)
    facts = startup_facts(llm.llm_engine.vllm_config)
    tokens = [vllm.TokensPrompt(prompt_token_ids=i) for i in ids]
    llm.generate(tokens[:1], sampling(vllm, dict(output=4)), use_tqdm=False)
    started = time.time()
    outputs = llm.generate(tokens, [sampling(vllm, r) for r in workload], use_tqdm=False)
    duration = time.time() - started
    done = []
    for request, output in zip(workload, outputs):
        m = output.metrics  # none in versions that keep no per-request times: then only the throughput is known
        first = m.first_token_latency if m is not None and getattr(m, "first_token_latency", None) else None
        last = m.last_token_ts - m.first_token_ts + first if first is not None else duration
        done.append(dict(request, arrival=0.0, first=first if first is not None else duration, finish=last, times=[]))
    return done, facts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a name under configs/models, or a YAML or config.json of a shape")
    parser.add_argument("--hardware", required=True, help="the profile that is to predict this run")
    parser.add_argument("--preset", default="vllm-v1-2026", help="the engine preset that is to predict this run")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--workload", required=True)
    parser.add_argument("--offline", action="store_true", help="all requests at once, through LLM.generate()")
    parser.add_argument("--tensor-parallel-size", type=int, default=1)
    parser.add_argument("--gpu-memory-utilization", type=float, default=0.9)
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--max-num-seqs", type=int)
    parser.add_argument("--max-num-batched-tokens", type=int)
    parser.add_argument("--block-size", type=int)
    parser.add_argument("--enforce-eager", action="store_true")
    parser.add_argument("--enable-prefix-caching", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    workload = read_workload(args.workload)
    import vllm
    os.makedirs(args.out, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        shape = model_folder(args.model, folder)
        ids = prompts(workload, shape["vocab_size"])
        if args.offline:
            done, facts = offline(vllm, args, folder, workload, ids)
        else:
            done, facts = asyncio.run(served(vllm, args, folder, workload, ids))
    facts["vllm"] = vllm.__version__
    if args.offline:
        for request in done:
            request["arrival"] = 0.0
    write_requests(args.out, done)
    write(args.out, "bench.json", json.dumps(bench(done, "vllm"), indent=1) + "\n")
    write(args.out, "startup.json", json.dumps(facts, indent=1) + "\n")

    engine = {"preset": args.preset, "gpu_memory_utilization": args.gpu_memory_utilization,
              "block_size": facts["block_size"], "enable_prefix_caching": args.enable_prefix_caching,
              "enforce_eager": args.enforce_eager, "max_model_len": facts["max_model_len"],
              "max_num_seqs": facts["max_num_seqs"], "max_num_batched_tokens": facts["max_num_batched_tokens"]}
    metrics = {"reported_gpu_blocks": facts["num_gpu_blocks"]}
    gaps = [b - a for r in done for a, b in zip(r["times"], r["times"][1:])]
    if gaps:
        metrics.update({"itl_s.mean": f"{1e3 * sum(gaps) / len(gaps):.6g} ms", "itl_s.p50": f"{1e3 * percentile(gaps, 50):.6g} ms",
                        "itl_s.p99": f"{1e3 * percentile(gaps, 99):.6g} ms"})
    measured = {
        "measured": f"vLLM {vllm.__version__}, {args.model} on {facts.get('device', args.hardware)}",
        "source": f"validate/measure/vllm_serve.py, vLLM {vllm.__version__}",
        "scenario": {"model": args.model, "hardware": args.hardware, "dtype": args.dtype,
                     "cluster": {"tensor_parallel_size": args.tensor_parallel_size}, "engine": engine,
                     "workload": {"trace": {"format": "csv", "path": "requests.csv"}, "ignore_eos": True}},
        "cases": {"offline" if args.offline else "served": {"metrics": metrics, "requests": "requests.csv"}},
    }
    write(args.out, "measured.yaml", yaml.safe_dump(measured, sort_keys=False, width=120))


if __name__ == "__main__":
    main()
