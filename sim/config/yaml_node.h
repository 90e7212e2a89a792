// A value's YAML node, for the files behind reader.h only: nobody else sees yaml-cpp.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <vector>

#include "sim/config/reader.h"

namespace headroom {

// Where nodes come from: a file whose marks place each of them, or one place for all that have no mark of their own.
struct Origin {
  SourcePos place;
  bool marks = true;  // false: not even those that have one
  ReadWatcher* watcher = nullptr;
};

// A node, where it stands, and what it is called.
struct Value::Node {
  YAML::Node yaml;
  Origin origin;
  std::string path;
  std::vector<Value> below;  // what a "--set a.b=..." leaves standing of a
};

struct Map::State {
  std::vector<Value> layers;
  std::vector<std::string> asked;  // every key somebody wanted
  std::string path;
};

inline constexpr const char* kPathStep = "!path-step";  // a map that only leads to a value set by its path

SourcePos position(const YAML::Mark& mark, const Origin& origin);
Value make(const YAML::Node& yaml, const Origin& origin, std::string path);

}  // namespace headroom
