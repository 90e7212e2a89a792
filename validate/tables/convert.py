#!/usr/bin/env python3
"""Makes configs/hardware/tables/*.csv from the published kernel tables, and two from this project's own.

usage: convert.py FOLDER   where FOLDER holds the tables as named in configs/hardware/tables/SOURCES.md

Thins them to what the model interpolates well between, and gives the layer and attention tables of LLMServingSim and
Vidur our columns. A row is a curve: one column for each value of the key it runs over, so that a reader passes over
what it does not need by the line. Times stay in microseconds, as measured; where a point was measured twice its curve
has a second row. The A40's table, which no profile uses, goes to validate/overlap; published products of cards that
`headroom calibrate` has measured go to results/calibration/public, but for their fp8.
"""
import csv
import gzip
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "configs", "hardware", "tables")

TYPES = {"bfloat16", "fp8"}
TOKENS = {1, 2, 4, 8, 16, 17, 32, 33, 64, 65, 128, 129, 256, 257, 512, 1024, 2048, 4096, 8192, 16384}
MEASURED_ROWS = {1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896,
                 1024, 1280, 1536, 1792, 2048, 2560, 3072, 4096, 6144, 8192, 12288, 16384}
SIZES = {1024, 2048, 3072, 4096, 5120, 6144, 8192, 12288, 16384, 51200}
HEADS = {1, 2, 4, 8, 12, 16, 24, 32, 40, 64}


def rows_of(path):
    with gzip.open(path, "rt", newline="") as f:
        yield from csv.DictReader(f)


