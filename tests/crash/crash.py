#!/usr/bin/env python3
"""Harms run, sweep, report and import while they work, and looks at what they leave.

usage: crash.py BINARY [--moments N] [--seed S] [--csv FILE] [--without-memory]

N random moments each of SIGINT, SIGTERM and kill -9, N/2 random limits each of file size (a full disk: writes fail) and of
memory (ulimit -v); and once each a full and a closed standard output (also of `run --json`), and a folder that may not be written. Then:
  1. a file under its final name is whole: byte for byte what an undisturbed run writes, `simulator` aside;
  2. the exit status is the promised one: 0 done, 3 the run failed with a message that says why, or the signal's;
  3. a sweep's database is sound, holds only points that are whole, and `sweep --resume` ends with the same content;
  4. an interrupted sweep says how to resume.
Temporary names (*.tmp) may stay behind a kill, and nothing else. Needs nothing but Python. A program with the address
sanitizer cannot live within a limit of memory, for its shadow: --without-memory.
"""
import argparse
import contextlib
import csv
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

SCENARIO = """name: crash
model: llama-2-7b
hardware: a10g
engine: {preset: vllm-v1-2025}
workload:
  requests: 3000
  arrivals: {process: poisson, rate: 3/s}
  prompt_tokens: {distribution: lognormal, mean: 161, cv: 1.1, max: 1024}
  output_tokens: {distribution: lognormal, mean: 338, cv: 1.0, max: 1024}
variants:
  hf: {engine: {preset: hf-generate, max_num_seqs: 8}}
  vllm: {engine: {preset: vllm-v1-2025}}
"""
SWEEP = "name: crash\nscenario: scenario.yaml\nset: {workload.requests: 200}\naxes: {engine.max_num_seqs: [2, 4, 8, 16]}\nseeds: 3\n"
LOG = ("INFO 08-01 10:00:01 llm_engine.py:176] Initializing an LLM engine (v0.5.3) with config: "
       "model='facebook/opt-1.3b', dtype=torch.float16, max_seq_len=2048, tensor_parallel_size=1)\n")


class Commands:
    """Each writes below `out`; the outputs of an undisturbed run are kept to compare."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        for name, text in (("scenario.yaml", SCENARIO), ("sweep.yaml", SWEEP), ("log.txt", LOG)):
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        self.reference = os.path.join(folder, "reference")
        os.mkdir(self.reference)
        self.usual = {}
        for name in ("run", "sweep", "report", "import", "json"):
            begin = time.monotonic()
            done = self.start(name, self.reference, subprocess.PIPE, subprocess.PIPE)
            out, err = done.communicate()
            if done.returncode != 0:
                sys.exit(f"{name} fails undisturbed: {err.decode()}")
            self.usual[name] = time.monotonic() - begin
            if name == "import":
                self.imported = out

    def words(self, name, out):
        file = lambda n: os.path.join(self.folder, n)
        return {"run": ["run", file("scenario.yaml"), "--out", f"{out}/run", "--trace", f"{out}/trace.json",
                        "--vllm-bench", f"{out}/bench.json", "--export-workload", f"{out}/workload.csv", "--quiet"],
                "sweep": ["sweep", file("sweep.yaml"), "--db", f"{out}/sweep.sqlite", "--jobs", "2", "--quiet"],
                "report": ["report", f"{self.reference}/run", "--out", f"{out}/report.html"],
                "json": ["run", file("scenario.yaml"), "--json"],
                "import": ["import", file("log.txt"), "--hardware", "a10g"]}[name]

    def start(self, name, out, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, before=lambda: None, extra=()):
        def prepare():
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            before()
        return subprocess.Popen([self.binary, *self.words(name, out), *extra], stdout=stdout, stderr=stderr,
                                cwd=self.folder, preexec_fn=prepare, restore_signals=False)


def content(database):
    """Every table but what names the simulator; None: no sound database of a whole schema."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True)) as connection:
        if connection.execute("pragma integrity_check").fetchone() != ("ok",):
            return None
        return {table: connection.execute(f"select * from {table}").fetchall()
                for table in ("sweep", "axis", "axis_value", "point", "scenario")}


def same_file(found, expected):
    with open(found, "rb") as f, open(expected, "rb") as g:
        a, b = f.read(), g.read()
    if not found.endswith(".json") or a == b:
        return a == b
    try:
        a, b = json.loads(a), json.loads(b)
    except ValueError:
        return False
    for half in (a, b):
        half.pop("simulator", None)
        half.pop("date", None)
    return a == b


def problems_left(commands, name, out):
    """What is wrong below `out`."""
    wrong = []
    for folder, _, files in os.walk(out):
        for file in files:
            path = os.path.join(folder, file)
            if ".tmp" in file or file.endswith(("-wal", "-shm", "-journal")):
                continue
            expected = os.path.join(commands.reference, os.path.relpath(path, out))
            if file.endswith(".sqlite"):
                try:
                    now, whole = content(path), content(expected)
                except sqlite3.Error as error:
                    wrong.append(f"{file}: {error}")
                    continue
                if now is None or not set(now["point"]) <= set(whole["point"]) or now["sweep"] != whole["sweep"]:
                    wrong.append(f"{file} is not sound, or holds other points than an undisturbed sweep")
            elif not os.path.exists(expected):
                wrong.append(f"{file} is a file that an undisturbed run does not write")
            elif not same_file(path, expected):
                wrong.append(f"{file} looks whole and is not")
    if os.path.exists(f"{out}/run"):
        for variant in os.listdir(f"{out}/run"):  # summary.json comes last
            there = os.listdir(f"{out}/run/{variant}")
            if "summary.json" in there and not {"requests.csv", "timeline.csv", "scenario.yaml"} <= set(there):
                wrong.append(f"{variant} has a summary.json and not all the rest")
    return wrong


