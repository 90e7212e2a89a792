#!/usr/bin/env python3
"""What picking tokens costs on the GPU: the argmax, a draw, and a draw from the top p, as vLLM runs them in PyTorch.

  sampling.py > FILE.csv

Kernels are queued behind a busy GPU, so that the host does not count. Needs a GPU and torch.
"""
import torch

ROWS = (1, 2, 4, 8, 9, 16, 22, 32, 48, 64, 96, 128, 192, 256)


def greedy(logits, _):
    return logits.float().argmax(-1)


def draw(logits):
    probabilities = logits.softmax(-1, dtype=torch.float32)
    return probabilities.div_(torch.empty_like(probabilities).exponential_()).argmax(-1)


def random(logits, _):
    return draw(logits.float().div_(0.6))


def top_p(logits, p):
    logits = logits.float().div_(0.6)
    values, places = logits.sort(dim=-1)
    mass = values.softmax(-1)
    below = torch.cumsum(mass, -1, out=mass) <= 1 - p.unsqueeze(1)
    below[:, -1] = False
    values.masked_fill_(below, -float("inf"))
    return draw(logits.scatter_(-1, places, values))


def gpu_us(call, times=5, repetitions=7):
    for _ in range(times):
        call()
    taken = []
    for _ in range(repetitions):
        torch.cuda.synchronize()
        torch.cuda._sleep(4_000_000)
        start, end = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        for _ in range(times):
            call()
        end.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(end) / times * 1e3)
    taken.sort()
    return taken[repetitions // 2], (taken[-2] - taken[1]) / 2 / taken[repetitions // 2]


def main():
    torch.manual_seed(0)
    print("vocabulary,rows,rule,gpu_us,spread")
    for vocabulary in (32000, 50272, 128256, 151936):
        for rows in ROWS:
            logits = 3 * torch.randn(rows, vocabulary, device="cuda", dtype=torch.bfloat16)
            p = torch.full((rows,), 0.9, device="cuda")
            for name, rule in (("greedy", greedy), ("random", random), ("top-p", top_p)):
                us, spread = gpu_us(lambda: rule(logits, p))
                print(f"{vocabulary},{rows},{name},{us:.1f},{spread:.3f}")


if __name__ == "__main__":
    main()
