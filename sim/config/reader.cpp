#include "sim/config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/config/quantity.h"
#include "sim/config/yaml_node.h"

namespace headroom {

SourcePos position(const YAML::Mark& mark, const Origin& origin) {
  if (mark.is_null() || !origin.marks) return origin.place;
  return SourcePos{origin.place.file, mark.line + 1, mark.column + 1};
}

Value make(const YAML::Node& yaml, const Origin& origin, std::string path) {
  return Value(std::make_shared<const Value::Node>(Value::Node{yaml, origin, std::move(path), {}}));
}

namespace {

std::string joined(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
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
    if (!yaml.IsMap()) continue;
    const YAML::Node value = yaml[name];  // a search
    if (!value.IsDefined()) continue;
    Origin origin = layer.node().origin;
    if (watcher != nullptr) origin.watcher = watcher;
    found.push_back(make(value, origin, joined(layer.path(), name)));
    if (value.Tag() != kPathStep) break;
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

}  // namespace headroom
