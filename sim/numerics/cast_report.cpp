#include "sim/numerics/cast_report.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace headroom {
namespace {

constexpr std::int64_t kPiece = 1 << 15;  // numbers converted at once: two buffers stay in the L2 cache
constexpr std::size_t kWorst = 3;
constexpr double kExact = std::numeric_limits<double>::infinity();  // SQNR of what loses nothing

// Calls visit(row, column, values) over the tensor in pieces that begin at a multiple of `block` within a row.
void for_each_piece(const Tensor& t, std::int64_t block,
                    const std::function<void(std::int64_t, std::int64_t, std::span<const float>)>& visit) {
  const std::int64_t rows = t.rows(), columns = t.columns();
  const std::int64_t piece = std::max<std::int64_t>(kPiece / block, 1) * block;
  std::vector<float> buffer(static_cast<std::size_t>(std::min(piece, columns)));
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t from = 0; from < columns; from += piece) {
      const std::span<float> values(buffer.data(), static_cast<std::size_t>(std::min(piece, columns - from)));
      read_numbers(t, row * columns + from, values);
      visit(row, from, values);
    }
}

float largest_finite(std::span<const float> values, float largest) {
  for (const float v : values) {
    const float magnitude = std::abs(v);
    if (magnitude > largest && magnitude <= std::numeric_limits<float>::max()) largest = magnitude;
  }
  return largest;
}

// Worse: more overflow, then a lower SQNR.
bool worse(const ChannelTally& a, const ChannelTally& b) {
  if (a.tally.overflow != b.tally.overflow) return a.tally.overflow > b.tally.overflow;
  return a.tally.noise * b.tally.signal > b.tally.noise * a.tally.signal;
}

class Caster {
 public:
  Caster(const Tensor& tensor, const CastOptions& options, ChannelAxis axis)
      : t_(tensor), options_(options), axis_(axis), entry_(entry_of(options.to)) {
    const NumberLimits limits = limits_of(options.to);
    smallest_normal_ = is_scaled(options.to) ? 0 : limits.smallest_normal;
    cut_above_ = is_scaled(options.to) || options.overflow == Overflow::kStandard
                     ? std::numeric_limits<float>::infinity()
                     : limits.largest;
  }

  TensorReport report() {
    TensorReport r;
    r.name = t_.name;
    r.type_name = t_.type_name;
    r.shape = t_.shape;
    r.stored = Bytes{static_cast<std::int64_t>(t_.data.size())};
    r.converted = storage_bytes(options_.to, t_.rows(), t_.columns(), options_.group);
    r.kept = keeps();
    if (r.kept) r.converted = r.stored;
    if (r.kept || t_.elements() == 0) return r;
    find_scales();
    tally(r);
    r.breaks = r.tally.overflow > 0 || r.tally.sqnr_db() < options_.min_sqnr_db;
    if (r.breaks) try_others(r);
    return r;
  }

 private:
  bool keeps() const {
    if (is_scaled(options_.to) && t_.shape.size() < 2) return true;
    return std::any_of(options_.keep.begin(), options_.keep.end(),
                       [&](const std::string& pattern) { return fnmatch(pattern.c_str(), t_.name.c_str(), 0) == 0; });
  }

  std::int64_t block() const { return entry_.block > 0 ? entry_.block : entry_.block == 0 ? options_.group : 1; }

  void find_scales() {
    if (options_.to == NumberFormat::kInt8) row_largest_.assign(static_cast<std::size_t>(t_.rows()), 0);
    if (row_largest_.empty() && options_.to != NumberFormat::kNvfp4) return;
    for_each_piece(t_, 1, [&](std::int64_t row, std::int64_t, std::span<const float> values) {
      tensor_largest_ = largest_finite(values, tensor_largest_);
      if (row_largest_.empty()) return;
      float& largest = row_largest_[static_cast<std::size_t>(row)];
      largest = largest_finite(values, largest);
    });
  }

