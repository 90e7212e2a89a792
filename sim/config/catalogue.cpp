#include "sim/config/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace headroom {
namespace fs = std::filesystem;

static std::string folder_beside_program() {
  std::error_code ignored;
  // The program lies in <source>/build/<preset>/ or in <prefix>/bin/.
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  for (fs::path at = program.parent_path(); at.has_relative_path(); at = at.parent_path()) {
    if (fs::is_directory(at / "configs" / "models", ignored)) return (at / "configs").string();
    if (fs::is_directory(at / "share" / "headroom" / "configs", ignored))
      return (at / "share" / "headroom" / "configs").string();
  }
  return "configs";
}

std::string configs_folder() {
  if (const char* set = std::getenv("HEADROOM_CONFIGS"); set != nullptr && *set != '\0') return set;
  static const std::string found = folder_beside_program();
  return found;
}

// Machines lie beside the cards they hold.
static std::string folder_of(const std::string& kind) {
  return kind == "machines" ? "hardware" : kind;
}

static bool is_of_kind(const std::string& kind, const std::string& name) {
  return folder_of(kind) != "hardware" || name.starts_with("node-") == (kind == "machines");
}

std::vector<std::string> catalogue_names(const std::string& kind) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(configs_folder()) / folder_of(kind), ignored)) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".yaml" && is_of_kind(kind, name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string catalogue_file(const std::string& kind, const Value& where) {
  if (where.watched()) {
    const std::vector<std::string> names = catalogue_names(kind);
    const std::vector<std::string_view> known(names.begin(), names.end());
    where.expects(known, true);
  }
  const std::string name = where.text();
  const std::string ending = fs::path(name).extension().string();
  std::error_code ignored;
  if (ending == ".yaml" || ending == ".yml" || ending == ".json") {
    const fs::path beside = fs::path(where.pos().file).parent_path() / name;
    const fs::path file = fs::path(name).is_absolute() || !fs::exists(beside, ignored) ? fs::path(name) : beside;
    must_be_allowed(where, file.string());
    if (!fs::is_regular_file(file, ignored)) where.fail(fmt::format("no file '{}'", name));
    return file.string();
  }
  const fs::path entry = fs::path(configs_folder()) / folder_of(kind) / (name + ".yaml");
  if (is_of_kind(kind, name) && name.find('/') == std::string::npos && fs::exists(entry, ignored))
    return entry.string();
  const std::vector<std::string> names = catalogue_names(kind);
  const std::vector<std::string_view> known(names.begin(), names.end());
  where.fail(fmt::format("no entry '{}' in configs/{}{}", name, folder_of(kind), suggestion(name, known)));
}

std::string lasting_name(const std::string& kind, const std::string& file, bool whole) {
  std::error_code ignored;
  const fs::path path(file);
  if (fs::equivalent(path.parent_path(), fs::path(configs_folder()) / folder_of(kind), ignored))
    return (kind == "traces" ? path.filename() : path.stem()).string();
  return whole ? fs::absolute(path).lexically_normal().string() : path.filename().string();
}

std::string scenario_file(const std::string& word) {
  std::error_code ignored;
  if (fs::exists(word, ignored)) return word;
  const std::vector<std::string> names = catalogue_names("scenarios");
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (std::find(names.begin(), names.end(), word) == names.end())
    throw ConfigError({word, 0, 0}, "no such file, and no shipped scenario of that name" + suggestion(word, known));
  return (fs::path(configs_folder()) / "scenarios" / (word + ".yaml")).string();
}

void must_be_allowed(const Value& where, const std::string& file) {
  const char* set = std::getenv("HEADROOM_FILES_UNDER");
  if (set == nullptr || where.pos().line == 0) return;
  const fs::path real = fs::weakly_canonical(file);
  const auto holds = [&](const fs::path& folder) {
    const fs::path below = real.lexically_relative(fs::weakly_canonical(folder));
    return !below.empty() && *below.begin() != "..";
  };
  std::istringstream folders(set);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (!folder.empty() && holds(folder)) return;
  if (!holds(configs_folder())) where.fail(fmt::format("'{}' lies outside of HEADROOM_FILES_UNDER", where.text()));
}

std::string summary_of_entry(const std::string& kind, const std::string& name) {
  const std::string file = (fs::path(configs_folder()) / folder_of(kind) / (name + ".yaml")).string();
  if (kind == "models") {
    const ModelShape model = read_model(file);
    return fmt::format("{}, {:.2f} B parameters, {} positions", model.family,
                       static_cast<double>(count_parameters(model).total()) / 1e9, model.max_position_embeddings);
  }
  if (kind == "machines") {
    const NodeProfile node = read_node(file);
    return fmt::format("machine of {} GPU{}, network {:.3g} GB/s, {:.2f} USD/h", node.gpus, node.gpus == 1 ? "" : "s",
                       node.network_bandwidth.rate() / 1e9, node.price_per_hour.count());
  }
  if (kind == "hardware") {
    const HardwareProfile card = read_hardware_file(file).profile;
    return fmt::format("{}, {:.2f} GiB addressable, {:.0f} GB/s", card.device,
                       static_cast<double>(card.memory.count()) / static_cast<double>(kGiB),
                       card.memory_bandwidth.rate() / 1e9);
  }
  const Map entry = load_yaml(file).map();
  const auto text = entry.find(kind == "engines" ? "summary" : "name");
  return text ? text->text() : "";
}

}  // namespace headroom
