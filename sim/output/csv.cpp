#include "sim/output/csv.h"

#include <charconv>

#include "sim/output/files.h"

namespace headroom {
namespace {

// A line under construction. Numbers are the shortest that read back to the same value.
class Line {
 public:
  template <class Number>
  Line& number(Number value) {
    at_ = std::to_chars(at_, buffer_ + sizeof buffer_, value).ptr;
    return comma();
  }
  Line& time(double value) { return value < 0 ? comma() : number(value); }
  Line& word(std::string_view text) {
    at_ += text.copy(at_, text.size());
    return comma();
  }
  std::string_view end() {
    at_[-1] = '\n';
    const std::string_view line(buffer_, static_cast<std::size_t>(at_ - buffer_));
    at_ = buffer_;
    return line;
  }

 private:
  Line& comma() {
    *at_++ = ',';
    return *this;
  }
  char buffer_[1024];
  char* at_ = buffer_;
};

}  // namespace

std::string_view word_of(RequestStatus status) {
  switch (status) {
    case RequestStatus::kFinished:
      return "finished";
    case RequestStatus::kRejected:
      return "rejected";
    case RequestStatus::kOutOfMemory:
      return "out-of-memory";
  }
  return "";
}

void write_requests_csv(const std::string& path, const RunResult& run) {
  OutputFile file(path);
  file.write(
      "id,replica,arrival_s,scheduled_s,first_token_s,finish_s,prompt_tokens,output_tokens,cached_tokens,preemptions,"
      "status");
  const bool pools = run.prefill_replicas > 0;
  file.write(pools ? ",prefill_replica,blocks_asked_s,blocks_granted_s,transfer_start_s,transfer_end_s,transfer_bytes\n"
                   : "\n");
  std::vector<const KvTransfer*> transfers(pools ? run.requests.size() : 0);
  for (const KvTransfer& t : run.transfers) transfers[static_cast<std::size_t>(t.request)] = &t;
  const KvTransfer none;
  Line line;
  for (const RequestRecord& r : run.requests) {
    line.number(static_cast<std::uint32_t>(r.id)).number(r.replica).time(r.arrival).time(r.scheduled);
    line.time(r.first_token).time(r.finish).number(r.prompt_tokens).number(r.output_tokens);
    line.number(r.cached_tokens).number(r.preemptions).word(word_of(r.status));
    if (pools) {
      const KvTransfer* moved = transfers[static_cast<std::size_t>(r.id)];
      const KvTransfer& t = moved != nullptr ? *moved : none;
      line.number(moved != nullptr ? t.source : r.replica).time(t.asked).time(t.granted).time(t.started);
      line.time(t.arrived).number(t.bytes.count());
    }
    file.write(line.end());
  }
  file.commit();
}

void write_timeline_csv(const std::string& path, const RunResult& run) {
  OutputFile file(path);
  file.write("time_s,replica,token_states,reservation,internal,external,padding,cached,free,running,waiting\n");
  Line line;
  for (const TimelineRow& r : run.timeline) {
    const SlotUsage& s = r.slots;
    line.number(r.time).number(r.replica).number(s.tokens).number(s.reserved).number(s.internal);
    line.number(r.head_blocked ? s.empty : 0).number(s.padding).number(s.cached);
    file.write(line.number(r.head_blocked ? 0 : s.empty).number(r.running).number(r.waiting).end());
  }
  file.commit();
}

void write_workload_csv(const std::string& path, const Workload& workload) {
  if (!workload.follow_up.empty())
    throw OutputError("a workload whose requests wait for each other's end cannot be written as a trace");
  OutputFile file(path);
  file.write("arrival_s,prompt_tokens,output_tokens\n");
  Line line;
  for (const Request& r : workload.requests)
    file.write(line.number(r.arrival.count()).number(r.prompt_tokens).number(r.output_tokens).end());
  file.commit();
}

}  // namespace headroom
