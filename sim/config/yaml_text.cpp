// From text to values and back: YAML parsed within limits, what a command line sets, and values written as YAML.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "sim/config/yaml_node.h"

namespace headroom {
namespace {

constexpr std::size_t kMostBytes = 4 << 20;
constexpr int kMostDepth = 32;
constexpr std::size_t kMostNodes = 200'000;

// Duplicate keys, keys that are no text, and depth.
void check_tree(const YAML::Node& node, const Origin& origin, int depth, std::size_t& nodes) {
  const SourcePos pos = position(node.Mark(), origin);
  if (depth > kMostDepth) throw ConfigError(pos, "nested more than 32 levels deep");
  if (++nodes > kMostNodes) throw ConfigError(pos, "more than 200000 values");
  if (node.IsSequence())
    for (const auto& item : node) check_tree(item, origin, depth + 1, nodes);
  if (!node.IsMap()) return;
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const YAML::Node &key = entry.first, &value = entry.second;
    if (!key.IsScalar()) throw ConfigError(position(key.Mark(), origin), "a key must be plain text");
    if (!seen.insert(key.Scalar()).second)
      throw ConfigError(position(key.Mark(), origin), fmt::format("duplicate key '{}'", key.Scalar()));
    check_tree(value, origin, depth + 1, nodes);
  }
}

// yaml-cpp resolves aliases silently, so they are looked for among the parser's events.
class AliasFinder : public YAML::EventHandler {
 public:
  explicit AliasFinder(Origin origin) : origin_(std::move(origin)) {}
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw ConfigError(position(mark, origin_), "a second document; expected one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw ConfigError(position(mark, origin_), "aliases are not supported; write the value out");
  }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    deeper(mark);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    deeper(mark);
  }
  void OnMapEnd() override { --depth_; }

 private:
  void deeper(const YAML::Mark& mark) {
    if (++depth_ > kMostDepth) throw ConfigError(position(mark, origin_), "nested more than 32 levels deep");
  }
  Origin origin_;
  int documents_ = 0;
  int depth_ = 0;
};

// yaml-cpp's parser recurses on nested flow brackets; refuse depth before it runs.
void check_brackets(std::string_view text, const std::string& name) {
  int depth = 0, line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > 4 * kMostDepth) throw ConfigError({name, line, 1}, "nested more than 32 levels deep");
  }
}

bool indented_by_tab(std::string_view text, int line) {
  std::size_t from = 0;
  for (; line > 0 && from < text.size(); --line) from = std::min(text.find('\n', from), text.size() - 1) + 1;
  const std::size_t first = text.find_first_not_of(" \t", from);
  return text.substr(from, first == std::string_view::npos ? first : first - from).find('\t') != std::string_view::npos;
}

// Upper layers over lower ones; maps under equal keys merged alike.
YAML::Node merged(const std::vector<YAML::Node>& layers) {
  YAML::Node all(YAML::NodeType::Map);
  for (const YAML::Node& layer : layers)
    for (const auto& entry : layer) {
      const std::string key = entry.first.Scalar();
      if (all[key].IsDefined()) continue;
      std::vector<YAML::Node> parts;
      for (const YAML::Node& other : layers) {
        const YAML::Node part = other[key];
        if (!part.IsDefined() || !part.IsMap()) continue;
        parts.push_back(part);
        if (part.Tag() != kPathStep) break;
      }
      all[key] = entry.second.IsMap() ? merged(parts) : YAML::Clone(entry.second);
    }
  return all;
}

// Whether a look at the characters already rules out what AliasFinder looks for: it costs as much as the parse itself.
// A block is nested at most two levels for each column of indentation; check_brackets() has seen to the rest.
bool plainly_one_flat_document(std::string_view text) {
  constexpr std::size_t kShallow = 12;  // columns
  if (text.find('*') != std::string_view::npos) return false;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t first = std::min(text.find_first_not_of(" -?:", from), text.size());
    const std::string_view start = text.substr(from, first - from);
    if (start.size() > kShallow || start.starts_with("---") || text.substr(from).starts_with("...")) return false;
    from = std::min(text.find('\n', from), text.size() - 1) + 1;
  }
  return true;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> leaves_of(const Value& value) {
  std::vector<std::pair<std::string, std::string>> leaves;
  const auto add = [&](const Value& inner) {
    for (auto& leaf : leaves_of(inner)) leaves.push_back(std::move(leaf));
  };
  if (value.is_map()) {
    const Map map = value.map();
    for (const std::string& key : map.keys()) add(map.at(key));
  } else if (value.is_list()) {
    for (const Value& item : value.items()) add(item);
  } else {
    leaves.emplace_back(value.path(), value.is_scalar() ? value.text() : "");
  }
  return leaves;
}

