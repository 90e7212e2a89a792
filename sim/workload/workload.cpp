#include "sim/workload/workload.h"

#include <algorithm>
#include <optional>

#include "sim/workload/arrivals.h"
#include "sim/workload/lengths.h"
#include "sim/workload/random.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

constexpr Seconds kUntriggered{-1};

// Identities of content, apart from those a trace brings (which are small numbers).
std::uint64_t content_id(std::uint64_t kind, std::uint64_t index) {
  return (kind << 48 | index) * 0x9e3779b97f4a7c15ULL | 1;
}
enum ContentKind : std::uint64_t { kSystemPrompt = 1, kUserText = 2, kAnswer = 3, kOwnPrompt = 4 };

class Maker {
 public:
  Maker(const WorkloadSpec& spec, std::uint64_t seed)
      : spec_(spec),
        arrivals_(seed, "arrivals"),
        prompts_(seed, "prompt_tokens"),
        outputs_(seed, "output_tokens"),
        prefixes_(seed, "shared_prefix"),
        turns_(seed, "sessions"),
        thinking_(seed, "think_time") {}

  Workload make() {
    bool arrivals_known = false;
    if (spec_.trace) {
      TraceContent trace = read_trace(*spec_.trace, spec_.requests);
      out_ = std::move(trace.workload);
      arrivals_known = trace.has_arrivals && spec_.arrivals.kind == ArrivalProcess::Kind::kTrace;
      for (Request& r : out_.requests) r.arrival = r.arrival * spec_.time_scale;
    } else if (spec_.sessions) {
      draw_sessions();
      return std::move(out_);
    } else {
      draw_lengths();
    }
    if (spec_.shared_prefix) add_shared_prefixes();
    if (spec_.arrivals.kind == ArrivalProcess::Kind::kClosedLoop) {
      close_the_loop();
    } else if (!arrivals_known) {
      const auto times = arrival_times(spec_.arrivals, static_cast<std::int64_t>(out_.requests.size()), arrivals_);
      for (std::size_t i = 0; i < times.size(); ++i) out_.requests[i].arrival = Seconds{times[i]};
    }
    if (spec_.samples > 1) share_prompts_of_samples();
    return std::move(out_);
  }

 private:
  void draw_lengths() {
    out_.requests.resize(static_cast<std::size_t>(spec_.requests));
    for (std::size_t i = 0; i < out_.requests.size(); ++i) {
      Request& r = out_.requests[i];
      r.id = RequestId{static_cast<std::uint32_t>(i)};
      r.prompt_tokens = draw_length(spec_.prompt_tokens, prompts_);
      r.output_tokens = draw_length(spec_.output_tokens, outputs_);
    }
  }

  // System prompts stand in front of the drawn prompt, which keeps its own length.
  void add_shared_prefixes() {
    const SharedPrefix& shared = *spec_.shared_prefix;
    std::vector<ContentSegment> segments;
    for (Request& r : out_.requests) {
      const auto old = out_.content(r);
      const auto first = static_cast<std::uint32_t>(segments.size());
      if (prefixes_.uniform() < shared.fraction) {
        const std::uint64_t which = prefixes_.below(static_cast<std::uint64_t>(shared.count));
        segments.push_back(ContentSegment{content_id(kSystemPrompt, which), shared.tokens});
        r.prompt_tokens += shared.tokens;
      }
      segments.insert(segments.end(), old.begin(), old.end());
      r.first_segment = first;
      r.num_segments = static_cast<std::uint32_t>(segments.size()) - first;
    }
    out_.segments = std::move(segments);
  }

  double think(Seconds mean, bool exponential) {
    return exponential && mean.count() > 0 ? thinking_.exponential(mean.count()) : mean.count();
  }

  // User u sends request u at once, then every `users`-th one, each after the answer to the last and a pause.
  void close_the_loop() {
    const ArrivalProcess& a = spec_.arrivals;
    const std::size_t n = out_.requests.size();
    const auto users = static_cast<std::size_t>(a.users);
    out_.follow_up.assign(n, Workload::kNoFollowUp);
    out_.follow_up_delay.assign(n, Seconds{0});
    for (std::size_t i = 0; i < n; ++i) {
      out_.requests[i].arrival = i < users ? Seconds{0} : kUntriggered;
      if (i + users < n) out_.follow_up[i] = static_cast<std::uint32_t>(i + users);
      out_.follow_up_delay[i] = Seconds{think(a.think_time, a.exponential_think)};
    }
  }