  void tally(TensorReport& r) {
    const bool channels = t_.shape.size() > 1;
    const bool last = axis_ == ChannelAxis::kLast;
    const std::int64_t rows_each = channels && !last ? t_.rows() / t_.shape.front() : t_.rows();
    std::vector<Tally> of_columns(channels && last ? static_cast<std::size_t>(t_.columns()) : 0);
    ChannelTally current;
    const auto keep = [&](const ChannelTally& c) {
      r.worst.insert(std::upper_bound(r.worst.begin(), r.worst.end(), c, worse), c);
      if (r.worst.size() > kWorst) r.worst.pop_back();
    };
    std::vector<float> out;
    for_each_piece(t_, block(), [&](std::int64_t row, std::int64_t column, std::span<const float> values) {
      out.resize(values.size());
      RowScale scale{0, tensor_largest_, options_.group};
      if (!row_largest_.empty()) scale.row_largest = row_largest_[static_cast<std::size_t>(row)];
      convert(options_.to, values, out, scale, options_.overflow);
      if (!of_columns.empty()) {
        for (std::size_t i = 0; i < values.size(); ++i)
          of_columns[static_cast<std::size_t>(column) + i].add(values[i], out[i], cut_above_, smallest_normal_);
        return;
      }
      if (row / rows_each != current.channel) {
        keep(current);
        r.tally += current.tally;
        current = {row / rows_each, {}};
      }
      for (std::size_t i = 0; i < values.size(); ++i)
        current.tally.add(values[i], out[i], cut_above_, smallest_normal_);
    });
    if (of_columns.empty()) {
      r.tally += current.tally;
      if (channels) keep(current);
    }
    for (std::size_t i = 0; i < of_columns.size(); ++i) {
      r.tally += of_columns[i];
      keep({static_cast<std::int64_t>(i), of_columns[i]});
    }
    // A channel without noise is no bad one.
    std::erase_if(r.worst, [](const ChannelTally& c) { return c.tally.noise == 0 && c.tally.overflow == 0; });
  }

  // The same tensor as bfloat16, and under one scale that brings its largest value to the format's largest.
  void try_others(TensorReport& r) {
    Tally bfloat16, scaled;
    const bool plain = !is_scaled(options_.to);
    if (plain) r.scale = r.tally.largest > 0 ? r.tally.largest / limits_of(options_.to).largest : 1;
    std::vector<float> out, small;
    for_each_piece(t_, 1, [&](std::int64_t, std::int64_t, std::span<const float> values) {
      out.resize(values.size());
      convert(NumberFormat::kBfloat16, values, out, {});
      for (std::size_t i = 0; i < values.size(); ++i) bfloat16.add(values[i], out[i], kNever, 0);
      if (!plain) return;
      small.assign(values.begin(), values.end());
      for (float& v : small) v /= r.scale;
      convert(options_.to, small, out, {}, Overflow::kSaturate);
      for (std::size_t i = 0; i < values.size(); ++i) scaled.add(values[i], out[i] * r.scale, kNever, 0);
    });
    r.bfloat16_sqnr_db = bfloat16.sqnr_db();
    if (plain) r.scaled_sqnr_db = scaled.sqnr_db();
  }

  static constexpr float kNever = std::numeric_limits<float>::infinity();
  const Tensor& t_;
  const CastOptions& options_;
  ChannelAxis axis_;
  const NumberFormatEntry& entry_;
  float smallest_normal_ = 0, cut_above_ = 0;
  float tensor_largest_ = 0;
  std::vector<float> row_largest_;
};

}  // namespace

