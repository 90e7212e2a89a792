// The growing cache of Hugging Face's generate(): per layer one K and one V tensor for the whole padded batch, each
// copied into a slightly larger one at every step (SEMANTICS 1.2).
//
// Exact at every step: the live bytes, and the transient of one layer's K (old and new exist side by side). A step is
// out of memory when the live tensors, each in the segment the caching allocator would give it, and the largest
// transient do not fit; cached segments do not count, since the allocator gives them back before it fails.
//
// What the allocator holds beyond live tensors depends on the sizes it has seen. It is simulated by its own rules, but
// for a sample of the steps: every step while tensors share segments (up to 10 MiB each), afterwards only when a
// tensor no longer fits the segment of its predecessor, because in between each copy just takes the block that the
// last one left. Layers behave alike, so kSampledTensors of them are followed and scaled.
#include <algorithm>
#include <vector>

#include "sim/memory/caching_allocator.h"
#include "sim/memory/kv_allocators.h"

namespace headroom {
namespace {

constexpr std::int64_t kSampledTensors = 4;
constexpr std::int64_t kSharedSegment = 10 * kMiB;
constexpr std::int64_t kSegmentGrain = 2 * kMiB;
constexpr std::int64_t kMostSampledSteps = 64;  // of one batch while tensors share segments

class Dynamic final : public KvAllocator {
 public:
  explicit Dynamic(const KvAllocatorOptions& options)
      : capacity_(options.capacity_tokens),
        bytes_per_token_(options.kv_bytes_per_token),
        tensors_(2 * options.num_layers),
        sampled_(std::min(tensors_, kSampledTensors)),
        device_(capacity_ * bytes_per_token_ * sampled_ / tensors_) {}

  std::int64_t capacity() const override { return capacity_; }
  std::int64_t available() const override { return std::max<std::int64_t>(0, capacity_ - rows_ * length_); }
  std::int64_t unit_tokens() const override { return 1; }
  std::int64_t cached_prefix(const KvDemand&) const override { return 0; }

  bool can_open(const KvDemand& demand, std::int64_t, std::int64_t upto, std::int64_t) const override {
    return fits(rows_ + demand.width, demand.padding + upto);
  }
  bool ever_fits(const KvDemand& demand, std::int64_t upto) const override { return fits(demand.width, upto); }

  void open(SequenceId id, const KvDemand& demand, std::int64_t, std::int64_t upto) override {
    if (index_of(id) >= entries_.size()) entries_.resize(index_of(id) + 1);
    Entry& e = entries_[index_of(id)];
    e = Entry{};
    e.padding = demand.padding;
    e.width = demand.width;
    e.final = demand.final_tokens;
    rows_ += e.width;
    length_ = demand.padding + upto;
    padding_ += e.width * e.padding;
  }

  std::int64_t units_to_extend(SequenceId, std::int64_t) const override { return 0; }
  void extend(SequenceId, std::int64_t) override {}
  void store(SequenceId id, std::int64_t upto) override {
    Entry& e = at(id);
    tokens_ += e.width * (upto - e.stored);
    e.stored = upto;
    note_peak();
  }
  void close(SequenceId id, bool) override {
    const Entry& e = at(id);
    tokens_ -= e.width * e.stored;
    padding_ -= e.width * e.padding;
    rows_ -= e.width;
    if (rows_ > 0) return;
    for (const std::int64_t handle : handles_)
      if (handle >= 0) device_.free(handle);
    handles_.clear();
    length_ = 0;
    sampled_steps_ = 0;
    sampled_segment_ = 0;
  }

  void join(SequenceId id) override {
    Entry& e = at(id);
    e.joined = clock_;
    e.growing = true;
    live_ += e.width;
    if (handles_.empty()) sample_step();
  }
  void leave(SequenceId id) override {
    Entry& e = at(id);
    if (!e.growing) return;
    e.stored += clock_ - e.joined;
    e.growing = false;
    live_ -= e.width;
  }
  void retire(SequenceId id) override { leave(id); }

  std::int64_t units_for_next(SequenceId id) const override { return at(id).width; }
  std::int64_t units_for_next_step() const override { return rows_; }

  std::int64_t steps_within(std::int64_t max_steps, std::int64_t) const override {
    if (rows_ == 0 || fits(rows_, length_ + max_steps)) return max_steps;
    std::int64_t low = 0, high = max_steps;  // fits at low, not at high
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (fits(rows_, length_ + middle) ? low : high) = middle;
    }
    return low;
  }

