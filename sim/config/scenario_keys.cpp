#include "sim/config/scenario_keys.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "sim/config/catalogue.h"
#include "sim/config/scenario_parts.h"
#include "sim/config/scenario_reader.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

// A document as texts of YAML at dotted paths.
using Document = std::map<std::string, std::string>;

struct Tree {
  std::string text;
  std::map<std::string, Tree> inner;
};

std::string flow_of(const Tree& tree) {
  if (tree.inner.empty()) return tree.text.empty() ? "{}" : tree.text;
  std::string out = "{";
  for (const auto& [key, value] : tree.inner) out += (out.size() > 1 ? ", " : "") + key + ": " + flow_of(value);
  return out + "}";
}

std::string yaml_of(const Document& document) {
  Tree root;
  for (const auto& [path, text] : document) {
    Tree* at = &root;
    for (std::size_t from = 0; from <= path.size();) {
      const std::size_t dot = std::min(path.find('.', from), path.size());
      at = &at->inner[path.substr(from, dot - from)];
      from = dot + 1;
    }
    at->text = text;
  }
  return flow_of(root);
}

class Explorer : public ReadWatcher {
 public:
  std::vector<ScenarioKey> explore() {
    for (const std::string& preset : catalogue_names("engines"))
      queue_.push_back({{"model", "opt-125m"},
                        {"hardware", "l4"},
                        {"engine.preset", preset},
                        {"workload.requests", "1"},
                        {"workload.arrivals.process", "batch"},
                        {"workload.prompt_tokens", "1"},
                        {"workload.output_tokens", "1"}});
    for (; !queue_.empty(); queue_.pop_front()) look_into(queue_.front());
    note_conditions();
    return keys_;
  }

  void asked(const std::string& map_path, std::string_view key, bool missing) override {
    const std::string path = map_path.empty() ? std::string(key) : map_path + "." + std::string(key);
    if (path == "variants" || path.starts_with("variants.") || path.find('[') != std::string::npos) return;
    if (missing) missing_ = path;
    this_run_.insert(path);
    key_at(path);
  }
  void read_to_end(const std::string& path) override { ended_.insert(path); }
  void read_as(const std::string& path, ValueKind kind, double min, double max) override {
    if (!known(path)) return;
    ScenarioKey& key = key_at(path);
    if (std::find(key.kinds.begin(), key.kinds.end(), kind) == key.kinds.end()) key.kinds.push_back(kind);
    if (kind == ValueKind::kInteger || kind == ValueKind::kNumber) {
      const bool first = key.min == 0 && key.max == 0;
      key.min = first ? min : std::min(key.min, min);
      key.max = first ? max : std::max(key.max, max);
    }
  }
  void expects(const std::string& path, std::span<const std::string_view> words, bool other) override {
    if (!known(path)) return;
    ScenarioKey& key = key_at(path);
    key.other_words = key.other_words || other;
    for (const std::string_view word : words)
      if (std::find(key.words.begin(), key.words.end(), word) == key.words.end()) key.words.emplace_back(word);
  }

 private:
  bool known(const std::string& path) const { return index_.contains(path); }
  ScenarioKey& key_at(const std::string& path) {
    const auto [at, is_new] = index_.emplace(path, keys_.size());
    if (is_new) keys_.push_back({.path = path, .kinds = {}, .words = {}, .only_with = {}});
    return keys_[at->second];
  }

  // Reads the document; whatever is wrong with it, what was asked until then is noted.
  std::set<std::string> run(const Document& document) {
    this_run_.clear();
    ended_.clear();
    missing_.clear();
    shelf_.add(kName, parse_yaml(yaml_of(document), kName, this));
    try {
      load_scenario(kName, {}, shelf_);
    } catch (const ConfigError&) {
    } catch (const WorkloadError&) {
    }
    note_choices(document);
    return this_run_;
  }

