#!/usr/bin/env python3
"""Makes everything in this folder but the README's prose: cells.csv, links.csv, mixtral.csv, the plots, and the
tables in README.md between its markers. Needs gnuplot. Run from anywhere: results/training-techniques/run.py"""
import csv
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# A technique: what to set, and why it does what it does.
PLAIN = ("plain", {}, "")
COMMON = [
    ("gradient checkpointing", {"techniques": {"gradient_checkpointing": True}},
     "nothing is kept for a backward pass, so there is nothing to compute again instead of keeping it"),
    ("autograd left on", {"techniques": {"autograd": True}},
     "what every layer's backward pass would read stays until the pass is over"),
    ("autograd left on, checkpointing", {"techniques": {"autograd": True, "gradient_checkpointing": True}},
     "only the input of each layer stays"),
]


def zero(stage, replicas, offload="none", **more):
    return {"cluster": {"replicas": replicas}, "techniques": {"zero_stage": stage, "zero_offload": offload, **more}}


def many_gpus(n):
    return [
        (f"data parallelism, {n} replicas", {"cluster": {"replicas": n}},
         "each GPU serves its own requests: n times the throughput for n times the price, each request as before"),
        (f"ZeRO-1, {n} replicas", zero(1, n), "shards optimizer states, of which there are none"),
        (f"ZeRO-2, {n} replicas", zero(2, n), "shards gradients too, of which there are none"),
        (f"ZeRO-3, {n} replicas", zero(3, n),
         "frees all but 1/n of the weights, and gathers every layer over the link in every step"),
        (f"ZeRO-3 offloaded, {n} replicas", zero(3, n, "cpu"),
         "frees all of the weights; each GPU brings 1/n of every layer over PCIe, then they gather"),
        (f"offload apart, {n} replicas", zero(3, n, "cpu", zero_shard_size=1),
         "nothing is gathered; each GPU brings every layer whole over PCIe, and those below one uplink slow each other"),
        (f"tensor parallelism, {n} GPUs", {"cluster": {"tensor_parallel_size": n}},
         "each GPU reads 1/n of the weights a step and they exchange activations, not weights"),
        pipeline(n),
    ]


def pipeline(n, width=1):
    gpus = f"{n} stages of {width} GPUs" if width > 1 else f"{n} stages"
    return (f"pipeline parallelism, {gpus}",
            {"cluster": {"pipeline_parallel_size": n, "tensor_parallel_size": width}},
            "each GPU has 1/n of the layers: one message a stage, and a token still passes them all, one by one")


def experts(tensor, replicas):
    whole = {"tensor_parallel_size": tensor, "replicas": replicas, "enable_expert_parallel": True}
    if replicas == 1:
        return (f"expert parallelism, {tensor} GPUs, attention by tensor parallelism", {"cluster": whole},
                "the same bytes of experts and the same exchanges; all wait for the GPU whose experts are asked for most")
    attention = "replicas" if tensor == 1 else f"{replicas} replicas of {tensor} GPUs"
    return (f"expert parallelism, {tensor * replicas} GPUs, attention by {attention}", {"cluster": whole},
            "each exchanges the tokens of its own batch, not everybody's; attention's weights lie there more than once")


def scenario(base, changes, workload):
    merged = json.loads(json.dumps(base))
    for section, values in changes.items():
        merged.setdefault(section, {}).update(values)
    merged["workload"] = workload
    return merged


