// Reading YAML (and JSON, its subset) without surprises: every value knows its place, every key must be asked for.
//
// A Value is a node with its position and path. A Map looks keys up in a stack of layers, first one wins: a variant
// over the scenario over the engine preset. done() rejects keys that nobody asked for, with the nearest that somebody
// did. Numbers are parsed here, never by YAML's rules (010 is ten, `no` is text). Dimensioned values carry units.
// Throws ConfigError. Limits: 4 MiB a file, depth 32, no aliases, no duplicate keys.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/units.h"
#include "sim/config/errors.h"

namespace headroom {

class Map;

enum class ValueKind {
  kText,
  kBoolean,
  kInteger,
  kNumber,
  kSize,
  kBandwidth,
  kCompute,
  kTime,
  kRate,
  kPower,
  kPrice,
  kList,
  kMap
};

// Is told what a reader asks of a document, as it asks: so the readers themselves say what a file may hold.
class ReadWatcher {
 public:
  virtual ~ReadWatcher() = default;
  // A key of the map at `path` was looked for; `missing`: it has to be there and is not.
  virtual void asked(const std::string& path, std::string_view key, bool missing) = 0;
  // Every key that has a meaning in the map at `path` was asked for.
  virtual void read_to_end(const std::string& path) = 0;
  // The value at `path` is read as this; bounds of numbers.
  virtual void read_as(const std::string& path, ValueKind kind, double min, double max) = 0;
  // It is one of these words, or `other` texts too.
  virtual void expects(const std::string& path, std::span<const std::string_view> words, bool other) = 0;
};

class Value {
 public:
  SourcePos pos() const;
  std::string path() const;  // "engine.block_size"
  bool is_null() const;
  bool is_scalar() const;
  bool is_list() const;
  bool is_map() const;

  std::string text() const;
  bool boolean() const;  // true or false, nothing else
  std::int64_t integer(std::int64_t min, std::int64_t max) const;
  double number(double min, double max) const;  // plain, without a unit
  Bytes size() const;                           // "80 GiB", "512 MB", "4096 B"
  BytesPerSecond bandwidth() const;             // "3.35 TB/s"
  FlopsPerSecond compute() const;               // "989 TFLOP/s"
  Seconds time() const;                         // "50 ms", "10 us", "1 h"
  double rate() const;                          // per second: "3/s", "90/min"
  Watts power() const;                          // "300 W"
  Dollars price_per_hour() const;               // "1.006 USD/h"

  // Tells a watcher which words are expected here; `other`: a file's name does as well. Checks nothing.
  void expects(std::span<const std::string_view> words, bool other = false) const;
  bool watched() const;

  std::vector<Value> items() const;                        // of a list
  Map map() const;                                         // of a map
  [[noreturn]] void fail(std::string_view message) const;  // "PATH: message" at this value's place

  struct Node;  // document.h
  explicit Value(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  const Node& node() const { return *node_; }

 private:
  std::shared_ptr<const Node> node_;
};

class Map {
 public:
  explicit Map(Value top);
  // Keys not found in the layers so far are looked up in `below`. Maps under equal keys are layered alike.
  Map over(const Value& below) const;

  bool has(std::string_view key) const;
  Value at(std::string_view key) const;  // error at the map's place when missing
  std::optional<Value> find(std::string_view key) const;
  Map map(std::string_view key) const;    // layered; an empty one when no layer has the key
  std::vector<std::string> keys() const;  // of all layers, in order of appearance, no doubles
  void done() const;                      // every key of every layer must have been asked for
  SourcePos pos() const;
  SourcePos key_pos(std::string_view key) const;  // where the key stands; the map's place when it has none
  [[noreturn]] void fail(std::string_view message) const;
  struct State;  // document.h
  const State& state() const { return *state_; }

 private:
  std::shared_ptr<State> state_;
};

Value load_yaml(const std::string& file);
// `watcher` outlives the value.
Value parse_yaml(std::string_view text, const std::string& name, ReadWatcher* watcher = nullptr);
// Any value, from a command line: all of it stands at `place`.
Value parse_value(std::string_view text, const SourcePos& place);
// Every scalar below a value by its path, in order of the file: {"engine.block_size", "16"}, {"tables[0].kind",
// "gemm"}.
std::vector<std::pair<std::string, std::string>> leaves_of(const Value& value);
// The map as YAML, layers merged, each line behind `indent` spaces; scalars at the dotted paths of `replaced` by
// others.
std::string text_of(const Map& map, int indent, const std::vector<std::pair<std::string, std::string>>& replaced = {});
// A layer that sets the value at a dotted path, "engine.block_size=32", to lie over a scenario. Its errors are placed
// at
// "--set engine.block_size=32".
Value override_layer(std::string_view assignment);
// The same for a value that was read from a file. Errors about the path are placed at `place`, those about the value
// where it stands.
Value override_layer(std::string_view path, const Value& value, const SourcePos& place);
// A value that is written nowhere, with the place and path of one that is.
Value scalar_value(const std::string& text, const Value& like);
// The value as YAML on one line.
std::string text_of(const Value& value);

}  // namespace headroom
