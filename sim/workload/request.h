// One prompt and the output it will get, as the client knows it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/units.h"

namespace headroom {

enum class RequestId : std::uint32_t {};

// A stretch of tokens with an identity: two requests whose prompts start with equal segments share that prefix.
struct ContentSegment {
  std::uint64_t id = 0;
  std::int64_t tokens = 0;
  friend bool operator==(const ContentSegment&, const ContentSegment&) = default;
};

struct Request {
  RequestId id{};
  Seconds arrival;
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;  // >= 1; the true length, unknown to the engine in advance
  std::int64_t samples = 1;        // parallel samples of the same prompt (vLLM's n), equal lengths
  // Identified content at the start of the prompt, into Workload::segments. Tokens behind it are this request's own.
  std::uint32_t first_segment = 0;
  std::uint32_t num_segments = 0;
  // Identity of the output, if a later request's prompt contains it (sessions); 0: nobody will ask for it.
  std::uint64_t output_content = 0;
  std::uint32_t session = 0;  // 0: none. Turns of one session have the same number
};

}  // namespace headroom
