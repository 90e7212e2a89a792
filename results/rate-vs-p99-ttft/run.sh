#!/usr/bin/env bash
# Makes everything in this folder: ttft.csv, ttft.svg. Needs sqlite3 and gnuplot.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
../../headroom sweep ../../configs/sweeps/rate-ttft.yaml --db "$work/db.sqlite" --quiet
{
  echo "engine,rate_per_s,ttft_p99_s,ttft_p99_least_s,ttft_p99_most_s,ttft_p50_s,tpot_p50_s,output_tokens_per_s,mean_batch"
  sqlite3 -csv "$work/db.sqlite" 'select variant, "workload.arrivals.rate", avg(latency_ttft_s_p99), min(latency_ttft_s_p99),
    max(latency_ttft_s_p99), avg(latency_ttft_s_p50), avg(latency_tpot_s_p50), avg(throughput_output_tokens_per_s),
    avg(scheduler_mean_batch) from point group by 1, 2'
} | awk -F, -v OFS=, 'NR > 1 {for (i = 2; i <= NF; ++i) $i = sprintf("%.4g", $i)} {print}' > ttft.csv
gnuplot <<'GP'
set datafile separator ","
set terminal svg size 760,460 font "sans,12" background "white"
set output "ttft.svg"
set logscale xy
set grid lc rgb "#dddddd"
set xlabel "requests/s"
set ylabel "TTFT p99, s (mean, least and most of five seeds)"
set key top left
set yrange [0.1:5000]
set xrange [0.015:2.5]
set linetype 5 lc rgb "#222222"
plot for [e in "hf-generate fastertransformer orca-max vllm-v0 vllm-v1-2025"] "< grep '^".e.",' ttft.csv" using 2:3:4:5 with yerrorlines lw 2 pt 7 ps 0.4 title e, 2 lc rgb "#999999" dt 2 title "2 s"
GP
