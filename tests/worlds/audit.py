"""An auditor that knows nothing of the simulator but what it wrote: does the account add up?

audit(folder, trace, world) reads summary.json, requests.csv, timeline.csv (one row per change) and the Perfetto trace of
one run and returns what is wrong, one sentence each. `world` holds what the scenario asked for (worlds.py). All
quantities are recomputed here, by definitions of SEMANTICS 3.3 and 8.2, from the outputs alone.
"""
import bisect
import csv
import json
import math
import os

SAME_TIME = 1e-9  # s: sums of the same spans in another order


def percentile(values, q):
    """numpy's default: linear between closest ranks; `values` sorted."""
    at = (len(values) - 1) * q / 100
    low = math.floor(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def close(a, b, tolerance=1e-9):
    return abs(a - b) <= tolerance * max(1e-9, abs(a), abs(b))


class Audit:
    def __init__(self, folder, trace, world):
        self.world = world
        self.wrong = []
        with open(os.path.join(folder, "summary.json")) as f:
            self.summary = json.load(f)
        with open(os.path.join(folder, "requests.csv"), newline="") as f:
            self.requests = [self.number(r) for r in csv.DictReader(f)]
        with open(os.path.join(folder, "timeline.csv"), newline="") as f:
            self.timeline = [{k: float(v) for k, v in r.items()} for r in csv.DictReader(f)]
        with open(trace) as f:
            self.spans = [e for e in json.load(f)["traceEvents"] if e["ph"] == "X"]

    @staticmethod
    def number(row):
        return {k: v if k == "status" else float(v) if v else None for k, v in row.items()}

    def check(self, holds, what, *values):
        if not holds:
            self.wrong.append(what.format(*values))

    def same(self, what, found, computed, tolerance=1e-9):
        self.check(close(found, computed, tolerance), "{}: {} printed, {} recomputed", what, found, computed)

    def run(self):
        for part in (self.every_request_ends_once, self.metrics, self.memory, self.slots, self.population, self.steps,
                     self.tokens, self.roofline, self.stages, self.bounds, self.host_tier, self.handover):
            part()
        return self.wrong

    def finished(self):
        return [r for r in self.requests if r["status"] == "finished"]

    def every_request_ends_once(self):
        ids = sorted(r["id"] for r in self.requests)
        self.check(ids == list(range(self.world["requests"])), "ids are not 0 to {} once each",
                   self.world["requests"] - 1)
        for r in self.requests:
            name = f"request {int(r['id'])}"
            self.check(r["status"] in ("finished", "rejected", "out-of-memory"), name + " has status {}", r["status"])
            self.check(r["finish_s"] is not None and r["finish_s"] >= r["arrival_s"], name + " never ends")
            if r["status"] != "finished":
                continue
            self.check(r["arrival_s"] <= r["scheduled_s"] < r["first_token_s"] <= r["finish_s"],
                       name + ": a token before its prefill, or its prefill before it came")
            self.check(r["output_tokens"] >= 1 and r["output_tokens"] % self.world["samples"] == 0,
                       name + " makes {} tokens for {} samples", r["output_tokens"], self.world["samples"])
            self.check(0 <= r["cached_tokens"] < r["prompt_tokens"], name + ": {} of {} prompt tokens cached",
                       r["cached_tokens"], r["prompt_tokens"])
            if r["output_tokens"] > self.world["samples"]:
                self.check(r["first_token_s"] < r["finish_s"], name + " makes all its tokens at once")

    def metrics(self):
        s, done = self.summary, self.finished()
        self.same("completed", s["requests"]["completed"], len(done))
        self.same("rejected", s["requests"]["rejected"], len(self.requests) - len(done))
        self.same("preempted", s["requests"]["preempted"], sum(r["preemptions"] > 0 for r in self.requests))
        self.same("preemptions", s["scheduler"]["preemptions"], sum(r["preemptions"] for r in self.requests))
        duration = max([r["finish_s"] for r in self.requests], default=0)
        self.same("duration", s["duration_s"], duration)
        if duration > 0:
            out = sum(r["output_tokens"] for r in done)
            self.same("output tokens/s", s["throughput"]["output_tokens_per_s"], out / duration)
            self.same("requests/s", s["throughput"]["requests_per_s"], len(done) / duration)
            self.same("tokens/s", s["throughput"]["total_tokens_per_s"],
                      (out + sum(r["prompt_tokens"] for r in done)) / duration)
        own = lambda r: r["output_tokens"] / self.world["samples"]
        e2el = lambda r: r["finish_s"] - r["arrival_s"]
        ttft = lambda r: r["first_token_s"] - r["arrival_s"]
        for name, values in (
                ("ttft_s", [ttft(r) for r in done]), ("e2el_s", [e2el(r) for r in done]),
                ("queue_s", [r["scheduled_s"] - r["arrival_s"] for r in done]),
                ("tpot_s", [(e2el(r) - ttft(r)) / (own(r) - 1) for r in done if own(r) > 1]),
                ("normalized_s_per_token", [e2el(r) / own(r) for r in done])):
            if not values:
                continue
            values.sort()
            printed = s["latency"][name]
            self.same(name + " mean", printed["mean"], math.fsum(values) / len(values), 1e-8)
            for q in (50, 90, 95, 99):
                self.same(f"{name} p{q}", printed[f"p{q}"], percentile(values, q), 1e-8)
            self.same(name + " max", printed["max"], values[-1], 1e-8)

    def memory(self):
        m = self.summary["memory"]
        self.same("GPU bytes", m["gpu_bytes"],
                  sum(m[k + "_bytes"] for k in ("weights", "activation_peak", "context", "other", "unused", "kv_pool")), 0)
        self.check(0 <= m["kv_peak_bytes"] <= m["kv_pool_bytes"], "KV peak {} of a pool of {}", m["kv_peak_bytes"],
                   m["kv_pool_bytes"])
        self.same("waste", 1, sum(m["waste"].values()))
        self.check(min(m["waste"].values()) >= -1e-12, "negative waste: {}", m["waste"])

    def slots(self):
        # Batches in flight of a pipeline have one pool, or each its share in whole blocks and its rows in the timeline.
        block, shares = self.world["block"], self.world["pool_shares"]
        pool = self.summary["memory"]["kv_pool_tokens"] // shares // block * block
        columns = ("token_states", "reservation", "internal", "external", "padding", "cached", "free")
        last = {}
        for row in self.timeline:
            self.check(sum(row[c] for c in columns) == pool, "at {} s slots add up to {} of {}", row["time_s"],
                       sum(row[c] for c in columns), pool)
            self.check(min(row[c] for c in columns) >= 0, "at {} s a negative number of slots", row["time_s"])
            self.check(row["running"] <= self.world["most_running"], "at {} s {} run, the limit is {}", row["time_s"],
                       row["running"], self.world["most_running"])
            self.check(row["time_s"] >= last.get(row["replica"], 0), "replica {} goes back in time at {}", row["replica"],
                       row["time_s"])
            last[row["replica"]] = row["time_s"]

    def present(self):
        """Of each replica, moment by moment: (since, time, how many run or wait). Batches in flight write their rows at
        times of their own; `since` is the time of the oldest of those added up."""
        n, present, last = self.world["stages"], {}, {}
        for row in sorted(self.timeline, key=lambda row: row["time_s"]):
            last[row["replica"]] = (row["time_s"], row["running"] + row["waiting"])
            first = row["replica"] // n * n
            shares = self.world["pool_shares"]
            lanes = [last[first + i] for i in range(shares) if first + i in last]
            if len(lanes) == shares:
                present.setdefault(first // n, []).append(
                    (min(t for t, _ in lanes), row["time_s"], sum(here for _, here in lanes)))
        return present

    def population(self):
        """Little's law: whoever came and has not ended runs, waits or is swapped out."""
        if self.world["samples"] > 1 or self.world["swaps"]:
            return
        late = self.world["late_rows"]
        pools = self.world["prefill_replicas"] > 0
        present = self.present()
        for replica in present:
            if not pools:
                mine = [r for r in self.requests if r["replica"] == replica]
                came = sorted(r["arrival_s"] for r in mine)
                left = sorted(r["finish_s"] for r in mine)
            elif replica < self.world["prefill_replicas"]:
                mine = [r for r in self.requests if r["prefill_replica"] == replica]
                came = sorted(r["arrival_s"] if self.world["pull"] or r["blocks_granted_s"] is None
                              else r["blocks_granted_s"] for r in mine)
                left = sorted(r["first_token_s"] if r["status"] == "finished" else r["finish_s"] for r in mine)
            else:
                mine = [r for r in self.requests if r["replica"] == replica]
                came = sorted(r["blocks_asked_s"] for r in mine)
                left = sorted(r["finish_s"] for r in mine)
            for since, t, here in present[replica]:
                before, behind = since - SAME_TIME, t + SAME_TIME
                most = bisect.bisect_right(came, behind) - bisect.bisect_left(left, before)
                least = bisect.bisect_left(came, before) - bisect.bisect_right(left, behind)
                if not least <= here <= most + (self.world["most_running"] * self.world["pool_shares"] if late else 0):
                    self.check(False, "replica {} at {} s: {} here, {} to {} came and had not left", replica, t, here,
                               least, most)
                    return

    def steps(self):
        end = {}
        for span in self.spans:
            self.check(span["ts"] >= end.get(span["pid"], 0) - 0.002, "steps overlap at {} us", span["ts"])
            end[span["pid"]] = span["ts"] + span["dur"]
        self.same("steps", self.summary["scheduler"]["steps"], sum(s["args"]["steps"] for s in self.spans))

    def tokens(self):
        """No token that no step made."""
        done = self.finished()
        made = sum(r["output_tokens"] for r in done)
        decoded = sum(s["args"]["steps"] * s["args"]["decoding"] for s in self.spans)
        prefilled = sum(s["args"]["prefill_tokens"] for s in self.spans)
        firsts = len(done) * self.world["samples"]
        preemptions = sum(r["preemptions"] for r in self.requests)
        if not self.world["speculates"]:
            self.check(made <= decoded + firsts + preemptions, "{} tokens, but steps for {} only", made,
                       decoded + firsts + preemptions)
            lost = any(r["status"] != "finished" and r["scheduled_s"] is not None for r in self.requests)
            if not self.world["static"] and not self.world["late_rows"] and not lost:
                self.check(made >= decoded, "{} decode steps for {} tokens", decoded, made)
        if self.world["samples"] == 1 and not self.world["speculates"]:
            # Whoever was given up in the middle of its prompt may find more of it cached when it comes back.
            shared = self.summary["scheduler"].get("prefix_cache_hit_rate") or 0
            wanted = sum(r["prompt_tokens"] - r["cached_tokens"] for r in done if not (shared and r["preemptions"]))
            self.check(prefilled >= wanted, "{} prompt tokens were computed, {} had to be", prefilled, wanted)

    def roofline(self):
        flops, read = self.world["flops_per_token"], self.world["bytes_per_step"]
        for span in self.spans:
            a = span["args"]
            each = (span["dur"] + 0.001) * 1e-6 / a["steps"]
            tokens = a["decoding"] + a["prefill_tokens"] / a["steps"]
            floor = max(tokens * flops / self.world["peak"], read / self.world["bandwidth"])
            self.check(each >= floor * (1 - 1e-6), "a step of {} tokens takes {} s, its roofline is {} s", tokens, each,
                       floor)

    def stages(self):
        """A stage works on one batch at a time: batches leave the last one at least its own work apart."""
        n = self.world["stages"]
        if n == 1:
            return
        last = {}
        for span in sorted(self.spans, key=lambda span: span["ts"] + span["dur"]):
            replica, end, a = span["pid"] // n, span["ts"] + span["dur"], span["args"]
            self.check(a["steps"] == 1, "{} steps of a batch in flight at once", a["steps"])
            floor = max((a["decoding"] + a["prefill_tokens"]) * self.world["flops_per_token"] / n / self.world["peak"],
                        self.world["bytes_per_step"] / n / self.world["bandwidth"])
            if replica in last:
                self.check((end - last[replica] + 0.004) * 1e-6 >= floor * (1 - 1e-6),
                           "at {} us a batch leaves {} us behind another, the last stage alone takes {} s", end,
                           end - last[replica], floor)
            last[replica] = end
        if self.spans:
            bubble = self.summary["gpu"]["pipeline_bubble_fraction"]
            self.check(0 <= bubble <= 1, "a bubble of {}", bubble)

    def bounds(self):
        """Nobody is thrown out for ever, and the engine does not turn on the spot."""
        tokens = sum(r["prompt_tokens"] + r["output_tokens"] for r in self.requests)
        steps = self.summary["scheduler"]["steps"]
        again = sum(r["preemptions"] * (r["prompt_tokens"] + r["output_tokens"]) for r in self.requests)
        idle_rows = self.world["requests"] + len(self.timeline)
        self.check(steps <= tokens + again + idle_rows, "{} steps for {} tokens, {} of them again", steps, tokens + again,
                   again)
        most = max((r["preemptions"] for r in self.requests), default=0)
        limit = self.world["requests"] + sum(r["output_tokens"] for r in self.requests)  # somebody gains a token each time
        self.check(most <= limit, "a request was preempted {} times, at most {} can be explained", most, limit)

    def host_tier(self):
        """Blocks go to the host and back whole, none is made on the way, and the link has the time for them."""
        tier = self.summary.get("kv_offload")
        if tier is None:
            return
        block = self.world["copied_block"] * self.world["ranks"]
        for name in ("loaded_bytes", "stored_bytes", "evicted_bytes", "resident_bytes"):
            self.check(tier[name] >= 0 and tier[name] % block == 0, "{}: {} is no number of blocks", name, tier[name])
        self.same("stored", tier["stored_bytes"], tier["evicted_bytes"] + tier["resident_bytes"], 0)
        self.check(tier["resident_bytes"] <= tier["size_bytes"], "{} bytes in a tier of {}", tier["resident_bytes"],
                   tier["size_bytes"])
        self.check(tier["hit_tokens"] <= tier["loaded_bytes"] // block * self.world["block"], "{} tokens hit in {} bytes",
                   tier["hit_tokens"], tier["loaded_bytes"])
        for bytes_, seconds in (("loaded_bytes", "loading_s"), ("stored_bytes", "storing_s")):
            least = tier[bytes_] / self.world["ranks"] / self.world["copy_bandwidth"]
            self.check(tier[seconds] >= least * (1 - 1e-9), "{} in {} s", tier[bytes_], tier[seconds])
        self.check(tier["load_wait_s"] >= tier["loading_s"] * (1 - 1e-9) - SAME_TIME, "waited {} s for copies of {} s",
                   tier["load_wait_s"], tier["loading_s"])

    def handover(self):
        """Between pools: what is computed here and used there moves once, whole, in its time."""
        if not self.world["prefill_replicas"]:
            return
        ranks, block = self.world["ranks"], self.world["copied_block"]
        moved = [r for r in self.requests if r["transfer_end_s"] is not None]
        printed = self.summary["disaggregation"]
        self.same("transfers", printed["transfers"]["count"], len(moved), 0)
        self.same("bytes moved", printed["transfers"]["bytes"], sum(r["transfer_bytes"] for r in moved), 0)
        slowest = max((link["bytes"] for link in printed.get("links", {}).values()), default=0)
        tier = self.summary.get("kv_offload", {"loaded_bytes": 0, "stored_bytes": 0})  # over the same links
        # So are all-reduces, where peers meet over PCIe: of every token computed, again after each preemption.
        reduced = self.world["reduced_per_token"] * sum(
            (r["prompt_tokens"] + r["output_tokens"]) * (1 + r["preemptions"]) for r in self.requests)
        most = sum(r["transfer_bytes"] for r in moved) + tier["loaded_bytes"] + tier["stored_bytes"] + reduced
        self.check(slowest <= most + 1, "a link carried {} bytes of {}", slowest, most)
        for link in printed.get("links", {}).values():
            self.check(link["busy_fraction"] <= 1 + 1e-9, "a link is busy {} of the time", link["busy_fraction"])
        for r in self.finished():
            name = f"request {int(r['id'])}"
            needs = r["output_tokens"] > 1
            self.check(needs == (r["transfer_end_s"] is not None), name + " of {} tokens moved: {}", r["output_tokens"],
                       not needs)
            self.check(r["prefill_replica"] < self.world["prefill_replicas"], name + ": prompt on {}", r["prefill_replica"])
            self.check((r["replica"] >= self.world["prefill_replicas"]) == needs, name + " ends on {}", r["replica"])
            if not needs:
                continue
            self.check(r["blocks_asked_s"] - SAME_TIME <= r["blocks_granted_s"] <= r["transfer_start_s"] + SAME_TIME, name +
                       ": moves before there is room")
            self.check(max(r["transfer_start_s"], r["first_token_s"]) <= r["transfer_end_s"] + SAME_TIME and
                       r["transfer_end_s"] < r["finish_s"], name + ": decodes before its KV is there")
            if self.world["pull"]:
                self.check(r["first_token_s"] <= r["transfer_start_s"] + SAME_TIME, name + ": pulled before it was computed")
            most = -(-r["prompt_tokens"] // self.world["block"]) * block * ranks
            self.check(r["transfer_bytes"] % (block * ranks) == 0 and 0 <= r["transfer_bytes"] <= most,
                       name + " of {} tokens moved {} bytes", r["prompt_tokens"], r["transfer_bytes"])


def audit(folder, trace, world):
    return Audit(folder, trace, world).run()


def differences(fast, plain):
    """Between the outputs of a fast run and one that simulated each step."""
    wrong = []
    with open(os.path.join(fast, "requests.csv"), newline="") as f, open(os.path.join(plain, "requests.csv"),
                                                                         newline="") as g:
        for a, b in zip(csv.DictReader(f), csv.DictReader(g)):
            for key in a:
                exact = a[key] == b[key]
                if not exact and not (key.endswith("_s") and a[key] and b[key] and close(float(a[key]), float(b[key]))):
                    wrong.append(f"request {a['id']}: {key} is {a[key]}, step by step {b[key]}")
    with open(os.path.join(fast, "summary.json")) as f, open(os.path.join(plain, "summary.json")) as g:
        a, b = json.load(f), json.load(g)
    for part in ("requests", "scheduler", "throughput"):
        for key in a[part]:
            if not close(a[part][key], b[part][key]):
                wrong.append(f"{part}.{key} is {a[part][key]}, step by step {b[part][key]}")
    for key in a["memory"]["waste"]:
        if abs(a["memory"]["waste"][key] - b["memory"]["waste"][key]) > 1e-9:
            wrong.append(f"waste.{key} is {a['memory']['waste'][key]}, step by step {b['memory']['waste'][key]}")
    return wrong
