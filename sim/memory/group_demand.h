// How many blocks a decode group needs at each of its steps.
//
// A member that joins with `slack` free slots needs a block when they are used up, and then again every block_size
// steps. So members are counted by the step, modulo block_size, at which they need one: the demand of a step is one
// number, however many members there are. A member that holds more than its current block has credits for the steps
// that those blocks serve.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace headroom {

class GroupDemand {
 public:
  explicit GroupDemand(std::int64_t block_size)
      : b_(block_size), demand_(static_cast<std::size_t>(block_size)), retired_(static_cast<std::size_t>(block_size)) {}

  std::int64_t clock() const { return clock_; }  // steps the group has made

  // `width` rows with `slack` slots left that joined when the clock stood at `joined`.
  struct Member {
    std::int64_t joined = 0;
    std::int64_t width = 1;
    std::int64_t slack = 0;
  };
  void add(const Member& m) {
    demand_[phase(m.joined + m.slack)] += m.width;
    each_cycle_ += m.width;
    for_credits(m, [&](std::int64_t clock) { credits_[clock] += m.width; });
  }
  void remove(const Member& m) {
    demand_[phase(m.joined + m.slack)] -= m.width;
    each_cycle_ -= m.width;
    for_credits(m, [&](std::int64_t clock) {
      const auto credit = credits_.find(clock);
      if (credit != credits_.end() && (credit->second -= m.width) == 0) credits_.erase(credit);
    });
  }
  // Rows that go on without making output: what they take is counted apart, too.
  void retire(const Member& m) { retired_[phase(m.joined + m.slack)] += m.width; }
  void remove_retired(const Member& m) { retired_[phase(m.joined + m.slack)] -= m.width; }

  // Blocks taken in the step `ahead` steps from now, 0 for the next one.
  std::int64_t in_step(std::int64_t ahead) const { return demand_[phase(clock_ + ahead)] - credit(clock_ + ahead); }
  std::int64_t of_retired_in_next_step() const { return retired_[phase(clock_)]; }

  // Most steps, at most `most`, that `blocks` blocks suffice for.
  std::int64_t steps_within(std::int64_t blocks, std::int64_t most) const {
    if (blocks >= (most / b_ + 1) * each_cycle_) return most;
    std::int64_t steps = 0;
    if (credits_.empty() && each_cycle_ > 0 && blocks > each_cycle_) {
      const std::int64_t cycles = std::min(blocks / each_cycle_, most / b_);
      blocks -= cycles * each_cycle_;
      steps = cycles * b_;
    }
    for (; steps < most; ++steps) {
      blocks -= in_step(steps);
      if (blocks < 0) break;
    }
    return steps;
  }

  void advance() {
    if (!credits_.empty()) credits_.erase(clock_);
    ++clock_;
  }

 private:
  std::size_t phase(std::int64_t clock) const { return static_cast<std::size_t>(clock % b_); }
  std::int64_t credit(std::int64_t clock) const {
    if (credits_.empty()) return 0;
    const auto it = credits_.find(clock);
    return it == credits_.end() ? 0 : it->second;
  }
  // The steps that blocks beyond the current one serve.
  template <class Visit>
  void for_credits(const Member& m, Visit visit) const {
    for (std::int64_t need = m.slack % b_; need + b_ <= m.slack; need += b_) visit(m.joined + need);
  }

  std::int64_t b_;
  std::int64_t clock_ = 0;
  std::vector<std::int64_t> demand_;              // by clock modulo block size
  std::vector<std::int64_t> retired_;             // the part of it that retired rows cause
  std::int64_t each_cycle_ = 0;                   // sum of demand_
  std::map<std::int64_t, std::int64_t> credits_;  // by clock
};

}  // namespace headroom
