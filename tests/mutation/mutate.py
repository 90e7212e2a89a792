#!/usr/bin/env python3
"""Breaks schedulers, allocators and the cost model in small ways, and counts what the tests notice.

usage: mutate.py [--count 100] [--seed 1] [--work FOLDER] [--csv FILE] [--jobs 2]

Sites are drawn without looking: every comparison, arithmetic sign, small number, condition, minimum or maximum and
statement in sim/sched, sim/memory and models (without models/numerics), in an order that the seed gives. A copy of the
tracked sources is rewritten so that the environment chooses the mutant (mutation.h), and built once. Each mutant then
runs the test programs, quickest first, until one fails, crashes or exceeds five times its usual time: noticed. A mutant
that does not compile, or whose other operator has no meaning for its operands, is replaced by the next one drawn.
"""
import argparse
import concurrent.futures
import csv
import os
import random
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDERS = {"sim/sched": "headroom_sched", "sim/memory": "headroom_memory", "models": "headroom_models"}
SIGNS = {"<": ("<", "l"), "<=": ("l", "<"), ">": (">", "g"), ">=": ("g", ">"), "==": ("=", "!"), "!=": ("!", "="),
         "+": ("+", "-"), "-": ("-", "+"), "*": ("*", "/"), "/": ("/", "*")}
OTHER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "*": "/", "/": "*"}
PROGRAMS = ["sched_test", "memory_test", "models_test", "metrics_test", "hardware_test", "engine_test", "config_test",
            "import_test", "golden_runs_test", "command_line_test", "queueing_test", "engine_property_test",
            "validate_test", "plan_test"]


def masked(text):
    """The text with comments and strings blanked, position by position."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    return re.sub(r'//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text)


def closing(text, at):
    """Where the bracket that opens at `at` closes."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    return None


def sites_of(file, text):
    """(file, position, operator, description, edits); an edit is (from, to, text with %d for the mutant's number)."""
    code, sites, entity, start = masked(text), [], "", 0
    for line in code.splitlines(keepends=True):
        if re.match(r"[A-Za-z]", line) and not line.startswith(("namespace", "public", "private")):
            entity = line
        constant = "constexpr" in line or ("constexpr" in entity and "(" not in entity.split("=")[0])
        skip = constant or re.search(r"static_assert|\bcase\b|\benum\b|template|operator|^\S|^#", line)
        add = lambda a, b, new, kind, what: sites.append((file, start + a, kind, what, [(start + a, start + b, new)]))
        if not skip:
            for m in re.finditer(r"(?<=[\w)\]}]) (<=|>=|==|!=|[-<>+*/]) (?=[\w(\-!*.{])", line):
                was, now = SIGNS[m[1]]
                add(m.start(1), m.end(1), f"{m[1]} mutation::Op<%d, '{was}', '{now}'>{{}} {m[1]}", "sign",
                    f"{m[1]} becomes {OTHER[m[1]]}")
            for m in re.finditer(r"(?<=[ (])(\d+)(?=[,;) ])", line):
                add(m.start(1), m.end(1), f"mutation::number<%d>({m[1]})", "number", f"{m[1]} becomes {int(m[1]) + 1}")
            for m in re.finditer(r"std::(min|max)\((?!\{)", line):
                name = {"min": "least", "max": "most"}[m[1]]
                add(m.start(), m.end(), f"mutation::{name}<%d>(", "extreme", f"{m[1]} becomes the other")
            for m in re.finditer(r"\bif \(", line):
                at = start + m.end() - 1
                end = closing(code, at)
                inside = code[at + 1:end]
                if ";" not in inside and not re.search(r"[^=!<>]=[^=]|\[", inside):
                    sites.append((file, at, "condition", "the condition is negated",
                                  [(at, at + 1, "(mutation::negated<%d>("), (end, end + 1, "))")]))
            m = re.match(r"( +)([A-Za-z_][\w.>\[\]-]*?(?:\(.*\)|(?: [-+*/]?= .*)|\+\+|--)|(?:\+\+|--)[\w.>\[\]-]+);\n", line)
            if m and not m[2].startswith(("return", "throw", "break", "using", "const", "delete")):
                at, end = start + m.start(2), start + m.end() - 1
                sites.append((file, at, "statement", "the statement is left out",
                              [(at, at, "{ if (!mutation::on<%d>()) "), (end, end, " }")]))
        start += len(line)
    return sites


