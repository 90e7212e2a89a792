"""What the two measuring scripts share: the workload they replay and the folder they leave."""
import csv
import os
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def percentile(values, q):
    values = sorted(values)
    at = (len(values) - 1) * q / 100
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def read_workload(path):
    with open(path, newline="") as file:
        rows = [dict(arrival=float(r.get("arrival_s") or 0), prompt=int(r["prompt_tokens"]), output=int(r["output_tokens"]))
                for r in csv.DictReader(file)]
    if not rows:
        sys.exit(f"{path}: error: no requests")
    return sorted(rows, key=lambda r: r["arrival"])


def bench(done, backend):
    """The fields of vLLM's benchmark client, of requests with arrival, first and finish in seconds."""
    duration = max(r["finish"] for r in done)
    laws = {
        "ttft": [r["first"] - r["arrival"] for r in done],
        "tpot": [(r["finish"] - r["first"]) / (r["output"] - 1) for r in done if r["output"] > 1],
        "e2el": [r["finish"] - r["arrival"] for r in done],
    }
    result = {
        "backend": backend, "num_prompts": len(done), "completed": len(done), "duration": duration,
        "total_input_tokens": sum(r["prompt"] for r in done), "total_output_tokens": sum(r["output"] for r in done),
        "request_throughput": len(done) / duration,
        "output_throughput": sum(r["output"] for r in done) / duration,
        "total_token_throughput": sum(r["prompt"] + r["output"] for r in done) / duration,
    }
    for name, values in laws.items():
        if not values:
            continue
        result[f"mean_{name}_ms"] = 1e3 * statistics.fmean(values)
        result[f"median_{name}_ms"] = 1e3 * percentile(values, 50)
        for q in (90, 95, 99):
            result[f"p{q}_{name}_ms"] = 1e3 * percentile(values, q)
    return result


def write(folder, name, text):
    temporary = os.path.join(folder, name + ".tmp")
    with open(temporary, "w") as file:
        file.write(text)
    os.replace(temporary, os.path.join(folder, name))


def write_requests(folder, done):
    lines = ["id,arrival_s,scheduled_s,first_token_s,finish_s,prompt_tokens,output_tokens,status"]
    if not all("scheduled" in r for r in done):
        lines[0] = lines[0].replace("scheduled_s,", "")
    for i, r in enumerate(sorted(done, key=lambda r: r["arrival"])):
        scheduled = f"{r['scheduled']:.6f}," if "scheduled" in r else ""
        lines.append(f"{i},{r['arrival']:.6f},{scheduled}{r['first']:.6f},{r['finish']:.6f},{r['prompt']},{r['output']},finished")
    write(folder, "requests.csv", "\n".join(lines) + "\n")
