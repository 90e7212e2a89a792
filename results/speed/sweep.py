#!/usr/bin/env python3
"""Makes sweep.csv: the 2,000-point sweep with several jobs and ranks, best of three. Needs the release build; mpirun."""
import csv, os, pathlib, subprocess, tempfile, time

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
line = [root / "build/release/headroom", "sweep", root / "configs/sweeps/two-thousand.yaml", "--quiet", "--db"]
environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1")
rows = []
for kind, count in [("jobs", 1), ("jobs", 2), ("jobs", 4), ("ranks", 1), ("ranks", 2), ("ranks", 4)]:
    best = None
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            command = [*line, f"{folder}/db.sqlite"]
            command = [*command, "--jobs", str(count)] if kind == "jobs" else ["mpirun", "-n", str(count), *command]
            before, start = os.times(), time.monotonic()
            subprocess.run(command, check=True, env=environment)
            wall, after = time.monotonic() - start, os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            size = os.path.getsize(f"{folder}/db.sqlite")
            if best is None or wall < best[0]:
                best = (wall, cpu, size)
    rows.append([kind, count, f"{best[0]:.2f}", f"{best[1]:.2f}", f"{2000 / best[0]:.0f}", f"{best[1] / 2:.2f}", best[2]])
    print(*rows[-1])
with open(here / "sweep.csv", "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow(["kind", "count", "wall_s", "cpu_s", "points_per_s", "cpu_ms_per_point", "database_bytes"])
    out.writerows(rows)
