// From files to typed scenarios: the scenario, its model, hardware and engine preset, and every check across them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/catalogue.h"
#include "sim/config/reader.h"
#include "sim/config/scenario.h"

namespace headroom {

struct LoadOptions {
  std::vector<std::string> overrides;  // "path.to.key=value", applied in order to the scenario
  std::vector<Value> layers;           // override_layer()s, applied in order over those
  std::optional<std::uint64_t> seed;   // over the file's
  std::vector<Value> parts;            // of a scenario: they lie over the file and below the overrides, first one wins
  std::optional<std::string> only_variant;
};

// What files said, each read once: for who loads many scenarios. Of the tables of kernels only what a scenario looks up
// is read, or all to see that they are whole.
class Shelf {
 public:
  enum class Tables { kUsed, kAll };
  explicit Shelf(Tables tables = Tables::kUsed) : tables_read_(tables) {}
  const Value& yaml(const std::string& file);
  // A text that stands for a file which is not there.
  void add(const std::string& file, const Value& text) { yaml_.insert_or_assign(file, text); }
  const ModelShape& model(const std::string& file);
  const HardwareProfile& hardware(const std::string& file);  // without its tables
  // The same with the tables in `use`.
  const HardwareProfile& hardware(const std::string& file, const TableUse& use);

 private:
  template <class T, class Read>
  static const T& once(std::map<std::string, T>& known, const std::string& file, Read read);

  Tables tables_read_;
  std::map<std::string, Value> yaml_;
  std::map<std::string, ModelShape> models_;
  std::map<std::string, HardwareFile> hardware_;
  std::map<std::pair<std::string, TableUse>, HardwareProfile> with_tables_;
};

// Throws ConfigError; DoesNotFit when all is well but the model does not fit on the card.
ScenarioFile load_scenario(const std::string& file, const LoadOptions& options = {});
ScenarioFile load_scenario(const std::string& file, const LoadOptions& options, Shelf& shelf);
// A scenario that stands inside another file.
ScenarioFile load_scenario(const Value& scenario, const LoadOptions& options = {});

// Any of our files, by its keys: a scenario, a sweep, a model, a hardware profile or an engine preset. Throws
// ConfigError.
// `options` are for scenarios; with any other file they are an error.
void check_file(const std::string& file, const LoadOptions& options = {});

}  // namespace headroom
