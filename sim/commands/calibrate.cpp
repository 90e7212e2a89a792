// headroom calibrate: measures this GPU and writes a hardware profile. Without CUDA in the build it only fits what was
// measured before.
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <iostream>

#include "sim/commands/command.h"
#include "sim/commands/scenario_options.h"
#include "sim/config/catalogue.h"
#include "sim/output/files.h"
#include "sim/output/progress.h"
#include "validate/microbench/profile.h"
#ifdef HEADROOM_CUDA
#include "validate/kernels/communicator.h"
#include "validate/microbench/microbench.h"
#endif

namespace headroom {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

void add_options(po::options_description_easy_init add) {
  const auto text = [] { return po::value<std::string>(); };
  add("out", text(), "PROFILE.yaml to write; its tables go to tables/ beside it");
  add("raw", text(), "folder for every table measured, those that no profile reads too");
  add("from", text(), "folder of an earlier --raw: fits those measurements again, with no GPU");
  add("base", text(), "profile with what cannot be measured: rates, links, power, price (default: this device's own)");
  add("quick", po::bool_switch(), "a coarse grid, in about a minute");
  add("only", text(), "one family of kernels alone, by its table's name (collective); the others stay the base's");
  add("time-limit", po::value<double>()->default_value(480), "seconds; what is left then is not measured");
}

// The shipped profile of a device of this name.
std::string base_profile(const Values& values, const std::string& device) {
  if (const std::string file = text_of(values, "base"); !file.empty()) return file;
  for (const std::string& name : catalogue_names("hardware")) {
    const std::string file = (fs::path(configs_folder()) / "hardware" / (name + ".yaml")).string();
    if (read_hardware_file(file).profile.device == device) return file;
  }
  throw po::error(
      fmt::format("no shipped profile is of a '{}'; name one of the nearest card with --base FILE", device));
}

// The family of --only; an empty list without.
std::vector<Family> only_family(const Values& values) {
  const std::string name = text_of(values, "only");
  if (name.empty()) return {};
  std::vector<std::string_view> names;
  for (const FamilyEntry& family : families()) {
    if (family.name == name) return {family.family};
    names.push_back(family.name);
  }
  throw po::error(fmt::format("--only: no family '{}'{}", name, suggestion(name, names)));
}

struct Measurements {
  CalibrationFacts facts;
  std::vector<MeasuredPoint> points;
  std::size_t left_out = 0;
  std::string note;  // what was not measured, and why
};

Measurements read_measurements(const fs::path& folder, const std::vector<Family>& only) {
  Measurements m;
  m.facts = read_facts((folder / "device.yaml").string());
  for (const FamilyEntry& family : families()) {
    if (!only.empty() && family.family != only.front()) continue;
    const std::string file = (folder / fmt::format("{}.csv.gz", family.name)).string();
    const std::vector<MeasuredPoint> points = read_table(family.family, file);
    m.points.insert(m.points.end(), points.begin(), points.end());
  }
  return m;
}

#ifdef HEADROOM_CUDA
std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

// What the environment tells NCCL, for the record: " NCCL_NVLS_ENABLE=0".
std::string nccl_settings() {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_=^,:;.-";
  std::string text;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view setting(*entry);
    if (setting.starts_with("NCCL_") && setting.find_first_not_of(kPlain) == std::string_view::npos)
      text += " " + std::string(setting);
  }
  return text;
}

Measurements measure(bool quick, double time_limit, const std::vector<Family>& only) {
  const DeviceFacts device = device_facts();
  const std::int32_t gpus = num_devices();
  const std::string nccl = nccl_version();
  std::vector<ModelShape> models;
  for (const std::string& name : catalogue_names("models"))
    models.push_back(read_model((fs::path(configs_folder()) / "models" / (name + ".yaml")).string()));
  MicrobenchOptions options;
  options.repetitions = quick ? 3 : 7;
  options.time_limit_s = time_limit;
  options.only = only;
  std::string_view at;
  options.progress = [&](std::string_view family, std::size_t done, std::size_t total) {
    if (family == at) return;
    at = family;
    std::cerr << fmt::format("{} of {}: {}\n", done, total, family);
  };
  MeasurementPlan plan = plan_measurements(models, device.memory_bytes, device.compute_capability >= 89, quick);
  const bool collectives = only.empty() || only.front() == Family::kCollective;
  if (collectives && !nccl.empty()) plan.collectives = plan_collectives(gpus, device.memory_bytes, quick);
  MicrobenchResult result = run_measurements(plan, options);

  Measurements m;
  m.points = std::move(result.points);
  m.left_out = result.left_out;
  m.facts.device = device.name;
  m.facts.compute_capability = device.compute_capability;
  m.facts.num_sms = device.num_sms;
  m.facts.memory_bytes = device.memory_bytes;
  m.facts.context_bytes = result.context_bytes;
  m.facts.driver = "CUDA " + device.driver;
  m.facts.cuda = device.runtime;
  m.facts.clocks =
      fmt::format("as found, at most {:.0f} MHz, memory {:.0f} MHz", device.max_clock_mhz, device.max_memory_clock_mhz);
  m.facts.date = today();
  if (!plan.collectives.empty()) m.facts.nccl = nccl + nccl_settings();
  if (collectives && nccl.empty()) m.note += "no collectives: this program was built without NCCL\n";
  if (collectives && gpus < 2) m.note += "no collectives: they need two GPUs, and here is one\n";
  return m;
}
#endif

