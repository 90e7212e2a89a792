# links.svg: what each way of using eight GPUs loses as the link gets slower. verdicts.svg: eight A10G against one.
# mixtral.svg: experts cut or whole.
set datafile separator ","
set terminal svg size 900,700 font "sans,13" background "white"
set grid lc rgb "#dddddd"
set output "links.svg"
set multiplot layout 2,2
set xtics ("NVLink" 0, "PCIe 4" 1, "100 GbE" 2, "25 GbE" 3)
set xrange [-0.2:3.2]
set logscale y
set offsets 0, 0, 0, 0
rows(model, way) = "< grep '^".model.",.*,".way.",[0-9]' links.csv"
do for [model in "llama-3.1-8b llama-3.1-70b"] {
  ways = model eq "llama-3.1-8b" ? "replicas tensor.parallelism ZeRO-3" : "tensor.parallelism ZeRO-3"
  colour(way) = way eq "replicas" ? "#7570b3" : way eq "ZeRO-3" ? "#d95f02" : "#1b9e77"
  name(way) = way eq "tensor.parallelism" ? "tensor parallelism" : way
  set key bottom left
  set title model.", 8 H100: throughput (simulated)"
  set ylabel "output tokens/s a GPU"
  plot for [w in ways] rows(model, w) using 2:6 with linespoints lw 2 pt 7 ps 0.6 lc rgb colour(w) title name(w)
  set key center right
  set title model.": one request alone"
  set ylabel "seconds per token"
  plot for [w in ways] rows(model, w) using 2:5 with linespoints lw 2 pt 7 ps 0.6 lc rgb colour(w) title name(w)
}
unset multiplot
reset
set datafile separator ","
set terminal svg size 1040,420 font "sans,13" background "white"
set output "verdicts.svg"
set title "Llama-2-7B on eight A10G, as multiples of one plain A10G (simulated)"
set logscale y
set grid lc rgb "#dddddd"
set yrange [0.01:1000]
set xrange [-0.5:7.5]
set key top left Left reverse
plot 1 lc rgb "#555555" notitle, \
     "eight-a10g.csv" using 0:2:xtic(1) every ::1 with points pt 7 ps 1.2 lc rgb "#1b9e77" title "throughput a GPU (more is better)", \
     "eight-a10g.csv" using 0:3 every ::1 with points pt 9 ps 1.4 lc rgb "#d95f02" title "time per token of one request (less is better)"

set output "mixtral.svg"
set terminal svg size 900,640 font "sans,13" background "white"
unset title
set multiplot layout 2,1 title "Mixtral-8x7B on eight GPUs (simulated)"
set xrange [-0.5:4.5]
set yrange [20:10000]
set key bottom right
set ylabel "output tokens/s a GPU"
plot "mixtral.csv" using 0:2:xtic(1) every ::1 with points pt 7 ps 1.2 lc rgb "#7570b3" title "H100, NVSwitch", \
     "mixtral.csv" using 0:3 every ::1 with points pt 9 ps 1.4 lc rgb "#d95f02" title "A10G, PCIe"
set yrange [0.0005:0.2]
set ylabel "seconds per token, alone"
plot "mixtral.csv" using 0:4:xtic(1) every ::1 with points pt 7 ps 1.2 lc rgb "#7570b3" title "H100, NVSwitch", \
     "mixtral.csv" using 0:5 every ::1 with points pt 9 ps 1.4 lc rgb "#d95f02" title "A10G, PCIe"
unset multiplot
