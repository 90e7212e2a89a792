#include "sim/config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/config/document.h"
#include "sim/config/quantity.h"

namespace headroom {

const Tree* Tree::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

SourcePos position(Mark mark, const Origin& origin) {
  if (mark.line == 0 || !origin.marks) return origin.place;
  return SourcePos{origin.place.file, mark.line, mark.column};
}

Value make(std::shared_ptr<const Tree> tree, std::shared_ptr<const Origin> origin, std::string path) {
  return Value(
      std::make_shared<const Value::Node>(Value::Node{std::move(tree), std::move(origin), std::move(path), {}}));
}

Value make(Tree tree, Origin origin, std::string path) {
  return make(std::make_shared<const Tree>(std::move(tree)), std::make_shared<const Origin>(std::move(origin)),
              std::move(path));
}

namespace {

std::string joined(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

// `inner` of the tree of `outer`, under the path `path`.
Value part(const Value& outer, const Tree& inner, std::string path) {
  return make({outer.node().tree, &inner}, outer.node().origin, std::move(path));
}

}  // namespace

SourcePos Value::pos() const {
  return position(node_->tree->mark, *node_->origin);
}
std::string Value::path() const {
  return node_->path;
}
bool Value::is_null() const {
  return node_->tree->kind == Tree::Kind::kNull;
}
bool Value::is_scalar() const {
  return node_->tree->kind == Tree::Kind::kScalar;
}
bool Value::is_list() const {
  return node_->tree->kind == Tree::Kind::kList;
}
bool Value::is_map() const {
  return node_->tree->kind == Tree::Kind::kMap;
}

void Value::fail(std::string_view message) const {
  throw ConfigError(pos(), node_->path.empty() ? std::string(message) : fmt::format("{}: {}", node_->path, message));
}

namespace {

void read_as(const Value& v, ValueKind kind, double min = 0, double max = 0) {
  if (ReadWatcher* watcher = v.node().origin->watcher) watcher->read_as(v.path(), kind, min, max);
}

}  // namespace

void Value::expects(std::span<const std::string_view> words, bool other) const {
  if (node_->origin->watcher != nullptr) node_->origin->watcher->expects(path(), words, other);
}

bool Value::watched() const {
  return node_->origin->watcher != nullptr;
}

std::string Value::text() const {
  read_as(*this, ValueKind::kText);
  if (!is_scalar()) fail(is_null() ? "nothing is here; expected text" : "expected text");
  return node_->tree->scalar;
}

bool Value::boolean() const {
  read_as(*this, ValueKind::kBoolean);
  if (is_scalar() && node_->tree->scalar == "true") return true;
  if (is_scalar() && node_->tree->scalar == "false") return false;
  fail(is_scalar() ? fmt::format("'{}' is neither true nor false", node_->tree->scalar) : "expected true or false");
}

namespace {

double number_within(const Value& v, double min, double max) {
  if (!v.is_scalar()) v.fail("expected a number");
  const std::string& text = v.node().tree->scalar;
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
  if (value != std::floor(value)) fail(fmt::format("{} is no whole number", node_->tree->scalar));
  return static_cast<std::int64_t>(value);
}

namespace {

double quantity(const Value& v, Dimension dimension, ValueKind kind) {
  read_as(v, kind);
  if (!v.is_scalar()) v.fail("expected a quantity with its unit");
  const std::string& text = v.node().tree->scalar;
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
  for (const Tree& item : node_->tree->items)
    values.push_back(part(*this, item, fmt::format("{}[{}]", node_->path, values.size())));
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
  ReadWatcher* const watcher = state_->layers.front().node().origin->watcher;
  if (watcher != nullptr) watcher->asked(state_->path, key, false);
  std::vector<Value> found;  // the value, and below a mere step of a path what it leads through
  for (const Value& layer : state_->layers) {
    const Tree* const value = layer.node().tree->find(key);
    if (value == nullptr) continue;
    found.push_back(part(layer, *value, joined(layer.path(), name)));
    if (!value->path_step) break;
  }
  if (found.empty()) return std::nullopt;
  Value::Node top = found.front().node();
  if (watcher != nullptr && watcher != top.origin->watcher) {
    Origin watched = *top.origin;
    watched.watcher = watcher;
    top.origin = std::make_shared<const Origin>(std::move(watched));
  }
  top.below.assign(found.begin() + 1, found.end());
  return Value(std::make_shared<const Value::Node>(std::move(top)));
}

bool Map::has(std::string_view key) const {
  return find(key).has_value();
}

Value Map::at(std::string_view key) const {
  if (auto value = find(key)) return *value;
  if (ReadWatcher* const watcher = state_->layers.front().node().origin->watcher)
    watcher->asked(state_->path, key, true);
  fail(fmt::format("missing key '{}'", key));
}

Map Map::map(std::string_view key) const {
  const std::string name(key);
  state_->asked.push_back(name);
  if (ReadWatcher* const watcher = state_->layers.front().node().origin->watcher) {
    watcher->asked(state_->path, key, false);
    watcher->read_as(joined(state_->path, name), ValueKind::kMap, 0, 0);
  }
  std::optional<Map> result;
  for (const Value& layer : state_->layers) {
    const Tree* const found = layer.node().tree->find(key);
    if (found == nullptr) continue;
    const Value value = part(layer, *found, joined(layer.path(), name));
    if (!value.is_map()) value.fail("expected a map of keys and values");
    if (result) {
      result->state_->layers.push_back(value);
    } else {
      result.emplace(value);
    }
  }
  if (result) return *result;
  Tree empty;
  empty.kind = Tree::Kind::kMap;
  return Map(make(std::make_shared<const Tree>(std::move(empty)), state_->layers.front().node().origin,
                  joined(state_->path, name)));
}

std::vector<std::string> Map::keys() const {
  std::vector<std::string> names;
  for (const Value& layer : state_->layers)
    for (const Entry& entry : layer.node().tree->entries)
      if (std::find(names.begin(), names.end(), entry.key) == names.end()) names.push_back(entry.key);
  return names;
}

void Map::done() const {
  const std::vector<std::string>& asked = state_->asked;
  if (ReadWatcher* const watcher = state_->layers.front().node().origin->watcher) watcher->read_to_end(state_->path);
  for (const Value& layer : state_->layers) {
    for (const Entry& entry : layer.node().tree->entries) {
      if (std::find(asked.begin(), asked.end(), entry.key) != asked.end()) continue;
      std::vector<std::string_view> known(asked.begin(), asked.end());
      std::sort(known.begin(), known.end());
      known.erase(std::unique(known.begin(), known.end()), known.end());
      throw ConfigError(
          position(entry.mark, *layer.node().origin),
          fmt::format("unknown key '{}'{}{}", entry.key, layer.path().empty() ? "" : " in '" + layer.path() + "'",
                      suggestion(entry.key, known)));
    }
  }
}

SourcePos Map::key_pos(std::string_view key) const {
  for (const Value& layer : state_->layers)
    for (const Entry& entry : layer.node().tree->entries)
      if (entry.key == key) return position(entry.mark, *layer.node().origin);
  return pos();
}

SourcePos Map::pos() const {
  return state_->layers.front().pos();
}
void Map::fail(std::string_view message) const {
  state_->layers.front().fail(message);
}

}  // namespace headroom