  void advance(std::int64_t steps, Seconds first, Seconds slope, SlotSeconds& ledger) override {
    const auto n = static_cast<double>(steps);
    const double time = n * first.count() + n * (n - 1) / 2 * slope.count();
    const double weighted = n * (n + 1) / 2 * first.count() + (n - 1) * n * (n + 1) / 3 * slope.count();
    ledger.add(usage(), Seconds{time});
    ledger.tokens += static_cast<double>(live_) * weighted;
    ledger.internal += static_cast<double>(rows_ - live_) * weighted;
    ledger.empty -= static_cast<double>(rows_) * weighted;
    tokens_ += live_ * steps;
    clock_ += steps;
    sample_growth(steps);
    length_ = length_ + steps;
    note_peak();
  }

  std::int64_t stored(SequenceId id) const override {
    const Entry& e = at(id);
    return e.stored + (e.growing ? clock_ - e.joined : 0);
  }

  SlotUsage usage() const override {
    SlotUsage u;
    u.tokens = tokens_;
    u.padding = padding_;
    u.internal = rows_ * length_ - tokens_ - padding_;
    u.empty = capacity_ - rows_ * length_;
    return u;
  }

  Bytes fragmentation() const override {
    return Bytes{(device_.reserved() - device_.allocated()) * tensors_ / std::max<std::int64_t>(1, sampled_)};
  }
  Bytes peak() const override { return Bytes{peak_}; }

 private:
  struct Entry {
    std::int64_t padding = 0, stored = 0, final = 0, width = 1, joined = 0;
    bool growing = false;
  };
  Entry& at(SequenceId id) { return entries_[index_of(id)]; }
  const Entry& at(SequenceId id) const { return entries_[index_of(id)]; }

  std::int64_t tensor_bytes(std::int64_t rows, std::int64_t length) const {
    return rows * length * bytes_per_token_ / tensors_;
  }
  static std::int64_t segment_of(std::int64_t bytes) {
    return bytes < kSharedSegment ? round_up(bytes, 512) : round_up(bytes, kSegmentGrain);
  }
  // All tensors at this length, and one more of them while it is copied.
  bool fits(std::int64_t rows, std::int64_t length) const {
    return (tensors_ + 1) * segment_of(tensor_bytes(rows, length)) <= capacity_ * bytes_per_token_;
  }

  void note_peak() { peak_ = std::max(peak_, rows_ * length_ * bytes_per_token_ + tensor_bytes(rows_, length_)); }

  // One copy of each followed tensor, at the present length.
  void sample_step() {
    const std::int64_t bytes = tensor_bytes(rows_, length_);
    if (handles_.empty()) handles_.assign(static_cast<std::size_t>(sampled_), -1);
    for (std::int64_t& handle : handles_) {
      const auto fresh = device_.allocate(bytes);
      if (!fresh) continue;  // one sampled share is full; the whole is judged by fits()
      if (handle >= 0) device_.free(handle);
      handle = *fresh;
    }
    sampled_segment_ = segment_of(bytes);
  }

  void sample_growth(std::int64_t steps) {
    const std::int64_t start = length_;
    const std::int64_t stride = std::max<std::int64_t>(1, steps / kMostSampledSteps);
    for (std::int64_t i = stride; i <= steps; i += stride) {
      const std::int64_t bytes = tensor_bytes(rows_, start + i);
      const bool shared = bytes < kSharedSegment && sampled_steps_ < kMostSampledSteps;
      if (!shared && segment_of(bytes) == sampled_segment_) continue;
      if (bytes < kSharedSegment && !shared) continue;
      ++sampled_steps_;
      length_ = start + i;
      sample_step();
    }
    length_ = start;
  }

  std::int64_t capacity_;
  std::int64_t bytes_per_token_;
  std::int64_t tensors_;
  std::int64_t sampled_;
  CachingAllocator device_;
  std::vector<std::int64_t> handles_;
  std::int64_t sampled_steps_ = 0;
  std::int64_t sampled_segment_ = 0;
  std::vector<Entry> entries_;
  std::int64_t rows_ = 0;
  std::int64_t length_ = 0;  // slots of one row, pads included
  std::int64_t clock_ = 0;
  std::int64_t live_ = 0;
  std::int64_t tokens_ = 0, padding_ = 0, peak_ = 0;
};

}  // namespace

std::unique_ptr<KvAllocator> make_dynamic(const KvAllocatorOptions& options) {
  return std::make_unique<Dynamic>(options);
}

}  // namespace headroom
