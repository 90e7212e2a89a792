#!/usr/bin/env bash
# Makes everything in this folder: blocks.csv, blocks.svg. Needs sqlite3 and gnuplot.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for sweep in block-size block-size-prefix; do
  ../../headroom sweep ../../configs/sweeps/$sweep.yaml --db "$work/$sweep.sqlite" --quiet
done
figures='"engine.block_size", avg(throughput_output_tokens_per_s), 100 * avg(memory_waste_token_states),
  100 * avg(memory_waste_reservation), 100 * avg(memory_waste_internal), avg(scheduler_mean_batch),
  avg(scheduler_preemptions), 100 * avg(scheduler_prefix_cache_hit_rate) from point group by 2 order by 1, 2'
{
  echo "workload,block_size_tokens,output_tokens_per_s,token_states_percent,reservation_percent,internal_percent,mean_batch,preemptions,prefix_hit_percent"
  sqlite3 -csv "$work/block-size.sqlite" "select 'no shared prefix', $figures"
  sqlite3 -csv "$work/block-size-prefix.sqlite" "select 'shared prefixes', $figures"
} | sed 's/"//g' | awk -F, -v OFS=, 'NR > 1 {for (i = 3; i <= NF; ++i) $i = sprintf("%.4g", $i)} {print}' > blocks.csv
gnuplot <<'GP'
set datafile separator ","
set terminal svg size 860,380 font "sans,12" background "white"
set output "blocks.svg"
set multiplot layout 1,2
set logscale x 2
set grid lc rgb "#dddddd"
set xlabel "block size, tokens"
set key bottom left
set ylabel "output tokens/s, of those at block size 1"
set yrange [0.7:1.02]
plot for [w in "'no shared prefix' 'shared prefixes'"] "< awk -F, -v w='".w."' '$1 == w {if (!first) first = $3; print $2 \",\" $3 / first}' blocks.csv" using 1:2 with linespoints lw 2 pt 7 ps 0.5 title w
set ylabel "percent"
set yrange [0:119]
set key top right
plot "< grep '^no' blocks.csv" using 2:4 with linespoints lw 2 pt 7 ps 0.5 title "slots that hold a token", \
     "< grep '^no' blocks.csv" using 2:($5+$6) with linespoints lw 2 pt 7 ps 0.5 title "slots of half-empty last blocks", \
     "< grep '^shared' blocks.csv" using 2:9 with linespoints lw 2 pt 7 ps 0.5 title "prefix hits, shared prefixes"
GP
