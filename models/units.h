// Quantities with dimensions: bytes, tokens, blocks, seconds, work, and the rates between them.
//
// A Quantity remembers what it counts; adding two of different dimensions does not compile. What exists in integers
// (bytes, tokens, blocks) is held in integers, time and work in double. Rounding up has one home: blocks_for().
#pragma once

#include <compare>
#include <cstdint>

namespace headroom {

template <class Dim, class Rep>
class Quantity {
 public:
  using rep = Rep;
  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep count) : count_(count) {}
  constexpr Rep count() const { return count_; }

  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity{a.count_ + b.count_}; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity{a.count_ - b.count_}; }
  constexpr Quantity operator-() const { return Quantity{-count_}; }
  friend constexpr Quantity operator*(Quantity a, Rep n) { return Quantity{a.count_ * n}; }
  friend constexpr Quantity operator*(Rep n, Quantity a) { return Quantity{a.count_ * n}; }
  // Scaling down keeps the dimension; for integer quantities it truncates, as integer division does.
  friend constexpr Quantity operator/(Quantity a, Rep n) { return Quantity{a.count_ / n}; }
  // How many times b goes into a, as a plain number.
  friend constexpr double operator/(Quantity a, Quantity b) {
    return static_cast<double>(a.count_) / static_cast<double>(b.count_);
  }
  constexpr Quantity& operator+=(Quantity b) {
    count_ += b.count_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity b) {
    count_ -= b.count_;
    return *this;
  }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;

 private:
  Rep count_{};
};

// A rate: so many Num for each Den. Held in double. rate * Den gives Num only where Num is a double quantity;
// for integer quantities use per_unit() and multiply in integers.
template <class Num, class Den>
class Per {
 public:
  constexpr Per() = default;
  constexpr explicit Per(double rate) : rate_(rate) {}
  constexpr double rate() const { return rate_; }
  friend constexpr auto operator<=>(Per, Per) = default;
  friend constexpr Per operator*(Per a, double k) { return Per{a.rate_ * k}; }
  friend constexpr Per operator*(double k, Per a) { return Per{a.rate_ * k}; }
  // Num / (Num per Den) -> Den.
  friend constexpr Den operator/(Num n, Per r) {
    return Den{static_cast<typename Den::rep>(static_cast<double>(n.count()) / r.rate_)};
  }

 private:
  double rate_{};
};

// A whole number of Num for each Den: bytes per token, tokens per block. Exact in integers.
template <class Num, class Den>
class WholePer {
 public:
  constexpr WholePer() = default;
  constexpr explicit WholePer(std::int64_t count) : count_(count) {}
  constexpr std::int64_t count() const { return count_; }
  friend constexpr auto operator<=>(WholePer, WholePer) = default;
  friend constexpr Num operator*(WholePer r, Den d) { return Num{r.count_ * d.count()}; }
  friend constexpr Num operator*(Den d, WholePer r) { return Num{r.count_ * d.count()}; }

 private:
  std::int64_t count_{};
};

using Seconds = Quantity<struct SecondsTag, double>;
using Flops = Quantity<struct FlopsTag, double>;  // floating-point operations, a multiply-add is two
using Joules = Quantity<struct JoulesTag, double>;
using Watts = Quantity<struct WattsTag, double>;
using Dollars = Quantity<struct DollarsTag, double>;
using Bytes = Quantity<struct BytesTag, std::int64_t>;
using Tokens = Quantity<struct TokensTag, std::int64_t>;
using Blocks = Quantity<struct BlocksTag, std::int64_t>;

using BytesPerSecond = Per<Bytes, Seconds>;
using FlopsPerSecond = Per<Flops, Seconds>;
using BytesPerToken = WholePer<Bytes, Tokens>;
using TokensPerBlock = WholePer<Tokens, Blocks>;

inline constexpr std::int64_t kGiB = std::int64_t{1} << 30;
inline constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// Smallest number of groups of `group` that holds `count`. Requires count >= 0, group > 0.
constexpr std::int64_t ceil_div(std::int64_t count, std::int64_t group) {
  return (count + group - 1) / group;
}

// Smallest multiple of `step` that is at least `count`.
constexpr std::int64_t round_up(std::int64_t count, std::int64_t step) {
  return ceil_div(count, step) * step;
}

// Blocks needed to hold `tokens`.
constexpr Blocks blocks_for(Tokens tokens, TokensPerBlock block_size) {
  return Blocks{ceil_div(tokens.count(), block_size.count())};
}

}  // namespace headroom
