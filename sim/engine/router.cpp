#include "sim/engine/router.h"

#include <algorithm>

namespace headroom {

Router::Router(RouterPolicy policy, std::size_t replicas, std::uint64_t seed)
    : policy_(policy), replicas_(replicas), random_(seed, "router") {}

std::size_t Router::choose(const Request& request, std::span<const ContentSegment> content,
                           std::span<const std::int64_t> outstanding) {
  switch (policy_) {
    case RouterPolicy::kRandom:
      return std::min(static_cast<std::size_t>(random_.uniform() * static_cast<double>(replicas_)), replicas_ - 1);
    case RouterPolicy::kLeastOutstanding:  // ties go to the lowest index
      return static_cast<std::size_t>(std::min_element(outstanding.begin(), outstanding.end()) - outstanding.begin());
    case RouterPolicy::kPrefixAffinity: {
      // Requests that share their first identified content, or their session, meet at one replica.
      const std::uint64_t key = request.session != 0 ? request.session : !content.empty() ? content.front().id : 0;
      if (key == 0) break;
      return static_cast<std::size_t>((key * 0x9e3779b97f4a7c15ULL >> 32) % replicas_);
    }
    case RouterPolicy::kRoundRobin:
      break;
  }
  return next_++ % replicas_;
}

}  // namespace headroom