def resumes(commands, out):
    database = f"{out}/sweep.sqlite"
    extra = ["--resume"] if os.path.exists(database) else []
    done = commands.start("sweep", out, extra=extra)
    _, err = done.communicate()
    if done.returncode != 0:
        return [f"the sweep does not go on: {err.decode().strip()}"]
    if content(database) != content(f"{commands.reference}/sweep.sqlite"):
        return ["the resumed sweep has other content than an undisturbed one"]
    return []


def harmed(commands, name, harm, how_much, folder):
    """(exit status, problems) of one command under one harm; `how_much`: 0 to 1."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        before = lambda: None
        stdout = subprocess.PIPE
        if harm == "file size":  # writes beyond it fail with EFBIG, as on a full disk with ENOSPC
            limit = int(2 ** (4 + 16 * how_much))
            before = lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                              resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        elif harm == "memory":
            limit = int(2 ** (24.5 + 4.5 * how_much))  # 24 MiB to 512 MiB: from where the program can just not be loaded
            before = lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        elif harm == "full output":
            stdout = open("/dev/full", "wb")
        elif harm == "folder not to be written":
            os.chmod(out, 0o555)
            before = lambda: os.setuid(65534) if os.getuid() == 0 else None
        process = commands.start(name, out, stdout, before=before)
        if harm == "closed output":
            process.stdout.close()
            process.stdout = None
        sent = None
        if harm in ("SIGINT", "SIGTERM", "SIGKILL"):
            try:
                process.wait(how_much * commands.usual[name] * 1.1)
            except subprocess.TimeoutExpired:
                sent = getattr(signal, harm)
                process.send_signal(sent)
        try:
            output, error = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "none", ["it does not end"]
        os.chmod(out, 0o755)
        code, error = process.returncode, error.decode(errors="replace")
        allowed = {0}
        if sent == signal.SIGKILL:
            allowed = {0, -9}
        elif sent is not None:
            allowed = {0, 3} if name == "sweep" else {0, -sent}
            if name == "sweep":
                allowed.add(-sent)  # before the sweep has begun, or after it has ended
        elif harm == "closed output":
            allowed = {0, -signal.SIGPIPE}
        elif harm == "full output":
            allowed = {3} if name in ("import", "json") else {0}
        elif harm == "folder not to be written":
            allowed = {0} if name in ("import", "json") else {3}
        elif harm in ("file size", "memory"):
            allowed = {0, 3}
        wrong = []
        loader = harm == "memory" and code == 127  # the program could not be loaded: ld.so's word, not ours
        if code not in allowed and not loader:
            wrong.append(f"exit {code}: {error.strip()[-300:]}")
        if code == 3 and not error.strip():
            wrong.append("exit 3 without a word")
        if code == 3 and sent == signal.SIGINT and "--resume" not in error:
            wrong.append("it does not say how to resume")
        if name == "import" and code == 0 and harm not in ("closed output",) and output != commands.imported:
            wrong.append("exit 0 with another scenario")
        wrong += problems_left(commands, name, out)
        if name == "sweep" and harm != "folder not to be written" and not wrong:
            wrong += resumes(commands, out)
        return code, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv")
    parser.add_argument("--without-memory", action="store_true")
    a = parser.parse_args()
    names = ["run", "sweep", "report", "import"]
    plan = []
    for harm, count in (("SIGINT", a.moments), ("SIGTERM", a.moments), ("SIGKILL", a.moments),
                        ("file size", a.moments // 2), ("memory", a.moments // 2)):
        plan += [(harm, names[i % 4], None) for i in range(count)]
    if a.without_memory:
        plan = [p for p in plan if p[0] != "memory"]
    plan += [(harm, name, 0.0) for harm in ("full output", "closed output", "folder not to be written") for name in [*names, "json"]]
    draw = random.Random(a.seed)
    rows, failed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        commands = Commands(os.path.abspath(a.binary), folder)
        for harm, name, fixed in plan:
            how_much = draw.random() if fixed is None else fixed
            code, wrong = harmed(commands, name, harm, how_much, folder)
            rows.append([harm, name, f"{how_much:.4f}", code, "; ".join(wrong)])
            if wrong:
                failed += 1
                print(f"{name}, {harm} at {how_much:.4f}: exit {code}", *wrong, sep="\n  ", flush=True)
    if a.csv:
        with open(a.csv, "w", newline="") as f:
            out = csv.writer(f, lineterminator="\n")
            out.writerow(["harm", "command", "moment_or_limit_share", "exit", "problems"])
            out.writerows(rows)
    print(f"{len(rows) - failed} of {len(rows)} as promised")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
