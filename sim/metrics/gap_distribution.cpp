// Percentiles of runs of values.
//
// Millions of gaps between tokens come as arithmetic progressions with a weight; written out they could be billions.
// Their order statistics are selected instead: take an even sample of the values, choose for each wanted rank two
// sampled values that should enclose it, count by arithmetic how many values of each progression lie on which side, and
// go on with the parts between the two, until what is left can be written out and sorted. The sample decides how fast
// that goes, never what comes out: counts are exact, and values are compared as they would have been computed one by
// one (first + i * slope is monotone in i, rounding included).
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/metrics/summary.h"

namespace headroom {
namespace {

constexpr std::int64_t kMostWrittenOut = 4'000;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double value_of(const GapRun& run, std::uint32_t i) {
  return run.first + static_cast<double>(i) * run.slope;
}

// Values from..to-1 of a run, at least one.
struct Stretch {
  const GapRun* run;
  std::uint32_t from, to;
  std::int64_t values() const { return to - from; }
  std::int64_t weight() const { return values() * run->sequences; }
  double least() const { return value_of(*run, run->slope < 0 ? to - 1 : from); }
  double most() const { return value_of(*run, run->slope < 0 ? from : to - 1); }
};

// The first index of the stretch whose value is not on the near side of `edge` (below it for a rising run, not below it
// for a falling one); `to` if all are.
std::uint32_t crossing(const Stretch& s, double edge) {
  const bool rising = s.run->slope >= 0;
  const auto near = [&](std::uint32_t i) { return (value_of(*s.run, i) < edge) == rising; };
  std::uint32_t low = s.from, high = s.to;
  const double exact = std::ceil((edge - s.run->first) / s.run->slope);  // but for rounding
  if (exact > low && exact < high) {
    const auto guess = static_cast<std::uint32_t>(exact);
    for (const std::uint32_t i : {guess - 1, guess}) {
      if (i < low || i >= high) continue;
      if (near(i)) {
        low = i + 1;
      } else {
        high = i;
      }
    }
  }
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (near(middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// The part of `s` with values in [low, high), perhaps empty.
Stretch between(const Stretch& s, double low, double high) {
  Stretch part = s;
  const bool rising = s.run->slope >= 0;
  if (s.least() < low) (rising ? part.from : part.to) = crossing(s, low);
  if (s.most() >= high) (rising ? part.to : part.from) = crossing(s, high);
  return part;
}

// Ascending: every total/size-th value, weights counted, from a place that differs for each.
std::vector<double> sampled(const std::vector<Stretch>& stretches, std::int64_t total) {
  // What it costs to sort so many, and to look at the stretches that so many leave between two, add up to least.
  const std::int64_t size = 64 + std::llround(std::pow(stretches.size(), 2.0 / 3));
  std::vector<double> sample;
  sample.reserve(static_cast<std::size_t>(size));
  const double stride = static_cast<double>(total) / static_cast<double>(size);
  double shift = 0.5;
  std::int64_t passed = 0;
  std::int64_t at = static_cast<std::int64_t>(shift * stride);
  for (const Stretch& s : stretches) {
    const std::int64_t end = passed + s.weight();
    while (at < end && std::ssize(sample) < size) {
      sample.push_back(value_of(*s.run, s.from + static_cast<std::uint32_t>((at - passed) / s.run->sequences)));
      shift += 0.6180339887498949;  // golden ratio: spreads evenly, repeats no period of the runs
      shift -= std::floor(shift);
      at = static_cast<std::int64_t>((static_cast<double>(sample.size()) + shift) * stride);
    }
    passed = end;
  }
  std::sort(sample.begin(), sample.end());
  return sample;
}

// Edges between slices of the values, ascending. A sampled value p gives two, p and the next double, so that p has a
// slice of its own and every other slice is free of it: each round leaves less to look at.
std::vector<double> edges_around(std::span<const std::int64_t> ranks, const std::vector<double>& sample,
                                 std::int64_t total) {
  std::vector<double> edges;
  const auto size = static_cast<double>(sample.size());
  for (const std::int64_t rank : ranks) {
    const double share = static_cast<double>(rank) / static_cast<double>(total);
    const double spread = 3 * std::sqrt(size * share * (1 - share)) + 1;  // three standard errors of a random sample
    for (const double at : {share * size - spread, share * size + spread}) {
      const double pivot = sample[static_cast<std::size_t>(std::clamp(at, 0.0, size - 1))];
      edges.push_back(pivot);
      edges.push_back(std::nextafter(pivot, kInfinity));
    }
  }
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  return edges;
}

// Weight in each slice: below edges[0], from edges[0] to below edges[1], ..., from the last edge on.
std::vector<std::int64_t> weigh(const std::vector<Stretch>& stretches, const std::vector<double>& edges) {
  std::vector<std::int64_t> weights(edges.size() + 1);
  for (const Stretch& s : stretches) {
    const double least = s.least(), most = s.most();
    std::size_t k = 0;
    while (k < edges.size() && edges[k] <= least) ++k;
    std::int64_t below = 0;
    for (; k < edges.size() && edges[k] <= most; ++k) {
      const std::uint32_t i = crossing(s, edges[k]);
      const std::int64_t now = s.run->slope < 0 ? s.to - i : i - s.from;
      weights[k] += (now - below) * s.run->sequences;
      below = now;
    }
    weights[k] += (s.values() - below) * s.run->sequences;
  }
  return weights;
}

void write_out(const std::vector<Stretch>& stretches, std::span<const std::int64_t> ranks, std::span<double> found) {
  std::vector<std::pair<double, std::int64_t>> values;
  for (const Stretch& s : stretches)
    for (std::uint32_t i = s.from; i < s.to; ++i) values.emplace_back(value_of(*s.run, i), s.run->sequences);
  std::sort(values.begin(), values.end());
  std::size_t at = 0;
  std::int64_t upto = values[0].second;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    while (upto <= ranks[r]) upto += values[++at].second;
    found[r] = values[at].first;
  }
}

// The values of the given ranks, counted from 0. Requires ascending ranks below the total weight.
void select(const std::vector<Stretch>& stretches, std::span<const std::int64_t> ranks, std::span<double> found) {
  std::int64_t values = 0, total = 0;
  for (const Stretch& s : stretches) {
    values += s.values();
    total += s.weight();
  }
  if (values <= kMostWrittenOut) return write_out(stretches, ranks, found);
  const std::vector<double> edges = edges_around(ranks, sampled(stretches, total), total);
  const std::vector<std::int64_t> weights = weigh(stretches, edges);
  std::int64_t below = 0;
  std::size_t done = 0;
  for (std::size_t k = 0; k < weights.size() && done < ranks.size(); below += weights[k++]) {
    std::vector<std::int64_t> inside;
    while (done + inside.size() < ranks.size() && ranks[done + inside.size()] < below + weights[k])
      inside.push_back(ranks[done + inside.size()] - below);
    if (inside.empty()) continue;
    const double low = k == 0 ? -kInfinity : edges[k - 1], high = k == edges.size() ? kInfinity : edges[k];
    const std::span<double> here = found.subspan(done, inside.size());
    done += inside.size();
    if (high == std::nextafter(low, kInfinity)) {  // a slice of one value
      std::fill(here.begin(), here.end(), low);
      continue;
    }
    std::vector<Stretch> left;
    for (const Stretch& s : stretches) {
      if (s.most() < low || s.least() >= high) continue;
      if (const Stretch part = between(s, low, high); part.from < part.to) left.push_back(part);
    }
    select(left, inside, here);
  }
}

}  // namespace

Distribution distribution_of(std::span<const GapRun> gaps) {
  Distribution d;
  std::vector<Stretch> stretches;
  stretches.reserve(gaps.size());
  double sum = 0, most = -kInfinity;
  for (const GapRun& run : gaps) {
    if (run.steps == 0 || run.sequences == 0) continue;
    stretches.push_back(Stretch{&run, 0, run.steps});
    const auto n = static_cast<double>(run.steps);
    d.count += stretches.back().weight();
    sum += run.sequences * (n * run.first + n * (n - 1) / 2 * run.slope);
    most = std::max(most, stretches.back().most());
  }
  if (d.count == 0) return d;
  d.mean = sum / static_cast<double>(d.count);
  d.max = most;
  // The same arithmetic as percentile(), whose two neighbours are the ranks to select.
  constexpr std::array kPercents{50.0, 90.0, 95.0, 99.0};
  const auto place = [&](double q) { return q / 100 * static_cast<double>(d.count - 1); };
  std::vector<std::int64_t> ranks;
  for (const double q : kPercents)
    for (const std::int64_t next : {0, 1})
      ranks.push_back(std::min(static_cast<std::int64_t>(place(q)) + next, d.count - 1));
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::vector<double> found(ranks.size());
  select(stretches, ranks, found);
  const auto at_percent = [&](double q) {
    const auto low = static_cast<std::int64_t>(place(q));
    const auto at = static_cast<std::size_t>(std::lower_bound(ranks.begin(), ranks.end(), low) - ranks.begin());
    const double value = found[at], next = found[std::min(at + 1, found.size() - 1)];
    return value + (place(q) - static_cast<double>(low)) * (next - value);
  };
  d.p50 = at_percent(50);
  d.p90 = at_percent(90);
  d.p95 = at_percent(95);
  d.p99 = at_percent(99);
  return d;
}

}  // namespace headroom
