// Which replica gets a request. Policies see the number of outstanding requests of each replica, and what it has sent
// them before.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>

#include "sim/config/scenario.h"
#include "sim/workload/random.h"

namespace headroom {

class Router {
 public:
  // `source`: name of its random draws.
  Router(RouterPolicy policy, std::size_t replicas, std::uint64_t seed, std::string_view source = "router");

  // `outstanding[i]`: requests sent to replica i that have not ended; read by least-outstanding and prefix-affinity.
  std::size_t choose(const Request& request, std::span<const ContentSegment> content,
                     std::span<const std::int64_t> outstanding);

  // Whether choose() needs to know the outstanding requests of this very moment.
  bool looks_at_load() const {
    return policy_ == RouterPolicy::kLeastOutstanding || policy_ == RouterPolicy::kPrefixAffinity;
  }

 private:
  std::size_t by_prefix(const Request& request, std::span<const ContentSegment> content,
                        std::span<const std::int64_t> outstanding);

  RouterPolicy policy_;
  std::size_t replicas_;
  std::size_t next_ = 0;
  std::unordered_map<std::uint64_t, std::uint32_t> owner_;  // prefix, by the chain of its content -> last replica
  Random random_;
};

}  // namespace headroom
