#!/usr/bin/env python3
"""Makes everything in this folder: memory.csv, times.csv, gain.svg, throughput.svg. Needs python3 and gnuplot."""
import csv
import json
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
CARDS = ["a10g", "h100-sxm"]
MOST = {"a10g": 256, "h100-sxm": 512}  # max_num_seqs
# name: dtype, quantization, cards
SCHEMES = {
    "fp16": ("float16", "{}", CARDS),
    "bf16": ("bfloat16", "{}", CARDS),
    "fp16, fp8 KV": ("float16", "{kv_cache: fp8}", CARDS),
    "int8 W8A16": ("float16", "{weights: int8}", CARDS),
    "int8 W8A8": ("float16", "{weights: int8, activations: int8}", CARDS),
    "fp8 W8A16": ("float16", "{weights: fp8}", CARDS),
    "fp8 W8A8": ("float16", "{weights: fp8, activations: fp8}", ["h100-sxm"]),  # an A10G has no fp8 arithmetic
    "fp8 W8A8, fp8 KV": ("float16", "{weights: fp8, activations: fp8, kv_cache: fp8}", ["h100-sxm"]),
    "W4A16": ("float16", "{weights: awq}", CARDS),
    "W4A16, fp8 KV": ("float16", "{weights: awq, kv_cache: fp8}", CARDS),
}
SCENARIO = """name: quantization
model: llama-3.1-8b
hardware: {card}
dtype: {dtype}
quantization: {quantization}
engine: {{preset: vllm-v1-2025, max_num_seqs: {most}, max_model_len: 2048, enable_prefix_caching: false}}
workload:
  requests: {batch}
  arrivals: {{process: batch}}
  prompt_tokens: {prompt}
  output_tokens: {output}
"""


def headroom(command, card, scheme, batch=1, prompt=512, output=256):
    dtype, quantization, _ = SCHEMES[scheme]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(SCENARIO.format(card=card, most=MOST[card], dtype=dtype, quantization=quantization, batch=batch, prompt=prompt,
                                output=output))
        f.flush()
        said = subprocess.run([f"{ROOT}/headroom", command, f.name, "--json"], check=True, capture_output=True, text=True)
    return json.loads(said.stdout)


def write(name, header, rows):
    with open(os.path.join(HERE, name), "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows([[f"{v:.5g}" if isinstance(v, float) else v for v in row] for row in rows])


def main():
    memory, times = [], []
    for card in CARDS:
        for scheme, (_, _, cards) in SCHEMES.items():
            if card not in cards:
                continue
            m = headroom("memory", card, scheme)["memory"]
            memory.append([card, scheme, m["weights_bytes"] / 2**30, m["kv_pool_bytes"] / 2**30, m["kv_pool_tokens"]])
            for batch in (b for b in BATCHES if b <= MOST[card]):
                chat = headroom("run", card, scheme, batch)
                decode = headroom("run", card, scheme, batch, 1, 256)
                times.append([card, scheme, batch, chat["latency"]["ttft_s"]["p50"] * 1e3,
                              chat["latency"]["tpot_s"]["p50"] * 1e3, chat["throughput"]["output_tokens_per_s"],
                              chat["scheduler"]["preemptions"], decode["latency"]["tpot_s"]["p50"] * 1e3])
    base = {(card, batch): tpot for card, scheme, batch, *_, tpot in times if scheme == "fp16"}
    for row in times:
        row.append(base[row[0], row[2]] / row[7])
    write("memory.csv", ["card", "scheme", "weights_gib", "kv_pool_gib", "kv_tokens"], memory)
    write("times.csv", ["card", "scheme", "batch", "ttft_p50_ms", "tpot_p50_ms", "output_tokens_per_s", "preemptions",
                        "decode_only_tpot_ms", "decode_only_gain_over_fp16"], times)
    draw()


def draw():
    wanted = ["fp16", "int8 W8A8", "fp8 W8A16", "fp8 W8A8", "W4A16", "W4A16, fp8 KV"]
    for name, column, title, log, low in (("gain", 9, "one decode step, fp16 time over this", False, 0.5),
                                          ("throughput", 6, "output tokens/s, prompts of 512, 256 new tokens", True, 20)):
        plots = []
        for card in CARDS:
            lines = []
            for i, scheme in enumerate(wanted):
                if card not in SCHEMES[scheme][2]:
                    continue
                select = f"<python3 -c \"import csv; [print(r[2], r[{column - 1}]) for r in csv.reader(open('times.csv')) " \
                         f"if r[0]=='{card}' and r[1]=='{scheme}']\""
                select = select.replace("'", "''")
                lines.append(f"'{select}' using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc {i + 1} title '{scheme}'")
            plots.append(f"set title '{card}'\nplot " + ", \\\n  ".join(lines))
        script = f"""set terminal svg size 1000,440 font "sans,13" background "white"
set output "{name}.svg"
set multiplot layout 1,2
set key {"bottom right" if log else "top right"} samplen 2
set grid lc rgb "#dddddd"
set logscale x 2
set xlabel "sequences in the batch"
set ylabel "{title}"
{"set logscale y 10" if log else ""}
set yrange [{low}:{"*" if log else 4}]
set xrange [1:512]
""" + "\n".join(plots) + "\nunset multiplot\n"
        subprocess.run(["gnuplot"], input=script, text=True, check=True, cwd=HERE)


main()