int run(const Values& values, const Words& operands) {
  if (!operands.empty()) throw po::error("calibrate takes no operand");
  const std::string out = text_of(values, "out"), from = text_of(values, "from");
  if (out.empty()) throw po::error("calibrate: --out PROFILE.yaml is missing");
  const std::vector<Family> only = only_family(values);
  Measurements m;
  if (!from.empty()) {
    m = read_measurements(from, only);
  } else {
#ifdef HEADROOM_CUDA
    if (num_devices() == 0) {
      std::cerr << "headroom: error: no CUDA device here\n";
      return 3;
    }
    base_profile(values, device_facts().name);  // its errors come first
    m = measure(values["quick"].as<bool>(), values["time-limit"].as<double>(), only);
#else
    std::cerr << "headroom: error: this build has no CUDA in it; build with -DHEADROOM_CUDA=ON where nvcc is\n";
    return 3;
#endif
  }
  const std::string base_file = base_profile(values, m.facts.device);
  const HardwareProfile base = read_hardware(base_file);
  if (const std::string raw = text_of(values, "raw"); !raw.empty()) {
    for (const FamilyEntry& family : families())
      write_gzip_file(fmt::format("{}/{}.csv.gz", raw, family.name), table_csv(family.family, m.points));
    write_text_file(fmt::format("{}/device.yaml", raw), facts_text(m.facts));
  }
  const Efficiencies fit = fit_efficiencies(base, m.points);
  const std::vector<HeldOut> held = hold_out_a_third(base, fit, m.points);
  write_gzip_file((fs::path(out).parent_path() / (fs::path(out).stem().string() + ".held-out.csv.gz")).string(),
                  held_out_csv(held));
  write_profile(out, base_file, m.facts, fit, uncertainty_of(m.points, held), m.points);

  std::cout << fmt::format("{} points on {}", m.points.size(), m.facts.device);
  if (m.left_out > 0) std::cout << fmt::format("; {} more were not measured, for lack of time", m.left_out);
  std::cout << "\n" << m.note;
  if (!held.empty()) std::cout << "held out, a third of the points        count   median    p95\n";
  const auto line = [&held](Family family, std::string_view label) {
    const ErrorSummary e = error_of(family, held, label);
    if (e.count > 0)
      std::cout << fmt::format("  {:<34} {:>6} {:>7.1f}% {:>6.1f}%\n", label.empty() ? entry_of(family).name : label,
                               e.count, e.median * 100, e.p95 * 100);
  };
  for (const Family family :
       {Family::kGemm, Family::kDecodeAttention, Family::kUnequalDecode, Family::kPrefillAttention})
    line(family, {});
  line(Family::kCollective, "all-reduce");
  if (!fit.collectives) return 0;
  std::cout << "collectives by the law of all-reduces, in no fit\n";
  for (const char* kind : {"all-reduce-launched", "all-gather", "reduce-scatter", "all-to-all", "send-receive"})
    line(Family::kCollective, kind);
  std::cout << fmt::format("all-reduces: {:.1f} GB/s on the bus, {:.2f} us\n", fit.collectives->bandwidth.rate() / 1e9,
                           fit.collectives->latency.count() * 1e6);
  return 0;
}

}  // namespace

const Command kCalibrateCommand{"calibrate", "--out PROFILE.yaml", "measure this GPU and write its hardware profile",
                                0,           add_options,          run};

}  // namespace headroom