std::string text_of(const Map& map, int indent, const std::vector<std::pair<std::string, std::string>>& replaced) {
  std::vector<YAML::Node> layers;
  for (const Value& layer : map.state().layers) layers.push_back(layer.node().yaml);
  YAML::Node all = merged(layers);  // a copy
  for (const auto& [path, text] : replaced) {
    YAML::Node at = all;
    std::istringstream keys(path);
    for (std::string key; std::getline(keys, key, '.');) at.reset(at[key]);
    at = text;
  }
  std::istringstream lines(YAML::Dump(all));
  std::string text;
  for (std::string line; std::getline(lines, line);)
    text += std::string(static_cast<std::size_t>(indent), ' ') + line + "\n";
  return text;
}

Value parse_yaml(std::string_view text, const std::string& name, ReadWatcher* watcher) {
  if (text.size() > kMostBytes) throw ConfigError({name, 0, 0}, "larger than 4 MiB");
  check_brackets(text, name);
  const Origin origin{{name, 0, 0}, true, watcher};
  try {
    if (!plainly_one_flat_document(text)) {
      std::istringstream stream{std::string(text)};
      YAML::Parser parser(stream);
      AliasFinder finder(origin);
      while (parser.HandleNextDocument(finder)) {
      }
    }
    const YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsMap()) throw ConfigError({name, 1, 1}, "expected a map of keys and values");
    std::size_t nodes = 0;
    check_tree(root, origin, 0, nodes);
    return make(root, origin, "");
  } catch (const YAML::Exception& error) {
    throw ConfigError(position(error.mark, origin), indented_by_tab(text, error.mark.line)
                                                        ? "a tab indents this line; expected spaces"
                                                        : "not YAML: " + error.msg);
  }
}

Value load_yaml(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw ConfigError({file, 0, 0}, "cannot be opened");
  std::string text;
  char buffer[1 << 14];
  while (text.size() <= kMostBytes && (stream.read(buffer, sizeof buffer) || stream.gcount() > 0))
    text.append(buffer, static_cast<std::size_t>(stream.gcount()));
  if (stream.bad()) throw ConfigError({file, 0, 0}, "cannot be read");
  return parse_yaml(text, file);
}

namespace {

// `node` at a dotted path, from the last name of the path outwards.
Value layer_at(std::string_view path, YAML::Node node, const Origin& origin) {
  for (;;) {
    const std::size_t dot = path.rfind('.');
    const std::string key(dot == std::string_view::npos ? path : path.substr(dot + 1));
    if (key.empty()) throw ConfigError(origin.place, "an empty name in the path");
    YAML::Node outer(YAML::NodeType::Map);
    outer[key] = node;
    outer.SetTag(kPathStep);
    node = outer;
    if (dot == std::string_view::npos) break;
    path = path.substr(0, dot);
  }
  std::size_t nodes = 0;
  check_tree(node, origin, 0, nodes);
  return make(node, origin, "");
}

}  // namespace

Value parse_value(std::string_view text, const SourcePos& place) {
  const Origin origin{place, false};
  try {
    const YAML::Node node = YAML::Load(std::string(text));
    std::size_t nodes = 0;
    check_tree(node, origin, 0, nodes);
    return make(node, origin, "");
  } catch (const YAML::Exception& error) {
    throw ConfigError(place, error.msg);
  }
}

Value override_layer(std::string_view assignment) {
  const SourcePos place{fmt::format("--set {}", assignment), 0, 0};
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) throw ConfigError(place, "expected path.to.key=value");
  const Value value = parse_value(assignment.substr(equals + 1), place);
  return layer_at(assignment.substr(0, equals), value.node().yaml, value.node().origin);
}

Value override_layer(std::string_view path, const Value& value, const SourcePos& place) {
  return layer_at(path, value.node().yaml, Origin{place, value.node().origin.marks});
}

Value scalar_value(const std::string& text, const Value& like) {
  return make(YAML::Node(text), Origin{like.pos()}, like.path());
}

std::string text_of(const Value& value) {
  YAML::Emitter out;
  out.SetMapFormat(YAML::Flow);
  out.SetSeqFormat(YAML::Flow);
  out << value.node().yaml;
  return out.c_str();
}

}  // namespace headroom