def rewritten(text, chosen):
    """With the edits of all chosen sites; where two begin alike, the wider is laid around the narrower."""
    edits = [(a, b, new % number if "%d" in new else new) for number, site in chosen for a, b, new in site[4]]
    for a, b, new in sorted(edits, key=lambda e: (e[0], e[1]), reverse=True):
        text = text[:a] + new + text[b:]
    return text


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def copy_of_sources(tree):
    os.makedirs(tree, exist_ok=True)
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source, target = os.path.join(ROOT, name), os.path.join(tree, name)
        rewritten_later = os.path.dirname(name) in FOLDERS and name.endswith(".cpp") and os.path.exists(target)
        if not os.path.exists(source) or rewritten_later:
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target) or open(source, "rb").read() != open(target, "rb").read():
            shutil.copy(source, target)
    for folder, library in FOLDERS.items():
        file = os.path.join(tree, folder, "CMakeLists.txt")
        line = f"target_compile_options({library} PRIVATE -include ${{PROJECT_SOURCE_DIR}}/tests/mutation/mutation.h)\n"
        with open(file) as f:
            text = f.read()
        if line not in text:
            with open(file, "a") as f:
                f.write(line)


def build(tree, jobs):
    if not os.path.exists(os.path.join(tree, "build/release/build.ninja")):
        subprocess.run(["cmake", "--preset", "release", "-DHEADROOM_TESTS=ON"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    return subprocess.run(["nice", "cmake", "--build", "build/release", f"-j{jobs}", "--target", "headroom", *PROGRAMS, "--", "-k0"],
                          cwd=tree, capture_output=True, text=True)


def built_mutants(tree, sites, count, jobs):
    """Numbered sites of which all compile and have a meaning; rewrites and builds until that is so."""
    texts = {}
    for file in {s[0] for s in sites}:
        with open(os.path.join(ROOT, file)) as f:
            texts[file] = f.read()
    drawn = list(enumerate(sites, 1))
    refused, dropped = set(), 0
    while True:
        chosen = [d for d in drawn if d[0] not in refused][:count]
        for file, text in texts.items():
            new = rewritten(text, [c for c in chosen if c[1][0] == file])
            target = os.path.join(tree, file)
            with open(target) as f:
                if f.read() == new:
                    continue
            with open(target, "w") as f:
                f.write(new)
        done = build(tree, jobs)
        if done.returncode != 0:
            lines = set(re.findall(r"(?:^|/)((?:sim|models)/[\w/]+\.cpp):(\d+):\d+: (?:error|  required)", done.stdout, re.M))
            lines |= set(re.findall(r"((?:sim|models)/[\w/]+\.cpp):(\d+):\d+:", done.stdout))
            bad = {n for n, s in chosen if (s[0], str(line_of(texts[s[0]], s[1]))) in lines}
            if not bad:
                sys.exit(done.stdout[-3000:] + done.stderr[-2000:])
        else:
            said = ""
            for program in ("headroom", "models_test", "memory_test", "sched_test", "hardware_test"):
                said += subprocess.run([f"build/release/{program}", "--version" if program == "headroom" else "--gtest_list_tests"],
                                       cwd=tree, env={**os.environ, "HEADROOM_MUTANT": "list"}, capture_output=True, text=True).stdout
            chosen_numbers = {n for n, _ in chosen}
            bad = {int(n) for n in re.findall(r"inapplicable (\d+)", said)} & chosen_numbers
            if not bad:
                return chosen, len(refused)
        refused |= bad
        print(f"{len(bad)} of the drawn do not compile or have no meaning; drawing others", flush=True)


def commands(tree, folder):
    worlds = [sys.executable, "-B", os.path.join(tree, "tests/worlds/worlds.py"), os.path.join(tree, "build/release/headroom"),
              "--jobs", "1", "--keep", folder]
    return [[os.path.join(tree, "build/release", p)] for p in PROGRAMS] + [
        worlds + ["--world", os.path.join(tree, "tests/worlds/found")], worlds + ["--count", "60", "--no-shrink"]]


def name_of(command):
    return "worlds" if "--count" in command else "worlds_found" if "--world" in command else os.path.basename(command[0])


def run(command, mutant, limit, folder):
    """How it ended, empty: as it should; and how long it took."""
    begin = time.monotonic()
    environment = {**os.environ, "HEADROOM_MUTANT": str(mutant), "TMPDIR": folder, "GTEST_FAIL_FAST": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               cwd=folder, start_new_session=True,
                               preexec_fn=lambda: __import__("resource").setrlimit(
                                   __import__("resource").RLIMIT_AS, (6 << 30, 6 << 30)))
    try:
        code = process.wait(limit)
        how = "" if code == 0 else "failed" if code > 0 else f"signal {-code}"
    except subprocess.TimeoutExpired:
        how = "no end"
    try:
        os.killpg(process.pid, 9)  # and what it has started
    except ProcessLookupError:
        pass
    process.wait()
    return how, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", default=os.path.join(ROOT, "build/mutation"))
    parser.add_argument("--csv", default=os.path.join(ROOT, "results/trust/mutation.csv"))
    parser.add_argument("--only", type=int, nargs="*", help="these mutants again; the CSV is not written")
    a = parser.parse_args()
    tree, folder = os.path.join(a.work, "tree"), os.path.join(a.work, "scratch")
    os.makedirs(folder, exist_ok=True)
    copy_of_sources(tree)
    sites = []
    for part in FOLDERS:
        for name in sorted(os.listdir(os.path.join(ROOT, part))):
            if name.endswith(".cpp"):
                with open(os.path.join(ROOT, part, name)) as f:
                    sites += sites_of(f"{part}/{name}", f.read())
    random.Random(a.seed).shuffle(sites)
    chosen, refused = built_mutants(tree, sites, a.count, a.jobs)
    print(f"{len(sites)} sites, {a.count} drawn with seed {a.seed}, {refused} replaced", flush=True)

    usual = []
    for command in commands(tree, folder):
        how, seconds = run(command, 0, 600, folder)
        if how:
            sys.exit(f"{name_of(command)} fails without any mutation: {how}")
        usual.append((seconds, command))
    usual.sort(key=lambda u: u[0])

    def judged(mutant):
        number, (file, position, kind, what, _) = mutant
        for seconds, command in usual:
            how, _ = run(command, number, 20 + 5 * seconds, folder)
            if how:
                return name_of(command), how
        return "", "not noticed"

    if a.only:
        chosen = [c for c in chosen if c[0] in a.only]
    rows = []
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for (number, site), (by, how) in zip(chosen, pool.map(judged, chosen)):
            with open(os.path.join(ROOT, site[0])) as f:
                text = f.read()
            line = line_of(text, site[1])
            rows.append([number, site[0], line, site[2], site[3], by, how, text.splitlines()[line - 1].strip()])
            print(*rows[-1], sep=" | ", flush=True)
    noticed = sum(r[5] != "" for r in rows)
    if not a.only:
        os.makedirs(os.path.dirname(a.csv), exist_ok=True)
        with open(a.csv, "w", newline="") as f:
            out = csv.writer(f, lineterminator="\n")
            out.writerow(["mutant", "file", "line", "operator", "change", "noticed_by", "how", "source_line"])
            out.writerows(rows)
    print(f"{noticed} of {len(rows)} noticed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
