// Requests written out in a test, and the workload they make.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/workload/workload.h"

namespace headroom {

struct Asked {
  double arrival;
  std::int64_t prompt, output;
  std::uint64_t content = 0;  // of the whole prompt; 0: its own
};

inline Workload workload(const std::vector<Asked>& asked) {
  Workload w;
  for (const Asked& a : asked) {
    Request r;
    r.id = RequestId{static_cast<std::uint32_t>(w.requests.size())};
    r.arrival = Seconds{a.arrival};
    r.prompt_tokens = a.prompt;
    r.output_tokens = a.output;
    r.first_segment = static_cast<std::uint32_t>(w.segments.size());
    if (a.content != 0) {
      r.num_segments = 1;
      w.segments.push_back({a.content, a.prompt});
    }
    w.requests.push_back(r);
  }
  return w;
}

}  // namespace headroom
