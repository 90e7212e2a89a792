#include "tests/fuzz/readers.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/config/catalogue.h"
#include "sim/config/kernel_tables.h"
#include "sim/config/scenario_reader.h"
#include "sim/config/sweep_reader.h"
#include "sim/import/import.h"
#include "sim/numerics/tensor_file.h"
#include "sim/output/csv_reader.h"
#include "sim/output/files.h"
#include "sim/output/run_reader.h"
#include "sim/output/sweep_database.h"
#include "sim/output/sweep_results.h"
#include "sim/workload/trace_reader.h"
#include "validate/compare/measured.h"
#include "validate/compare/measured_values.h"

namespace headroom::fuzz {
namespace {

// Bytes as a file that needs no disk; what readers are given is its name.
class BytesAsFile {
 public:
  explicit BytesAsFile(std::string_view bytes) : file_(memfd_create("fuzz", MFD_CLOEXEC)) {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t written = ::write(file_, bytes.data() + at, bytes.size() - at);
      if (written <= 0) std::abort();
      at += static_cast<std::size_t>(written);
    }
  }
  ~BytesAsFile() { ::close(file_); }
  BytesAsFile(const BytesAsFile&) = delete;
  BytesAsFile& operator=(const BytesAsFile&) = delete;
  std::string path() const { return fmt::format("/proc/self/fd/{}", file_); }