def simulate(content, command="run"):
    """The run's JSON, or why the scenario is refused. JSON is YAML."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(content, file)
        file.flush()
        flags = ["--json"] + (["--quiet"] if command == "run" else [])
        done = subprocess.run([ROOT / "headroom", command, file.name] + flags, capture_output=True, text=True)
    if done.returncode == 2 and "does not fit" in done.stderr:
        return None
    done.check_returncode()
    return json.loads(done.stdout)


def gpus(content):
    cluster = content["cluster"]
    return cluster.get("replicas", 1) * gpus_a_replica(content)


def gpus_a_replica(content):
    cluster = content["cluster"]
    return cluster.get("tensor_parallel_size", 1) * cluster.get("pipeline_parallel_size", 1)


METRICS = [  # name, whether more is better, unit in tables, scale
    ("weights", False, "GiB", 2**30), ("activations", False, "GiB", 2**30), ("kv_tokens_a_gpu", True, "", 1),
    ("ttft", False, "ms", 1e-3), ("tpot", False, "ms", 1e-3), ("throughput_a_gpu", True, "tokens/s", 1),
    ("usd_per_million", False, "USD", 1)]


def cell(base, changes, prompt, output, requests_a_gpu):
    """One user on an idle machine gives the latencies, many requests at once the throughput. None: does not fit."""
    lengths = {"prompt_tokens": prompt, "output_tokens": output}
    alone = scenario(base, changes, {"requests": 8, "arrivals": {"process": "closed-loop", "users": 1,
                                                                 "think_time": "0 s"}, **lengths})
    n = gpus(alone)
    full = scenario(base, changes, {"requests": requests_a_gpu * n, "arrivals": {"process": "batch"}, **lengths})
    quiet, busy = simulate(alone), simulate(full)
    if quiet is None or busy is None:
        return None
    assert busy["requests"]["completed"] == requests_a_gpu * n
    memory = busy["memory"]
    return {"weights": memory["weights_bytes"], "activations": memory["activation_peak_bytes"],
            "kv_tokens_a_gpu": memory["kv_pool_tokens"] / gpus_a_replica(alone),
            "ttft": quiet["latency"]["ttft_s"]["mean"], "tpot": quiet["latency"]["tpot_s"]["mean"],
            "throughput_a_gpu": busy["throughput"]["output_tokens_per_s"] / n,
            "usd_per_million": busy["cost"]["usd_per_million_output_tokens"]}


def verdict(value, plain, more_is_better):
    """Within 2 % is no effect: a run's few hundred requests are batched a little differently each time."""
    change = value / plain - 1
    if abs(change) < 0.02:
        return "no effect"
    factor = f"{100 * change:+.0f} %" if abs(change) < 1 else f"x {value / plain:.3g}"
    return ("helps" if (change > 0) == more_is_better else "hurts") + f" ({factor})"


def study(title, base, techniques, prompt, output, requests_a_gpu, rows, tables):
    lines = [f"**{title}**", "", "| technique | weights | activations | KV tokens a GPU | TTFT | TPOT | tokens/s a GPU | "
             "USD per million | why |", "|---|---|---|---|---|---|---|---|---|"]
    plain = None
    for name, changes, why in techniques:
        values = cell(base, changes, prompt, output, requests_a_gpu)
        plain = plain or values
        texts, verdicts = [], []
        for metric, more_is_better, unit, scale in METRICS:
            if values is None:
                texts.append("does not fit")
                verdicts.append("does not fit")
                continue
            number = values[metric] / scale
            shown = f"{number:.0f}" if number >= 1000 else f"{number:.3g}"
            judged = "" if values is plain else verdict(values[metric], plain[metric], more_is_better)
            texts.append(f"{shown} {unit if unit != 'tokens/s' else ''}".strip() + (f", {judged}" if judged else ""))
            verdicts.append(judged or "baseline")
        if values is None:
            lines.append(f"| {name} | does not fit | | | | | | | {why} |")
        else:
            lines.append(f"| {name} | " + " | ".join(texts) + f" | {why} |")
        rows.append([title, name] + [values[m[0]] if values else "" for m in METRICS] + verdicts)
    tables.append("\n".join(lines))


def links(rows):
    machines = [("NVLink", "node-8xh100-nvswitch"), ("PCIe 4", "node-8xh100-pcie"), ("100 GbE", "node-1xh100-100gbe"),
                ("25 GbE", "node-1xh100-25gbe")]
    for model in ("llama-3.1-8b", "llama-3.1-70b"):
        for rank, (link, node) in enumerate(machines):
            base = {"model": model, "hardware": "h100-sxm", "cluster": {"node": node},
                    "engine": {"preset": "vllm-v1-2026"}}
            ways = [("replicas", {"cluster": {"replicas": 8}}), ("tensor parallelism",
                    {"cluster": {"tensor_parallel_size": 8}}), ("ZeRO-3", zero(3, 8))]
            for way, changes in ways:
                values = cell(base, changes, 1024, 256, 256)
                rows.append([model, rank, link, way] +
                            ([values["tpot"], values["throughput_a_gpu"]] if values else ["", ""]))


