#!/usr/bin/env python3
"""What generate() does before its first kernel: from the call to the first forward pass, on the host.

  hf_call.py > FILE.csv

Needs a GPU, torch and transformers; random weights, nothing is downloaded.
"""
import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {"1b": (16, 2048, 8192, 32, 8, 128256), "7b": (32, 4096, 11008, 32, 32, 32000)}
REPETITIONS = 9


def build(layers, hidden, intermediate, heads, kv_heads, vocabulary):
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        return LlamaForCausalLM(LlamaConfig(
            num_hidden_layers=layers, hidden_size=hidden, intermediate_size=intermediate, num_attention_heads=heads,
            num_key_value_heads=kv_heads, vocab_size=vocabulary)).eval()


def main():
    print("model,cache,batch,prompt_tokens,before_forward_ms,interquartile_ms,first_forward_host_ms,later_forward_host_ms")
    for name, shape in SHAPES.items():
        model, marks = build(*shape), []
        for register in (model.register_forward_pre_hook, model.register_forward_hook):
            register(lambda *_: marks.append(time.perf_counter()))
        for cache, options in (("dynamic", {}), ("static", {"cache_implementation": "static", "disable_compile": True})):
            for batch, prompt in ((1, 1), (1, 128), (1, 1024), (8, 128), (32, 128)):
                ids = torch.randint(5, 30000, (batch, prompt), device="cuda")
                before, first, later = [], [], []
                for repetition in range(REPETITIONS + 2):
                    marks.clear()
                    torch.cuda.synchronize()
                    called = time.perf_counter()
                    model.generate(ids, max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0, **options)
                    if repetition < 2:
                        continue
                    passes = list(zip(marks[::2], marks[1::2]))
                    before.append(passes[0][0] - called)
                    first.append(passes[0][1] - passes[0][0])
                    later.append(statistics.median(end - start for start, end in passes[1:]))
                low, _, high = statistics.quantiles(before, n=4)
                print(f"{name},{cache},{batch},{prompt}," + ",".join(f"{1e3 * t:.2f}" for t in (
                    statistics.median(before), high - low, statistics.median(first), statistics.median(later))))
        del model


if __name__ == "__main__":
    main()
