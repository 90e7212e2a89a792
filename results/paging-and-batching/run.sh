#!/usr/bin/env bash
# Makes everything in this folder: paging.csv, batching.csv, paging.svg, batching.svg. Needs sqlite3 and gnuplot.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for sweep in paging batching; do
  ../../headroom sweep ../../configs/sweeps/$sweep.yaml --db "$work/$sweep.sqlite" --quiet
done
tidy() { sed 's/"//g' | awk -F, -v OFS=, -v from="$1" 'NR > 1 {for (i = from; i <= NF; ++i) if ($i != "") $i = sprintf("%.4g", $i)} {print}'; }
{
  echo "scheduler,kv_allocator,output_tokens_per_s,mean_batch,token_states_percent,preemptions"
  sqlite3 -csv "$work/paging.sqlite" "select engine, \"engine.kv_allocator\", avg(throughput_output_tokens_per_s),
    avg(scheduler_mean_batch), 100 * avg(memory_waste_token_states), avg(scheduler_preemptions) from point group by 1, 2
    order by 1, instr('maxpow2exactpaged', replace(\"engine.kv_allocator\", 'contiguous-', ''))"
} | tidy 3 > paging.csv
{
  echo "scheduler,kv_allocator,max_num_seqs,output_tokens_per_s,mean_batch,lost_requests"
  sqlite3 -csv "$work/batching.sqlite" "select engine, \"engine.kv_allocator\", \"engine.max_num_seqs\",
    avg(throughput_output_tokens_per_s), avg(scheduler_mean_batch), avg(requests_rejected) from point group by 1, 2, 3"
} | tidy 4 > batching.csv
gnuplot <<'GP'
set datafile separator ","
set grid lc rgb "#dddddd"
set ylabel "output tokens/s"
set yrange [0:*]
set terminal svg size 620,360 font "sans,12" background "white"
set output "paging.svg"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 border -1
set key top left
plot "< grep '^vllm-v0' paging.csv" using 3:xtic(2) title "scheduler of vLLM V0", "< grep '^orca' paging.csv" using 3 title "scheduler of Orca"
set output "batching.svg"
set logscale x 2
set xlabel "max\\_num\\_seqs"
set key top left
set style data linespoints
plot "< grep '^continuous,contiguous-exact' batching.csv" using 3:4 lw 2 lc rgb "#1b6ca8" pt 7 ps 0.5 title "continuous, exact", \
     "< grep '^continuous,contiguous-max' batching.csv" using 3:4 lw 2 dt 2 lc rgb "#1b6ca8" pt 7 ps 0.5 title "continuous, contiguous-max", \
     "< grep '^static,contiguous-exact' batching.csv" using 3:4 lw 2 lc rgb "#d95f02" pt 7 ps 0.5 title "static, exact", \
     "< grep '^static,contiguous-max' batching.csv" using 3:4 lw 2 dt 2 lc rgb "#d95f02" pt 7 ps 0.5 title "static, contiguous-max"
GP