  // Sessions arrive by the arrival process. A later turn's prompt is all that was said before and a new question; it
  // comes after the answer and a pause. A session ends early rather than exceed prompt_tokens.max.
  void draw_sessions() {
    const SessionSpec& sessions = *spec_.sessions;
    std::vector<std::uint32_t> openings;
    const auto n = static_cast<std::size_t>(spec_.requests);
    for (std::uint32_t session = 1; out_.requests.size() < n; ++session) {
      const std::int64_t turns = draw_length(sessions.turns, turns_);
      std::vector<ContentSegment> said;
      std::int64_t spoken = 0;
      if (spec_.shared_prefix && prefixes_.uniform() < spec_.shared_prefix->fraction) {
        const SharedPrefix& shared = *spec_.shared_prefix;
        const std::uint64_t which = prefixes_.below(static_cast<std::uint64_t>(shared.count));
        said.push_back(ContentSegment{content_id(kSystemPrompt, which), shared.tokens});
        spoken = shared.tokens;
      }
      for (std::int64_t turn = 0; turn < turns && out_.requests.size() < n; ++turn) {
        const auto i = static_cast<std::uint32_t>(out_.requests.size());
        const std::int64_t question = draw_length(spec_.prompt_tokens, prompts_);
        if (turn > 0 && spec_.prompt_tokens.max > 0 && spoken + question > spec_.prompt_tokens.max) break;
        said.push_back(ContentSegment{content_id(kUserText, i), question});
        spoken += question;
        Request r;
        r.id = RequestId{i};
        r.prompt_tokens = spoken;
        r.output_tokens = draw_length(spec_.output_tokens, outputs_);
        r.samples = 1;
        r.first_segment = static_cast<std::uint32_t>(out_.segments.size());
        r.num_segments = static_cast<std::uint32_t>(said.size());
        r.output_content = content_id(kAnswer, i);
        r.session = session;
        r.arrival = kUntriggered;
        out_.segments.insert(out_.segments.end(), said.begin(), said.end());
        said.push_back(ContentSegment{r.output_content, r.output_tokens});
        spoken += r.output_tokens;
        out_.follow_up.push_back(Workload::kNoFollowUp);
        out_.follow_up_delay.push_back(Seconds{think(sessions.think_time, true)});
        if (turn == 0) {
          openings.push_back(i);
        } else {
          out_.follow_up[i - 1] = i;
        }
        out_.requests.push_back(r);
      }
    }
    const auto times = arrival_times(spec_.arrivals, static_cast<std::int64_t>(openings.size()), arrivals_);
    for (std::size_t s = 0; s < openings.size(); ++s) out_.requests[openings[s]].arrival = Seconds{times[s]};
  }

  // Samples that run one by one find each other's prompt: it gets an identity of its own behind the shared part.
  void share_prompts_of_samples() {
    std::vector<ContentSegment> segments;
    for (Request& r : out_.requests) {
      r.samples = spec_.samples;
      const auto old = out_.content(r);
      const auto first = static_cast<std::uint32_t>(segments.size());
      segments.insert(segments.end(), old.begin(), old.end());
      std::int64_t rest = r.prompt_tokens;
      for (const ContentSegment& s : old) rest -= s.tokens;
      if (rest > 0) segments.push_back(ContentSegment{content_id(kOwnPrompt, static_cast<std::uint64_t>(r.id)), rest});
      r.first_segment = first;
      r.num_segments = static_cast<std::uint32_t>(segments.size()) - first;
    }
    out_.segments = std::move(segments);
  }

  const WorkloadSpec& spec_;
  Random arrivals_, prompts_, outputs_, prefixes_, turns_, thinking_;
  Workload out_;
};

}  // namespace

Workload make_workload(const WorkloadSpec& spec, std::uint64_t seed) {
  return Maker(spec, seed).make();
}

}  // namespace headroom
