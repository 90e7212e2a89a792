# Measures what streaming weights costs: layers of Llama-2-7B's size in pinned host memory are copied to the GPU ahead of
# their use, beside one copy alone and the layers' products alone. Needs PyTorch and a CUDA GPU.
#
#   python3 validate/zero_stream.py OUT.csv        columns as in validate/data/h100_zero_stream.csv
import sys
import time

import torch

HIDDEN, INNER, LAYERS = 4096, 11008, 16
SHAPES = [(HIDDEN, 3 * HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * INNER), (INNER, HIDDEN)]
LAYER_BYTES = sum(2 * k * n for k, n in SHAPES)


def best_time(work, repetitions):
    best = float("inf")
    for _ in range(repetitions):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def copy_time(size):
    host = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    device = torch.empty(size, dtype=torch.uint8, device="cuda")
    return best_time(lambda: device.copy_(host, non_blocking=True), 8)


def compute(weights, x):
    y = (x @ weights[0])[:, :HIDDEN] @ weights[1]
    inner = (x @ weights[2])[:, :INNER]
    return (inner @ weights[3] + y) * 0.001


# One pass with `ahead` layers fetched while one computes, and the same layers without fetching: seconds each.
def pass_times(host, batch, ahead):
    slots = [[torch.empty(k, n, dtype=torch.float16, device="cuda") for k, n in SHAPES] for _ in range(ahead + 1)]
    first = torch.full((batch, HIDDEN), 0.01, dtype=torch.float16, device="cuda")
    copies, products = torch.cuda.Stream(), torch.cuda.current_stream()

    def streamed():
        fetched, computed = [None] * LAYERS, [None] * LAYERS
        copies.wait_stream(products)

        def fetch(layer):
            with torch.cuda.stream(copies):
                if layer > ahead:
                    copies.wait_event(computed[layer - ahead - 1])
                for slot, weights in zip(slots[layer % (ahead + 1)], host[layer]):
                    slot.copy_(weights, non_blocking=True)
                fetched[layer] = torch.cuda.Event()
                fetched[layer].record(copies)

        for layer in range(min(ahead, LAYERS)):
            fetch(layer)
        x = first
        for layer in range(LAYERS):
            if layer + ahead < LAYERS:
                fetch(layer + ahead)
            products.wait_event(fetched[layer])
            x = compute(slots[layer % (ahead + 1)], x)
            computed[layer] = torch.cuda.Event()
            computed[layer].record(products)

    def resident():
        x = first
        for _ in range(LAYERS):
            x = compute(slots[0], x)

    streamed(), resident()  # warm up
    return best_time(streamed, 5), best_time(resident, 5)


def main():
    host = [[torch.full(s, 0.001, dtype=torch.float16).pin_memory() for s in SHAPES] for _ in range(LAYERS)]
    with open(sys.argv[1], "w") as out:
        print("case,layers,layer_bytes,batch,prefetch_layers,seconds_per_step,compute_seconds_per_step", file=out)
        for size in (1e6, 4e6, 16e6, 64e6, 256e6, LAYER_BYTES, 1024e6):
            print(f"copy,1,{int(size)},0,0,{copy_time(int(size)):.6g},0", file=out)
        for batch in (1, 64, 1024, 4096, 8192, 16384):
            for ahead in (0, 1, 2):
                step, alone = pass_times(host, batch, ahead)
                print(f"stream,{LAYERS},{LAYER_BYTES},{batch},{ahead},{step:.6g},{alone:.6g}", file=out)


if __name__ == "__main__":
    main()