void Tally::add(float before, float after, float cut_above, float smallest_normal) {
  ++values;
  const float magnitude = std::abs(before);
  if (!(magnitude <= std::numeric_limits<float>::max())) {
    ++not_finite;
    return;
  }
  largest = std::max(largest, magnitude);
  if (magnitude == 0) return;
  smallest = smallest == 0 ? magnitude : std::min(smallest, magnitude);
  const float size = std::abs(after);
  if (!(size <= std::numeric_limits<float>::max())) {
    ++overflow;
    return;
  }
  if (magnitude > cut_above) ++overflow;
  if (size == 0) ++underflow;
  if (size > 0 && size < smallest_normal) ++subnormal;
  const double x = static_cast<double>(before), error = x - static_cast<double>(after);
  signal += x * x;
  noise += error * error;
  const double relative = std::abs(error) / static_cast<double>(magnitude);
  relative_sum += relative;
  relative_largest = std::max(relative_largest, relative);
  ++relative_values;
}

Tally& Tally::operator+=(const Tally& o) {
  values += o.values;
  not_finite += o.not_finite;
  overflow += o.overflow;
  underflow += o.underflow;
  subnormal += o.subnormal;
  largest = std::max(largest, o.largest);
  if (o.smallest > 0) smallest = smallest == 0 ? o.smallest : std::min(smallest, o.smallest);
  signal += o.signal;
  noise += o.noise;
  relative_sum += o.relative_sum;
  relative_largest = std::max(relative_largest, o.relative_largest);
  relative_values += o.relative_values;
  return *this;
}

double Tally::sqnr_db() const {
  return noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / noise);
}

double Tally::mean_relative_error() const {
  return relative_values == 0 ? 0 : relative_sum / static_cast<double>(relative_values);
}

std::int64_t CastReport::num_broken() const {
  return std::count_if(tensors.begin(), tensors.end(), [](const TensorReport& t) { return t.breaks; });
}

std::vector<Remedy> remedies(const CastReport& report) {
  const std::string to(entry_of(report.options.to).name);
  Bytes plain = report.other, bfloat16 = report.other, scaled = report.other, kept = report.other;
  bool loses = false, can_scale = !is_scaled(report.options.to);
  double plain_sqnr = kExact, bfloat16_sqnr = kExact, scaled_sqnr = kExact;
  for (const TensorReport& t : report.tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t size : t.shape) elements *= size;
    plain += t.converted;
    bfloat16 += t.kept ? t.stored : Bytes{2 * elements};
    scaled += t.converted + Bytes{t.breaks ? 4 : 0};
    kept += t.breaks ? t.stored : t.converted;
    if (!t.breaks) continue;
    loses = loses || t.tally.overflow > 0;
    plain_sqnr = std::min(plain_sqnr, t.tally.sqnr_db());
    bfloat16_sqnr = std::min(bfloat16_sqnr, t.bfloat16_sqnr_db.value_or(kExact));
    scaled_sqnr = std::min(scaled_sqnr, t.scaled_sqnr_db.value_or(kExact));
  }
  std::vector<Remedy> list{{to, plain, loses ? std::nullopt : std::optional(plain_sqnr)}};
  if (report.num_broken() == 0) return list;
  if (report.options.to != NumberFormat::kBfloat16) list.push_back({"bfloat16 instead", bfloat16, bfloat16_sqnr});
  if (can_scale) list.push_back({to + ", a scale for each that breaks", scaled, scaled_sqnr});
  list.push_back({to + ", those that break kept as stored", kept, kExact});
  return list;
}

void add_file(const TensorFile& file, CastReport& report) {
  const ChannelAxis axis = report.options.axis.value_or(file.is_npy() ? ChannelAxis::kLast : ChannelAxis::kFirst);
  for (const Tensor& t : file.tensors()) {
    if (t.type == StoredType::kOther) {
      report.not_read.push_back(t.name);
      report.other += Bytes{static_cast<std::int64_t>(t.data.size())};
      continue;
    }
    report.tensors.push_back(Caster(t, report.options, axis).report());
    file.release(t);
    const TensorReport& r = report.tensors.back();
    report.tensors.back().file = file.path();
    report.total += r.tally;
    report.stored += r.stored;
    report.converted += r.converted;
  }
}

}  // namespace headroom
