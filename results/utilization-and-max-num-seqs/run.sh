#!/usr/bin/env bash
# Makes everything in this folder: limits.csv, limits.svg. Needs sqlite3 and gnuplot.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
../../headroom sweep ../../configs/sweeps/utilization-seqs.yaml --db "$work/db.sqlite" --quiet
{
  echo "gpu_memory_utilization,max_num_seqs,kv_pool_tokens,goodput_percent,ttft_p99_s,tpot_p99_s,output_tokens_per_s,preemptions"
  sqlite3 -csv "$work/db.sqlite" 'select "engine.gpu_memory_utilization", "engine.max_num_seqs", avg(memory_kv_pool_tokens),
    100 * avg(goodput_fraction), avg(latency_ttft_s_p99), avg(latency_tpot_s_p99), avg(throughput_output_tokens_per_s),
    avg(scheduler_preemptions) from point group by 1, 2'
} | awk -F, -v OFS=, 'NR > 1 {$3 = sprintf("%.0f", $3); for (i = 4; i <= NF; ++i) $i = sprintf("%.4g", $i)} {print}' > limits.csv
gnuplot <<'GP'
set datafile separator ","
set terminal svg size 680,430 font "sans,12" background "white"
set output "limits.svg"
set title "percent of requests within TTFT 2 s and TPOT 100 ms, at 1.4 requests/s"
set xlabel "max\\_num\\_seqs"
set ylabel "gpu\\_memory\\_utilization"
set palette defined (0 "#b2182b", 50 "#f7f7f7", 100 "#2166ac")
set cbrange [0:100]
unset key
set xtics ("4" 0, "8" 1, "16" 2, "24" 3, "32" 4, "48" 5, "64" 6, "128" 7, "256" 8)
set xrange [-0.5:8.5]
set yrange [0.675:0.975]
column_of(n) = n==4 ? 0 : n==8 ? 1 : n==16 ? 2 : n==24 ? 3 : n==32 ? 4 : n==48 ? 5 : n==64 ? 6 : n==128 ? 7 : 8
set style fill solid noborder
plot "limits.csv" using (column_of($2)):1:(0.5):(0.025):4 every ::1 with boxxyerror lc palette, \
     "limits.csv" using (column_of($2)):1:(sprintf("%.0f", $4)) every ::1 with labels font ",10"
GP