  static bool has(const Document& document, const std::string& path) {
    const auto at = document.lower_bound(path);
    return at != document.end() && (at->first == path || at->first.starts_with(path + "."));
  }
  static Document with(Document document, const std::string& path, const std::string& text) {
    document[path] = text;
    return document;
  }
  void enqueue(const Document& document, const std::string& path, const std::string& text) {
    if (tried_.insert(path + "=" + text).second) queue_.push_back(with(document, path, text));
  }

  void look_into(const Document& document) {
    const std::set<std::string> paths = run(document);
    const std::string missing = missing_;
    for (const std::string& path : paths) {
      const auto given = document.find(path);
      if (has(document, path) && (given == document.end() || given->second == "{}")) continue;
      // What is it read as? Nothing is all of these; a reader says what it wants before it finds out.
      if (key_at(path).kinds.empty() || (given != document.end() && probed_.insert(path).second))
        for (const char* probe : {"~", "1", "{}"}) run(with(document, path, probe));
      const ScenarioKey key = key_at(path);
      for (const std::string& word : key.words) {
        if (path == missing && documents_.insert(yaml_of(document) + path + word).second)
          queue_.push_back(with(document, path, word));
        else
          enqueue(document, path, word);
      }
      if (std::find(key.kinds.begin(), key.kinds.end(), ValueKind::kMap) != key.kinds.end())
        enqueue(document, path, "{}");
      if (path == missing && key.words.empty())
        if (const std::string sample = sample_of(key);
            !sample.empty() && documents_.insert(yaml_of(document) + path).second)
          queue_.push_back(with(document, path, sample));
    }
  }

  static std::string sample_of(const ScenarioKey& key) {
    if (key.kinds.empty()) return "";
    switch (key.kinds.front()) {
      case ValueKind::kInteger:
        return fmt::format("{:.0f}", std::max(key.min, 1.0));
      case ValueKind::kNumber:
        return fmt::format("{}", std::clamp(1.0, key.min, key.max));
      case ValueKind::kTime:
        return "1 s";
      case ValueKind::kRate:
        return "1/s";
      case ValueKind::kSize:
        return "1 GiB";
      case ValueKind::kBoolean:
        return "true";
      case ValueKind::kText:
        return "x";
      case ValueKind::kMap:
        return "{}";
      default:
        return "";
    }
  }

  static std::string map_of(const std::string& path) {
    const std::size_t dot = path.rfind('.');
    return dot == std::string::npos ? "" : path.substr(0, dot);
  }

  // Choices the document makes, and which keys were asked for beside them in a map that was read to its end.
  void note_choices(const Document& document) {
    for (const auto& [chooser, word] : document) {
      const std::string map = map_of(chooser);
      if (map.empty() || !ended_.contains(map) || !known(chooser) || key_at(chooser).words.empty()) continue;
      std::set<std::string>& beside = beside_[chooser][word];
      for (const std::string& path : this_run_)
        if (map_of(path) == map) beside.insert(path);
    }
  }
  void note_conditions() {
    for (const auto& [chooser, words] : beside_)
      for (ScenarioKey& key : keys_) {
        if (map_of(key.path) != map_of(chooser)) continue;
        std::vector<std::string> under;
        for (const auto& [word, paths] : words)
          if (paths.contains(key.path)) under.push_back(chooser.substr(chooser.rfind('.') + 1) + ": " + word);
        if (under.size() < words.size()) key.only_with.insert(key.only_with.end(), under.begin(), under.end());
      }
  }

  static constexpr const char* kName = "(a document to learn from)";
  Shelf shelf_;
  std::deque<Document> queue_;
  std::set<std::string> tried_, probed_, documents_;
  std::set<std::string> this_run_, ended_;  // keys asked for, maps read to their end
  std::string missing_;
  std::vector<ScenarioKey> keys_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, std::map<std::string, std::set<std::string>>> beside_;  // chooser, its word: keys
};

}  // namespace

std::vector<ScenarioKey> scenario_keys() {
  return Explorer().explore();
}

}  // namespace headroom
