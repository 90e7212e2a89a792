#include "sim/output/perfetto.h"

#include <fmt/format.h>

#include <iterator>

#include "sim/output/files.h"
#include "sim/output/summary_json.h"

namespace headroom {
namespace {

class Events {
 public:
  explicit Events(const std::string& path) : file_(path) {
    file_.write("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
  }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    text_.clear();
    text_ += first_ ? "\n{" : ",\n{";
    first_ = false;
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '}';
    file_.write(text_);
  }
  void end() {
    file_.write("\n]}\n");
    file_.commit();
  }

 private:
  OutputFile file_;
  std::string text_;
  bool first_ = true;
};

double us(double seconds) {
  return seconds * 1e6;
}

void add_request(Events& out, const RequestRecord& r, std::size_t process) {
  const auto id = static_cast<std::uint32_t>(r.id);
  const auto part = [&](const char* name, double from, double to) {
    if (from < 0 || to < from) return;
    out.add(R"("ph":"b","cat":"request","id":{},"pid":{},"tid":0,"name":"{}","ts":{:.3f})", id, process, name,
            us(from));
    out.add(R"("ph":"e","cat":"request","id":{},"pid":{},"tid":0,"name":"{}","ts":{:.3f})", id, process, name, us(to));
  };
  out.add(R"("ph":"b","cat":"request","id":{},"pid":{},"tid":0,"name":"request","ts":{:.3f},)"
          R"("args":{{"prompt_tokens":{},"output_tokens":{},"cached_tokens":{},"preemptions":{}}})",
          id, process, us(r.arrival), r.prompt_tokens, r.output_tokens, r.cached_tokens, r.preemptions);
  part("waiting", r.arrival, r.scheduled);
  part("prefill", r.scheduled, r.first_token);
  part("decode", r.first_token, r.finish);
  out.add(R"("ph":"e","cat":"request","id":{},"pid":{},"tid":0,"name":"request","ts":{:.3f})", id, process,
          us(r.finish));
}

}  // namespace

void write_perfetto(const std::string& path, const Scenario& s, const RunResult& run) {
  Events out(path);
  const auto stages = static_cast<std::size_t>(s.cluster.pipeline_parallel_size);
  for (std::size_t i = 0; i < run.replicas.size(); ++i) {
    const std::string of = stages == 1 ? fmt::format("replica {}", i)
                                       : fmt::format("replica {}, batch in flight {}", i / stages, i % stages);
    const std::string name = json_string(fmt::format("{}: {} on {}", of, s.model.name, s.hardware.name));
    out.add(R"("ph":"M","pid":{},"name":"process_name","args":{{"name":{}}})", i, name);
    out.add(R"("ph":"M","pid":{},"tid":1,"name":"thread_name","args":{{"name":"steps"}})", i);
  }
  for (const TraceSpan& span : run.trace)
    out.add(R"("ph":"X","pid":{},"tid":1,"name":"{}","ts":{:.3f},"dur":{:.3f},)"
            R"("args":{{"steps":{},"decoding":{},"prefill_tokens":{}}})",
            span.replica,
            span.prefill_tokens == 0 ? "decode"
            : span.decodes == 0      ? "prefill"
                                     : "prefill and decode",
            us(span.start), us(span.duration), span.steps, span.decodes, span.prefill_tokens);
  for (const TimelineRow& row : run.timeline) {
    const SlotUsage& u = row.slots;
    out.add(R"("ph":"C","pid":{},"name":"KV slots","ts":{:.3f},"args":{{"tokens":{},"reserved":{},"internal":{},)"
            R"("padding":{},"cached":{},"empty":{}}})",
            row.replica, us(row.time), u.tokens, u.reserved, u.internal, u.padding, u.cached, u.empty);
    out.add(R"("ph":"C","pid":{},"name":"requests","ts":{:.3f},"args":{{"running":{},"waiting":{}}})", row.replica,
            us(row.time), row.running, row.waiting);
  }
  // With stages: beside the first batch in flight of the request's replica.
  for (const RequestRecord& r : run.requests) add_request(out, r, r.replica * stages);
  for (const KvTransfer& t : run.transfers) {  // beside the request, on the replica that will decode
    const auto id = static_cast<std::uint32_t>(t.request);
    out.add(R"("ph":"b","cat":"request","id":{},"pid":{},"tid":0,"name":"KV transfer","ts":{:.3f},)"
            R"("args":{{"from":{},"bytes":{}}})",
            id, t.target, us(t.started), t.source, t.bytes.count());
    out.add(R"("ph":"e","cat":"request","id":{},"pid":{},"tid":0,"name":"KV transfer","ts":{:.3f})", id, t.target,
            us(t.arrived));
  }
  out.end();
}

}  // namespace headroom
