// What a YAML file holds, as a tree of our own, for the files behind reader.h only: they read and write it
// (yaml_text.cpp, the only door to yaml-cpp) and look things up in it (reader.cpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/config/reader.h"

namespace headroom {

struct Mark {  // from 1; 0: written nowhere
  int line = 0;
  int column = 0;
};

struct Entry;

struct Tree {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  Mark mark;
  bool flow = false;       // a list or map that was written in brackets
  bool path_step = false;  // a map that only leads to a value set by its path
  std::string scalar;
  std::vector<Tree> items;     // of a list
  std::vector<Entry> entries;  // of a map, in the order of the file; no key twice

  const Tree* find(std::string_view key) const;  // null when it is not there, or this is no map
};

struct Entry {
  std::string key;
  Mark mark;
  Tree value;
};

// Where trees come from: a file whose marks place each value, or one place for all that have no mark of their own.
struct Origin {
  SourcePos place;
  bool marks = true;  // false: not even those that have one
  ReadWatcher* watcher = nullptr;
};

// A value, where it comes from, and what it is called.
struct Value::Node {
  std::shared_ptr<const Tree> tree;  // keeps the whole document
  std::shared_ptr<const Origin> origin;
  std::string path;
  std::vector<Value> below;  // what a "--set a.b=..." leaves standing of a
};

struct Map::State {
  std::vector<Value> layers;
  std::vector<std::string> asked;  // every key somebody wanted
  std::string path;
};

SourcePos position(Mark mark, const Origin& origin);
Value make(std::shared_ptr<const Tree> tree, std::shared_ptr<const Origin> origin, std::string path);
Value make(Tree tree, Origin origin, std::string path);

}  // namespace headroom
