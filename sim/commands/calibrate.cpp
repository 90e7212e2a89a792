// headroom calibrate: measures this GPU and writes a hardware profile. Without CUDA in the build it says so.
#include <fmt/format.h>

#include <ctime>
#include <filesystem>
#include <iostream>

#include "sim/commands/command.h"
#include "sim/commands/scenario_options.h"
#include "sim/config/catalogue.h"
#include "sim/output/files.h"
#include "sim/output/progress.h"
#ifdef HEADROOM_CUDA
#include "validate/microbench/microbench.h"
#endif
#include "validate/microbench/profile.h"

namespace headroom {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

void add_options(po::options_description_easy_init add) {
  const auto text = [] { return po::value<std::string>(); };
  add("out", text(), "PROFILE.yaml to write; its tables go to tables/ beside it");
  add("raw", text(), "folder for every table measured, those that no profile reads too");
  add("base", text(), "profile with what cannot be measured: rates, links, power, price (default: this device's own)");
  add("quick", po::bool_switch(), "a coarse grid, in about a minute");
  add("time-limit", po::value<double>()->default_value(480), "seconds; what is left then is not measured");
}

#ifdef HEADROOM_CUDA
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

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

int run(const Values& values, const Words& operands) {
  if (!operands.empty()) throw po::error("calibrate takes no operand");
  const std::string out = text_of(values, "out");
  if (out.empty()) throw po::error("calibrate: --out PROFILE.yaml is missing");
  if (num_devices() == 0) {
    std::cerr << "headroom: error: no CUDA device here\n";
    return 3;
  }
  const bool quick = values["quick"].as<bool>();
  const DeviceFacts device = device_facts();
  const std::string base_file = base_profile(values, device.name);
  const HardwareProfile base = read_hardware(base_file);
  std::vector<ModelShape> models;
  for (const std::string& name : catalogue_names("models"))
    models.push_back(read_model((fs::path(configs_folder()) / "models" / (name + ".yaml")).string()));

  MicrobenchOptions options;
  options.repetitions = quick ? 3 : 7;
  options.time_limit_s = values["time-limit"].as<double>();
  std::string_view at;
  options.progress = [&](std::string_view family, std::size_t done, std::size_t total) {
    if (family == at) return;
    at = family;
    std::cerr << fmt::format("{} of {}: {}\n", done, total, family);
  };
  const MeasurementPlan plan = plan_measurements(models, device.memory_bytes, device.compute_capability >= 89, quick);
  const MicrobenchResult result = run_measurements(plan, options);

  CalibrationFacts facts;
  facts.device = device.name;
  facts.compute_capability = device.compute_capability;
  facts.num_sms = device.num_sms;
  facts.memory_bytes = device.memory_bytes;
  facts.context_bytes = result.context_bytes;
  facts.driver = "CUDA " + device.driver;
  facts.cuda = device.runtime;
  facts.clocks =
      fmt::format("as found, at most {:.0f} MHz, memory {:.0f} MHz", device.max_clock_mhz, device.max_memory_clock_mhz);
  facts.date = today();
  if (const std::string raw = text_of(values, "raw"); !raw.empty())
    for (const FamilyEntry& family : families())
      write_gzip_file(fmt::format("{}/{}.csv.gz", raw, family.name), table_csv(family.family, result.points));
  const Efficiencies fit = fit_efficiencies(base, result.points);
  const std::vector<HeldOut> held = hold_out_a_third(base, fit, result.points);
  write_gzip_file((fs::path(out).parent_path() / (fs::path(out).stem().string() + ".held-out.csv.gz")).string(),
                  held_out_csv(held));
  write_profile(out, base_file, facts, fit, result.points);

  std::cout << fmt::format("{} points on {}", result.points.size(), device.name);
  if (result.left_out > 0) std::cout << fmt::format("; {} more were not measured, for lack of time", result.left_out);
  std::cout << "\nheld out, a third of the points        count   median    p95\n";
  for (const Family family : {Family::kGemm, Family::kDecodeAttention, Family::kPrefillAttention}) {
    const ErrorSummary e = error_of(family, held);
    std::cout << fmt::format("  {:<34} {:>6} {:>7.1f}% {:>6.1f}%\n", entry_of(family).name, e.count, e.median * 100,
                             e.p95 * 100);
  }
  return 0;
}
#else
int run(const Values&, const Words&) {
  std::cerr << "headroom: error: this build has no CUDA in it; build with -DHEADROOM_CUDA=ON where nvcc is\n";
  return 3;
}
#endif

}  // namespace

const Command kCalibrateCommand{"calibrate", "--out PROFILE.yaml", "measure this GPU and write its hardware profile",
                                0,           add_options,          run};

}  // namespace headroom