def write(name, header, rows):
    with open(HERE / name, "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows([[f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in rows])


def main():
    rows, tables = [], []
    for n in (1, 2, 4, 8):
        base = {"model": "llama-2-7b", "hardware": "a10g", "cluster": {"node": "node-g5.48xlarge"},
                "engine": {"preset": "vllm-v1-2025"}}
        techniques = [PLAIN] + (COMMON + [("ZeRO-3 offloaded", zero(3, 1, "cpu"),
                                           "frees the weights' memory and pays with every layer over PCIe, every step")]
                                if n == 1 else many_gpus(n))
        study(f"llama-2-7b, {n} A10G, against one plain A10G", base, techniques, 512, 128, 128, rows, tables)
    base = {"model": "llama-2-7b", "hardware": "a10g", "cluster": {"node": "node-g5.48xlarge"},
            "engine": {"preset": "hf-generate", "max_num_seqs": 2, "attention": "eager"}}
    study("llama-2-7b, one A10G, Hugging Face's generate() on prompts of 2,048, against eager attention", base,
          [("eager attention", {}, ""), ("FlashAttention", {"engine": {"attention": "flash"}},
            "the S x S scores are never in memory; decode reads the same cache either way")], 2048, 64, 4, rows, tables)
    base = {"model": "llama-3.1-70b", "hardware": "h100-sxm", "cluster": {"node": "node-8xh100-nvswitch"},
            "engine": {"preset": "vllm-v1-2026"}}
    tp = {"cluster": {"tensor_parallel_size": 8}}
    techniques = [("tensor parallelism, 8 GPUs", tp, ""),
                  ("tensor parallelism, 2 replicas of 4 GPUs",
                   {"cluster": {"tensor_parallel_size": 4, "replicas": 2}},
                   "half the exchanges, but the weights lie there twice")]
    techniques += [(name, {**tp, **changes}, why) for name, changes, why in COMMON]
    techniques += [t for t in many_gpus(8) if not t[0].startswith("tensor")]
    sharded = zero(3, 2)
    sharded["cluster"]["tensor_parallel_size"] = 4
    techniques.append(("ZeRO-3 over 2 replicas of 4 GPUs", sharded,
                       "half of each GPU's quarter of a layer comes over the link in every step"))
    techniques.append(pipeline(2, 4))
    study("llama-3.1-70b, 8 H100, against tensor parallelism over the 8", base, techniques, 1024, 256, 256, rows, tables)
    for gpu, node, preset in (("h100-sxm", "node-8xh100-nvswitch", "vllm-v1-2026"),
                              ("a10g", "node-g5.48xlarge", "vllm-v1-2025")):
        base = {"model": "mixtral-8x7b", "hardware": gpu, "cluster": {"node": node}, "engine": {"preset": preset}}
        study(f"mixtral-8x7b, 8 {gpu.split('-')[0].upper()}, against tensor parallelism over the 8", base,
              [("tensor parallelism, 8 GPUs", tp, ""), experts(8, 1), experts(2, 4), experts(1, 8), pipeline(8)],
              512, 128, 128, rows, tables)
    names = [m[0] + ("_bytes" if m[3] == 2**30 else "_s" if m[3] == 1e-3 else "_tokens_per_s" if m[2] == "tokens/s"
                     else "_tokens" if m[0].startswith("kv") else "_output_tokens") for m in METRICS]
    write("cells.csv", ["study", "technique"] + names + [m[0] + "_verdict" for m in METRICS], rows)
    link_rows = []
    links(link_rows)
    write("links.csv", ["model", "rank", "link", "way", "tpot_s", "output_tokens_per_s_and_gpu"], link_rows)
    write("mixtral.csv", ["way", "h100_tokens_per_s_and_gpu", "a10g_tokens_per_s_and_gpu", "h100_tpot_s", "a10g_tpot_s"],
          mixtral(rows))
    write("eight-a10g.csv", ["technique", "throughput_a_gpu_of_plain", "tpot_of_plain"], eight_a10g(rows))
    subprocess.run(["gnuplot", "plot.gp"], cwd=HERE, check=True)
    readme = HERE / "README.md"
    head, rest = readme.read_text().split("<!-- tables -->\n")
    tail = rest.split("<!-- end -->")[1]
    readme.write_text(f"{head}<!-- tables -->\n" + "\n\n".join(tables) + f"\n<!-- end -->{tail}")


def mixtral(rows):
    """Throughput of many requests and time per token of one, by way of using eight GPUs."""
    at = 2 + [m[0] for m in METRICS].index("throughput_a_gpu"), 2 + [m[0] for m in METRICS].index("tpot")
    short = ["tensor 8", "experts 8, tensor 8", "experts 8, 4 x tensor 2", "experts 8, 8 replicas", "pipeline 8"]
    machines = [[r for r in rows if r[0].startswith(f"mixtral-8x7b, 8 {gpu}")] for gpu in ("H100", "A10G")]
    return [[name] + [m[i][a] for a in at for m in machines] for i, name in enumerate(short)]


def eight_a10g(rows):
    """Of the machine with 8 A10G: throughput and time per token as multiples of the plain GPU's."""
    chosen = [r for r in rows if r[0].startswith("llama-2-7b, 8")]
    at = 2 + [m[0] for m in METRICS].index("throughput_a_gpu"), 2 + [m[0] for m in METRICS].index("tpot")
    return [[r[1].split(",")[0].replace(" parallelism", ""), r[at[0]] / chosen[0][at[0]], r[at[1]] / chosen[0][at[1]]] for r in chosen[1:] if r[2]]


if __name__ == "__main__":
    main()
