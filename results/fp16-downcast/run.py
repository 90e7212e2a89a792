#!/usr/bin/env python3
"""Makes everything in this folder: formats.csv, tensors.csv, sqnr.svg. Needs python3 and gnuplot.

usage: run.py MODEL.safetensors FOLDER   where FOLDER is what validate/activations/record.py --out writes, with --sites
       layer0.mlp_in,layer0.mlp_down_in,layer5.mlp_in,layer5.mlp_down_in
"""
import csv
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
FORMATS = ["float16", "bfloat16", "tf32", "fp8_e4m3", "fp8_e5m2", "int8", "awq", "gptq", "mxfp4", "nvfp4"]


def cast(files, to, *options):
    command = [f"{ROOT}/headroom", "numerics", *files, "--to", to, "--json", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def write(name, header, rows):
    with open(os.path.join(HERE, name), "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows([["" if v is None else f"{v:.5g}" if isinstance(v, float) else v for v in row] for row in rows])


def main():
    model, folder = sys.argv[1:3]
    activations = sorted(glob.glob(f"{folder}/*/*.npy"))
    formats, tensors = [], []
    for what, files in (("weights", [model]), ("activations", activations)):
        for to in FORMATS:
            r = cast(files, to, "--hardware", "a10g")
            t = r["total"]
            formats.append([what, to, r["stored_bytes"], r["converted_bytes"], t["values"], t["largest"], t["smallest"],
                            t["overflow"], t["underflow_to_zero"], t["subnormal"], t["sqnr_db"],
                            t["relative_error"]["mean"], t["relative_error"]["max"], r["broken_tensors"],
                            r["remedies"][-1]["bytes"] if len(r["remedies"]) > 1 else None,
                            r["remedies"][0]["read_time_s"] * 1e6])
            for x in r["tensors"]:
                if x["breaks"]:
                    name = x["name"] if what == "weights" else os.path.relpath(x["file"], folder)
                    tensors.append([what, to, name, x["largest"], x["overflow"], x["underflow_to_zero"], x["sqnr_db"],
                                    x["bfloat16_sqnr_db"], x.get("scaled", {}).get("sqnr_db")])
    write("formats.csv", ["what", "format", "stored_bytes", "converted_bytes", "values", "largest", "smallest",
                          "overflow", "to_zero", "subnormal", "sqnr_db", "mean_relative_error", "max_relative_error",
                          "broken_tensors", "bytes_with_those_kept", "a10g_read_us"], formats)
    write("tensors.csv", ["what", "format", "tensor", "largest", "overflow", "to_zero", "sqnr_db", "bfloat16_sqnr_db",
                          "scaled_sqnr_db"], tensors)
    rows = "\n".join(f'{to} ' + " ".join(str(f[10]) for f in formats if f[1] == to) for to in FORMATS)
    script = f"""set terminal svg size 800,400 font "sans,13" background "white"
set output "sqnr.svg"
$t << EOD
format weights activations
{rows}
EOD
set style data histogram
set style histogram clustered gap 1
set style fill solid border -1
set grid y lc rgb "#dddddd"
set ylabel "SQNR, dB"
set key autotitle columnheader
set xtics noenhanced rotate by -20
set yrange [0:*]
plot for [i=2:3] $t using i:xtic(1)
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True, cwd=HERE)


main()