 private:
  int file_;
};

// What a user reads begins with the file and says that it is an error.
void must_be_placed(const char* what) {
  if (std::string_view(what).find(": error: ") != std::string_view::npos) return;
  fmt::print(stderr, "an error without a place: {}\n", what);
  std::abort();
}

template <class Read>
void until_wrong(Read read) {
  try {
    read();
  } catch (const ConfigError& error) {
    must_be_placed(error.what());
  } catch (const WorkloadError& error) {
    must_be_placed(error.what());
  } catch (const TensorFileError& error) {
    must_be_placed(error.what());
  } catch (const boost::program_options::error&) {  // a command line has no place
  }
}

// Also draws a small workload, as a run would.
void scenario(std::string_view bytes) {
  until_wrong([&] {
    const ScenarioFile file = load_scenario(parse_yaml(bytes, "scenario.yaml"));
    for (const auto& [name, s] : file.variants)
      if (s.workload.requests > 0 && s.workload.requests <= 1000 && s.workload.samples <= 8 && !s.workload.sessions)
        make_workload(s.workload, s.seed);
  });
}

void model(std::string_view bytes) {
  const BytesAsFile file(bytes);
  until_wrong([&] { count_parameters(read_model(file.path())); });
}

void hardware(std::string_view bytes) {
  const BytesAsFile file(bytes);
  until_wrong([&] { read_hardware(file.path()); });
  until_wrong([&] { read_node(file.path()); });
}

void kernel_table(std::string_view bytes) {
  const BytesAsFile file(bytes);
  using enum TableKind;
  for (const TableKind kind : {kGemm, kDecodeAttention, kPrefillAttention, kStreaming}) {
    HardwareProfile profile;
    until_wrong([&] { read_table({kind, file.path(), {}}, profile); });
  }
}

void trace(std::string_view bytes) {
  const BytesAsFile file(bytes);
  using enum TraceFormat;
  for (const TraceFormat format : {kAzure, kBurstGpt, kMooncake, kShareGpt, kCsv, kJsonl}) {
    const TraceSpec spec{format, file.path()};
    until_wrong([&] { read_trace(spec, 0); });
    until_wrong([&] { trace_has_arrivals(spec); });
  }
  until_wrong([&] { read_length_column(file.path(), "output_tokens"); });
}

void vllm_log(std::string_view bytes) {
  until_wrong([&] { import_vllm(parse_vllm_log(bytes), "the log", {}); });
  until_wrong([&] { import_vllm(parse_vllm_log(bytes), "the log", {"llama-2-7b", "a10g", "0.8.5"}); });
}

void vllm_command(std::string_view bytes) {
  until_wrong([&] {
    VllmLog log;
    log.command = parse_vllm_command(split_command(bytes));
    import_vllm(log, "a command line", {});
  });
}

void sweep(std::string_view bytes) {
  const BytesAsFile file(bytes);
  Shelf shelf;
  until_wrong([&] { read_sweep(file.path(), shelf); });
}

// What `validate` reads: the JSON of vLLM's benchmark client, a run's summary, per-request times, a measured file.
void measured(std::string_view bytes) {
  const BytesAsFile file(bytes);
  until_wrong([&] { values_of_bench(file.path()); });
  until_wrong([&] { values_of_summary(file.path()); });
  until_wrong([&] { values_of_requests(file.path()); });
  until_wrong([&] { read_measured(file.path()); });
}

// What `report` reads of a run's folder.
void recorded_run(std::string_view bytes) {
  const BytesAsFile file(bytes);
  until_wrong([&] { parse_summary(std::string(bytes), "summary.json"); });
  until_wrong([&] { RecordedTable::load(file.path(), {"id", "arrival_s"}, "status"); });
}

// What `report` and `sweep --resume` read; the sweep is the one that made the corpus.
void sweep_database(std::string_view bytes) {
  static const SweepFile kSweep = [] {
    const BytesAsFile file("name: small\nscenario: hello\naxes: {engine.max_num_seqs: [4, 8]}\n");
    Shelf shelf;
    return read_sweep(file.path(), shelf);
  }();
  static const std::string kPath = fmt::format("/dev/shm/headroom-fuzz-{}.sqlite", getpid());
  write_text_file(kPath, bytes);
  until_wrong([&] { read_sweep_results(kPath); });
  until_wrong([&] { SweepDatabase::open(kPath, kSweep, "0.1.0"); });
  for (const char* part : {"", "-journal", "-wal", "-shm"}) std::remove((kPath + part).c_str());
}

void read_all(const Tensor& t, std::span<const std::byte> file) {
  if (!t.data.empty() && (t.data.data() < file.data() || t.data.data() + t.data.size() > file.data() + file.size()))
    std::abort();
  if (t.type == StoredType::kOther) return;
  std::vector<float> values(static_cast<std::size_t>(std::clamp<std::int64_t>(t.elements(), 0, 1 << 16)));
  read_numbers(t, 0, values);
  read_numbers(t, t.elements() - static_cast<std::int64_t>(values.size()), values);
}

void tensor_file(std::string_view text) {
  const std::span bytes(reinterpret_cast<const std::byte*>(text.data()), text.size());
  until_wrong([&] { read_all(parse_npy(bytes, "x"), bytes); });
  until_wrong([&] {
    for (const Tensor& t : parse_safetensors(bytes, "x")) read_all(t, bytes);
  });
}

constexpr Reader kReaders[] = {{"scenario", scenario, "configs/scenarios"},
                               {"model", model, "configs/models"},
                               {"hardware", hardware, "configs/hardware"},
                               {"kernel_table", kernel_table},
                               {"trace", trace},
                               {"vllm_log", vllm_log},
                               {"vllm_command", vllm_command},
                               {"sweep", sweep, "configs/sweeps", 60},
                               {"measured", measured, {}, 2000},
                               {"recorded_run", recorded_run, {}, 20'000},
                               {"sweep_database", sweep_database},
                               {"tensor_file", tensor_file, {}, 140'000}};

}  // namespace

std::span<const Reader> readers() {
  return kReaders;
}

const Reader* reader_named(std::string_view name) {
  const auto found =
      std::find_if(std::begin(kReaders), std::end(kReaders), [&](const Reader& r) { return r.name == name; });
  return found == std::end(kReaders) ? nullptr : found;
}

}  // namespace headroom::fuzz
