#include "sim/engine/router.h"

#include <algorithm>

namespace headroom {
namespace {

// A cache-aware router's limits for when load counts more than what a replica remembers; after SGLang's defaults.
constexpr std::int64_t kMostImbalance = 32;  // requests
constexpr double kMostRatio = 1.5;
constexpr double kWorthFollowing = 0.5;  // share of the prompt that must be known somewhere

// Ties go to the lowest index.
std::size_t least(std::span<const std::int64_t> outstanding) {
  return static_cast<std::size_t>(std::min_element(outstanding.begin(), outstanding.end()) - outstanding.begin());
}

std::uint64_t chained(std::uint64_t chain, std::uint64_t id) {
  chain = (chain ^ id) * 0x9e3779b97f4a7c15ULL;
  return chain ^ (chain >> 29);
}

}  // namespace

Router::Router(RouterPolicy policy, std::size_t replicas, std::uint64_t seed, std::string_view source)
    : policy_(replicas == 1 ? RouterPolicy::kRoundRobin : policy), replicas_(replicas), random_(seed, source) {}

std::size_t Router::choose(const Request& request, std::span<const ContentSegment> content,
                           std::span<const std::int64_t> outstanding) {
  switch (policy_) {
    case RouterPolicy::kRandom:
      return std::min(static_cast<std::size_t>(random_.uniform() * static_cast<double>(replicas_)), replicas_ - 1);
    case RouterPolicy::kLeastOutstanding:
      return least(outstanding);
    case RouterPolicy::kPrefixAffinity:
      return by_prefix(request, content, outstanding);
    case RouterPolicy::kRoundRobin:
      break;
  }
  return next_++ % replicas_;
}

// To the replica that last saw the longest known beginning, if that is half of the prompt or more and the replicas'
// queues are about even; else to the shortest queue.
std::size_t Router::by_prefix(const Request& request, std::span<const ContentSegment> content,
                              std::span<const std::int64_t> outstanding) {
  const auto [low, high] = std::minmax_element(outstanding.begin(), outstanding.end());
  const bool even =
      *high - *low <= kMostImbalance || static_cast<double>(*high) <= kMostRatio * static_cast<double>(*low);
  std::size_t chosen = least(outstanding);
  std::int64_t known = 0;
  std::uint64_t chain = 1;
  for (const ContentSegment& segment : content) {
    chain = chained(chain, segment.id);
    const auto owner = owner_.find(chain);
    if (owner == owner_.end()) break;
    known += segment.tokens;
    if (even && static_cast<double>(known) >= kWorthFollowing * static_cast<double>(request.prompt_tokens))
      chosen = owner->second;
  }
  chain = 1;
  for (const ContentSegment& segment : content) {
    chain = chained(chain, segment.id);
    owner_[chain] = static_cast<std::uint32_t>(chosen);
  }
  return chosen;
}

}  // namespace headroom