# `rows` with the keys and the time last, as curves over `over`; a curve stands where its first point did.
def write(name, header, over, rows):
    keys = [c for c in header[:-1] if c != over]
    curves, values = {}, set()
    for row in rows:
        cells = dict(zip(header, map(str, row)))
        x = int(cells[over])
        values.add(x)
        repeats = curves.setdefault(tuple(cells[c] for c in keys), [])
        for curve in repeats:
            if x not in curve:
                break
        else:
            curve = {}
            repeats.append(curve)
        curve[x] = cells[header[-1]]
    with open(os.path.join(OUT, name), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(keys + [f"{over}={x}" for x in sorted(values)])
        for key, repeats in curves.items():
            for curve in repeats:
                out.writerow(list(key) + [curve.get(x, "") for x in sorted(values)])
    print(name, len(curves), "curves")


def gemm(folder, device, name, types=TYPES):
    rows = (r for r in rows_of(os.path.join(folder, f"gemm_{device}.csv.gz"))
            if r["dtype"] in types and int(r["m"]) in TOKENS and int(r["n"]) in SIZES and int(r["k"]) in SIZES)
    write(name, ["dtype", "m", "n", "k", "time_us"], "m", ([r["dtype"], r["m"], r["n"], r["k"], r["time_us"]] for r in rows))


# Products that `headroom calibrate` measured, from the tables of its own profile.
def calibrated(source, name):
    rows = (r for r in rows_of(os.path.join(OUT, source))
            if r["dtype"] in {"bfloat16", "float32"} and int(r["m"]) in MEASURED_ROWS)
    write(name, ["dtype", "m", "n", "k", "time_us"], "m", ([r["dtype"], r["m"], r["n"], r["k"], r["time_us"]] for r in rows))


def decode(folder, device, name):
    rows = (r for r in rows_of(os.path.join(folder, f"attention_decode_{device}.csv.gz"))
            if r["kv_dtype"] in TYPES and int(r["q_heads"]) in HEADS and int(r["context_tokens"]) >= 16)
    write(name, ["kv_dtype", "q_heads", "kv_heads", "batch", "context_tokens", "time_us"], "context_tokens",
          ([r["kv_dtype"], r["q_heads"], r["kv_heads"], r["batch"], r["context_tokens"], r["time_us"]] for r in rows))


def prefill(folder, device, name):
    rows = (r for r in rows_of(os.path.join(folder, f"attention_prefill_{device}.csv.gz"))
            if r["kv_dtype"] in TYPES and int(r["q_heads"]) in HEADS and int(r["batch"]) <= 8)
    write(name, ["kv_dtype", "q_heads", "kv_heads", "batch", "past_tokens", "new_tokens", "time_us"], "new_tokens",
          ([r["kv_dtype"], r["q_heads"], r["kv_heads"], r["batch"], r["past_tokens"], r["new_tokens"], r["time_us"]]
           for r in rows))


# Products of Llama-3.1-8B: layer name to (n, k).
LAYERS = {"q_proj": (4096, 4096), "k_proj": (1024, 4096), "v_proj": (1024, 4096), "o_proj": (4096, 4096),
          "gate_proj": (14336, 4096), "up_proj": (14336, 4096), "down_proj": (4096, 14336), "lm_head": (128256, 4096),
          "qkv_proj": (6144, 4096), "gate_up_proj": (28672, 4096)}


def layers(folder, source, name):
    def rows():
        for r in rows_of(os.path.join(folder, source)):
            if r["layer"] not in LAYERS:
                continue
            n, k = LAYERS[r["layer"]]
            yield ["bfloat16", r["tokens"], n, k, r["time_us"]]
    write(name, ["dtype", "m", "n", "k", "time_us"], "m", rows())


# LLMServingSim's attention of one layer of Llama-3.1-8B (32 query heads, 8 of keys). Rows that mix a prompt with
# decoding sequences are left out: ours are of one kind.
def attention(folder, source, decode_name, prefill_name):
    rows = list(rows_of(os.path.join(folder, source)))
    write(decode_name, ["kv_dtype", "q_heads", "kv_heads", "batch", "context_tokens", "time_us"], "context_tokens",
          (["bfloat16", 32, 8, r["n_decode"], r["kv_decode"], r["time_us"]] for r in rows if r["prefill_chunk"] == "0"))
    write(prefill_name, ["kv_dtype", "q_heads", "kv_heads", "batch", "past_tokens", "new_tokens", "time_us"], "new_tokens",
          (["bfloat16", 32, 8, 1, r["kv_prefill"], r["prefill_chunk"], r["time_us"]] for r in rows if r["n_decode"] == "0"))


# Vidur's products of Llama-2-7B, one rank of tp: operator to (n, k), and which of the two a rank has a part of.
PROJECTIONS = {"attn_pre_proj": (12288, 4096, "n"), "attn_post_proj": (4096, 4096, "k"),
               "mlp_up_proj": (22016, 4096, "n"), "mlp_down_proj": (4096, 11008, "k")}


def projections(folder, source, name):
    def rows():
        for r in rows_of(os.path.join(folder, source)):
            if r["op"] not in PROJECTIONS or (int(r["tokens"]) not in TOKENS and int(r["tokens"]) % 256):
                continue
            n, k, split = PROJECTIONS[r["op"]]
            tp = int(r["tp"])
            yield ["float16", r["tokens"], n // tp if split == "n" else n, k // tp if split == "k" else k,
                   r["median_time_us"]]
    write(name, ["dtype", "m", "n", "k", "time_us"], "m", rows())


def main():
    folder = sys.argv[1]
    for device, short in (("h100_sxm", "h100-sxm"), ("h200_sxm", "h200-sxm"), ("a100_sxm", "a100"), ("l40s", "l40s")):
        own = short in ("h100-sxm", "h200-sxm")
        gemm(folder, device, f"../../../results/calibration/public/gemm-{short}.csv" if own else f"gemm-{short}.csv")
        if own:
            gemm(folder, device, f"gemm-{short}-fp8.csv", {"fp8"})
            calibrated(f"gemm-{short}-executor.csv.gz", f"gemm-{short}.csv")
        decode(folder, device, f"decode-{short}.csv")
        prefill(folder, device, f"prefill-{short}.csv")
    layers(folder, "llmss_v0_a6000_llama31-8b_layers.csv.gz", "gemm-a6000.csv")
    layers(folder, "llmss_v0_rtx3090_llama31-8b_layers.csv.gz", "gemm-rtx-3090.csv")
    layers(folder, "llmss_rtx4090_llama31-8b_dense.csv.gz", "gemm-rtx-4090.csv")
    attention(folder, "llmss_rtx4090_llama31-8b_attention.csv.gz", "decode-rtx-4090.csv", "prefill-rtx-4090.csv")
    projections(folder, "vidur_mlp_a40_llama-2-7b.csv.gz", "../../../validate/overlap/gemm-a40.csv")


main()
