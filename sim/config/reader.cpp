#include "sim/config/reader.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "sim/config/quantity.h"

namespace headroom {

namespace {

// Where nodes come from: a file whose marks place each of them, or one place for all that have no mark of their own.
struct Origin {
  SourcePos place;
  bool marks = true;  // false: not even those that have one
  ReadWatcher* watcher = nullptr;
};

}  // namespace

// A node, where it stands, and what it is called.
struct Value::Node {
  YAML::Node yaml;
  Origin origin;
  std::string path;
  std::vector<Value> below;  // what a "--set a.b=..." leaves standing of a
};

namespace {

constexpr const char* kPathStep = "!path-step";  // a map that only leads to a value set by its path
constexpr std::size_t kMostBytes = 4 << 20;
constexpr int kMostDepth = 32;
constexpr std::size_t kMostNodes = 200'000;

SourcePos position(const YAML::Mark& mark, const Origin& origin) {
  if (mark.is_null() || !origin.marks) return origin.place;
  return SourcePos{origin.place.file, mark.line + 1, mark.column + 1};
}

Value make(const YAML::Node& yaml, const Origin& origin, std::string path) {
  return Value(std::make_shared<const Value::Node>(Value::Node{yaml, origin, std::move(path), {}}));
}

std::string joined(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

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

}  // namespace

SourcePos Value::pos() const {
  return position(node_->yaml.Mark(), node_->origin);
}
std::string Value::path() const {
  return node_->path;
}
bool Value::is_null() const {
  return node_->yaml.IsNull();
}
bool Value::is_scalar() const {
  return node_->yaml.IsScalar();
}
bool Value::is_list() const {
  return node_->yaml.IsSequence();
}
bool Value::is_map() const {
  return node_->yaml.IsMap();
}

void Value::fail(std::string_view message) const {
  throw ConfigError(pos(), node_->path.empty() ? std::string(message) : fmt::format("{}: {}", node_->path, message));
}

namespace {

void read_as(const Value& v, ValueKind kind, double min = 0, double max = 0) {
  if (ReadWatcher* watcher = v.node().origin.watcher) watcher->read_as(v.path(), kind, min, max);
}

}  // namespace

void Value::expects(std::span<const std::string_view> words, bool other) const {
  if (node_->origin.watcher != nullptr) node_->origin.watcher->expects(path(), words, other);
}

bool Value::watched() const {
  return node_->origin.watcher != nullptr;
}

std::string Value::text() const {
  read_as(*this, ValueKind::kText);
  if (!is_scalar()) fail(is_null() ? "nothing is here; expected text" : "expected text");
  return node_->yaml.Scalar();
}

bool Value::boolean() const {
  read_as(*this, ValueKind::kBoolean);
  if (is_scalar() && node_->yaml.Scalar() == "true") return true;
  if (is_scalar() && node_->yaml.Scalar() == "false") return false;
  fail(is_scalar() ? fmt::format("'{}' is neither true nor false", node_->yaml.Scalar()) : "expected true or false");
}

namespace {

double number_within(const Value& v, double min, double max) {
  if (!v.is_scalar()) v.fail("expected a number");
  const std::string& text = v.node().yaml.Scalar();
  const auto value = parse_number(text);
  if (!value) v.fail(fmt::format("'{}' is no number", text));
  if (*value < min) v.fail(fmt::format("{} is too small; expected at least {}", text, min));
  if (*value > max) v.fail(fmt::format("{} is too large; expected at most {}", text, max));
  return *value;
}

}  // namespace

double Value::number(double min, double max) const {
  read_as(*this, ValueKind::kNumber, min, max);
  return number_within(*this, min, max);
}

std::int64_t Value::integer(std::int64_t min, std::int64_t max) const {
  read_as(*this, ValueKind::kInteger, static_cast<double>(min), static_cast<double>(max));
  const double value = number_within(*this, static_cast<double>(min), static_cast<double>(max));
  if (value != std::floor(value)) fail(fmt::format("{} is no whole number", node_->yaml.Scalar()));
  return static_cast<std::int64_t>(value);
}

namespace {

double quantity(const Value& v, Dimension dimension, ValueKind kind) {
  read_as(v, kind);
  if (!v.is_scalar()) v.fail("expected a quantity with its unit");
  const std::string& text = v.node().yaml.Scalar();
  const ParsedQuantity q = parse_quantity(text, dimension);
  if (!q.problem.empty()) v.fail(q.problem);
  if (q.value < 0) v.fail(fmt::format("'{}' is negative", text));
  if (kind == ValueKind::kSize && q.value > 9e18) v.fail(fmt::format("'{}' is too large", text));
  return q.value;
}

}  // namespace

Bytes Value::size() const {
  return Bytes{std::llround(quantity(*this, Dimension::kSize, ValueKind::kSize))};
}
BytesPerSecond Value::bandwidth() const {
  return BytesPerSecond{quantity(*this, Dimension::kBandwidth, ValueKind::kBandwidth)};
}
FlopsPerSecond Value::compute() const {
  return FlopsPerSecond{quantity(*this, Dimension::kCompute, ValueKind::kCompute)};
}
Seconds Value::time() const {
  return Seconds{quantity(*this, Dimension::kTime, ValueKind::kTime)};
}
double Value::rate() const {
  return quantity(*this, Dimension::kRate, ValueKind::kRate);
}
Watts Value::power() const {
  return Watts{quantity(*this, Dimension::kPower, ValueKind::kPower)};
}
Dollars Value::price_per_hour() const {
  return Dollars{quantity(*this, Dimension::kPricePerHour, ValueKind::kPrice)};
}

std::vector<Value> Value::items() const {
  read_as(*this, ValueKind::kList);
  if (!is_list()) fail("expected a list");
  std::vector<Value> values;
  for (const auto& item : node_->yaml)
    values.push_back(make(item, node_->origin, fmt::format("{}[{}]", node_->path, values.size())));
  return values;
}

Map Value::map() const {
  read_as(*this, ValueKind::kMap);
  if (!is_map()) fail("expected a map of keys and values");
  Map map(*this);
  for (const Value& value : node_->below) map = map.over(value);
  return map;
}

struct Map::State {
  std::vector<Value> layers;
  std::vector<std::string> asked;  // every key somebody wanted
  std::string path;
};

Map::Map(Value top) : state_(std::make_shared<State>()) {
  state_->path = top.path();
  state_->layers.push_back(std::move(top));
}

Map Map::over(const Value& below) const {
  Map map = *this;
  map.state_ = std::make_shared<State>(*state_);
  map.state_->asked.clear();
  map.state_->layers.push_back(below);
  return map;
}

std::optional<Value> Map::find(std::string_view key) const {
  const std::string name(key);
  state_->asked.push_back(name);
  ReadWatcher* const watcher = state_->layers.front().node().origin.watcher;
  if (watcher != nullptr) watcher->asked(state_->path, key, false);
  std::vector<Value> found;  // the value, and below a mere step of a path what it leads through
  for (const Value& layer : state_->layers) {
    const YAML::Node& yaml = layer.node().yaml;
    if (!yaml.IsMap() || !yaml[name].IsDefined()) continue;
    Origin origin = layer.node().origin;
    if (watcher != nullptr) origin.watcher = watcher;
    found.push_back(make(yaml[name], origin, joined(layer.path(), name)));
    if (yaml[name].Tag() != kPathStep) break;
  }
  if (found.empty()) return std::nullopt;
  Value::Node top = found.front().node();
  top.below.assign(found.begin() + 1, found.end());
  return Value(std::make_shared<const Value::Node>(std::move(top)));
}

bool Map::has(std::string_view key) const {
  return find(key).has_value();
}

Value Map::at(std::string_view key) const {
  if (auto value = find(key)) return *value;
  if (ReadWatcher* const watcher = state_->layers.front().node().origin.watcher)
    watcher->asked(state_->path, key, true);
  fail(fmt::format("missing key '{}'", key));
}

Map Map::map(std::string_view key) const {
  const std::string name(key);
  state_->asked.push_back(name);
  if (ReadWatcher* const watcher = state_->layers.front().node().origin.watcher) {
    watcher->asked(state_->path, key, false);
    watcher->read_as(joined(state_->path, name), ValueKind::kMap, 0, 0);
  }
  std::optional<Map> result;
  for (const Value& layer : state_->layers) {
    const YAML::Node& yaml = layer.node().yaml;
    if (!yaml.IsMap()) continue;
    const YAML::Node found = yaml[name];
    if (!found.IsDefined()) continue;
    const Value value = make(found, layer.node().origin, joined(layer.path(), name));
    if (!value.is_map()) value.fail("expected a map of keys and values");
    if (result) {
      result->state_->layers.push_back(value);
    } else {
      result.emplace(value);
    }
  }
  if (result) return *result;
  return Map(make(YAML::Node(YAML::NodeType::Map), state_->layers.front().node().origin, joined(state_->path, name)));
}

std::vector<std::string> Map::keys() const {
  std::vector<std::string> names;
  for (const Value& layer : state_->layers)
    for (const auto& entry : layer.node().yaml)
      if (std::find(names.begin(), names.end(), entry.first.Scalar()) == names.end())
        names.push_back(entry.first.Scalar());
  return names;
}

void Map::done() const {
  const std::vector<std::string>& asked = state_->asked;
  if (ReadWatcher* const watcher = state_->layers.front().node().origin.watcher) watcher->read_to_end(state_->path);
  for (const Value& layer : state_->layers) {
    for (const auto& entry : layer.node().yaml) {
      const YAML::Node& key = entry.first;
      const std::string& name = key.Scalar();
      if (std::find(asked.begin(), asked.end(), name) != asked.end()) continue;
      std::vector<std::string_view> known(asked.begin(), asked.end());
      std::sort(known.begin(), known.end());
      known.erase(std::unique(known.begin(), known.end()), known.end());
      throw ConfigError(position(key.Mark(), layer.node().origin),
                        fmt::format("unknown key '{}'{}{}", name,
                                    layer.path().empty() ? "" : " in '" + layer.path() + "'", suggestion(name, known)));
    }
  }
}

SourcePos Map::key_pos(std::string_view key) const {
  for (const Value& layer : state_->layers)
    for (const auto& entry : layer.node().yaml)
      if (entry.first.Scalar() == key) return position(entry.first.Mark(), layer.node().origin);
  return pos();
}

SourcePos Map::pos() const {
  return state_->layers.front().pos();
}
void Map::fail(std::string_view message) const {
  state_->layers.front().fail(message);
}

namespace {

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

namespace {

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
