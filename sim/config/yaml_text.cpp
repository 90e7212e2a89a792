// From text to values and back: YAML parsed within limits, what a command line sets, and values written as YAML.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/config/document.h"

namespace headroom {
namespace {

constexpr std::size_t kMostBytes = 4 << 20;
constexpr std::size_t kMostDepth = 32;
constexpr std::size_t kMostNodes = 200'000;

constexpr std::string_view kTooDeep = "nested more than 32 levels deep";

// The first key that an earlier one equals; null when there is none.
const Entry* duplicate(const std::vector<Entry>& entries) {
  std::vector<const Entry*> sorted;
  for (const Entry& entry : entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const Entry* a, const Entry* b) { return std::tie(a->key, a) < std::tie(b->key, b); });
  const Entry* first = nullptr;
  for (std::size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i]->key == sorted[i - 1]->key && (first == nullptr || sorted[i] < first)) first = sorted[i];
  return first;
}

// Builds the tree of one document from the parser's events; refuses what a file may not hold as soon as it is seen.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const Origin& origin) : origin_(origin) {}
  Tree take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) fail(mark, "a second document; expected one");
  }
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fail(mark, "aliases are not supported; write the value out");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    check_value(mark);
    place(tree(Tree::Kind::kNull, mark));
  }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string& text) override {
    if (expects_key()) {
      open_.back().tree.entries.push_back({text, from_one(mark), {}});
      open_.back().has_key = true;
      return;
    }
    Tree scalar = tree(Tree::Kind::kScalar, mark);
    scalar.scalar = text;
    place(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value style) override {
    open(Tree::Kind::kList, mark, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value style) override {
    open(Tree::Kind::kMap, mark, style);
  }
  void OnMapEnd() override {
    if (const Entry* const twice = duplicate(open_.back().tree.entries))
      throw ConfigError(position(twice->mark, origin_), fmt::format("duplicate key '{}'", twice->key));
    close();
  }

 private:
  struct Open {
    Tree tree;
    bool has_key = false;  // of a map: the last entry waits for its value
  };

  static Mark from_one(const YAML::Mark& mark) {
    return mark.is_null() ? Mark{} : Mark{mark.line + 1, mark.column + 1};
  }
  [[noreturn]] void fail(const YAML::Mark& mark, std::string_view message) const {
    throw ConfigError(position(from_one(mark), origin_), message);
  }
  Tree tree(Tree::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kMostNodes) fail(mark, "more than 200000 values");
    Tree tree;
    tree.kind = kind;
    tree.mark = from_one(mark);
    return tree;
  }
  bool expects_key() const {
    return !open_.empty() && open_.back().tree.kind == Tree::Kind::kMap && !open_.back().has_key;
  }
  void check_value(const YAML::Mark& mark) const {
    if (expects_key()) fail(mark, "a key must be plain text");
  }
  void open(Tree::Kind kind, const YAML::Mark& mark, YAML::EmitterStyle::value style) {
    check_value(mark);
    if (open_.size() > kMostDepth) fail(mark, kTooDeep);
    open_.push_back({tree(kind, mark)});
    open_.back().tree.flow = style == YAML::EmitterStyle::Flow;
  }
  void close() {
    Tree whole = std::move(open_.back().tree);
    open_.pop_back();
    place(std::move(whole));
  }
  void place(Tree tree) {
    if (open_.empty()) {
      root_ = std::move(tree);
    } else if (Open& outer = open_.back(); outer.tree.kind == Tree::Kind::kList) {
      outer.tree.items.push_back(std::move(tree));
    } else {
      outer.tree.entries.back().value = std::move(tree);
      outer.has_key = false;
    }
  }

  const Origin& origin_;
  std::vector<Open> open_;
  Tree root_;
  int documents_ = 0;
  std::size_t nodes_ = 0;
};

Tree tree_of(std::string_view text, const Origin& origin) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  TreeBuilder builder(origin);
  while (parser.HandleNextDocument(builder)) {
  }
  return builder.take();
}

// yaml-cpp's parser recurses on nested flow brackets; refuse depth before it runs.
void check_brackets(std::string_view text, const std::string& name) {
  int line = 1;
  std::size_t depth = 0;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > 4 * kMostDepth) throw ConfigError({name, line, 1}, kTooDeep);
  }
}

bool indented_by_tab(std::string_view text, int line) {
  std::size_t from = 0;
  for (; line > 0 && from < text.size(); --line) from = std::min(text.find('\n', from), text.size() - 1) + 1;
  const std::size_t first = text.find_first_not_of(" \t", from);
  return text.substr(from, first == std::string_view::npos ? first : first - from).find('\t') != std::string_view::npos;
}

// Upper layers over lower ones; maps under equal keys merged alike.
Tree merged(const std::vector<const Tree*>& layers) {
  Tree all;
  all.kind = Tree::Kind::kMap;
  for (const Tree* const layer : layers)
    for (const Entry& entry : layer->entries) {
      if (all.find(entry.key) != nullptr) continue;
      if (entry.value.kind != Tree::Kind::kMap) {
        all.entries.push_back(entry);
        continue;
      }
      std::vector<const Tree*> parts;
      for (const Tree* const other : layers) {
        const Tree* const part = other->find(entry.key);
        if (part == nullptr || part->kind != Tree::Kind::kMap) continue;
        parts.push_back(part);
        if (!part->path_step) break;
      }
      all.entries.push_back({entry.key, entry.mark, merged(parts)});
    }
  return all;
}

// The value at a dotted path; begun where there is none.
Tree& at_path(Tree& tree, std::string_view path) {
  const std::size_t dot = std::min(path.find('.'), path.size());
  const std::string_view key = path.substr(0, dot);
  auto entry = std::find_if(tree.entries.begin(), tree.entries.end(), [&](const Entry& e) { return e.key == key; });
  if (entry == tree.entries.end()) {
    tree.kind = Tree::Kind::kMap;
    entry = tree.entries.insert(entry, {std::string(key), {}, {}});
  }
  return dot == path.size() ? entry->value : at_path(entry->value, path.substr(dot + 1));
}

void emit(YAML::Emitter& out, const Tree& tree) {
  switch (tree.kind) {
    case Tree::Kind::kNull:
      out << YAML::Null;
      return;
    case Tree::Kind::kScalar:
      out << tree.scalar;
      return;
    case Tree::Kind::kList:
      if (tree.flow) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const Tree& item : tree.items) emit(out, item);
      out << YAML::EndSeq;
      return;
    case Tree::Kind::kMap:
      if (tree.flow) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const Entry& entry : tree.entries) {
        out << YAML::Key << entry.key << YAML::Value;
        emit(out, entry.value);
      }
      out << YAML::EndMap;
      return;
  }
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
  std::vector<const Tree*> layers;
  for (const Value& layer : map.state().layers) layers.push_back(layer.node().tree.get());
  Tree all = merged(layers);
  for (const auto& [path, text] : replaced) {
    Tree& tree = at_path(all, path);
    tree = Tree{};
    tree.kind = Tree::Kind::kScalar;
    tree.scalar = text;
  }
  YAML::Emitter out;
  emit(out, all);
  std::istringstream lines(out.c_str());
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
    Tree root = tree_of(text, origin);
    if (root.kind != Tree::Kind::kMap) throw ConfigError({name, 1, 1}, "expected a map of keys and values");
    return make(std::move(root), origin, "");
  } catch (const YAML::Exception& error) {
    const Mark mark{error.mark.line + 1, error.mark.column + 1};
    throw ConfigError(
        position(error.mark.is_null() ? Mark{} : mark, origin),
        indented_by_tab(text, error.mark.line) ? "a tab indents this line; expected spaces" : "not YAML: " + error.msg);
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

// `tree` at a dotted path, from the last name of the path outwards.
Value layer_at(std::string_view path, Tree tree, const Origin& origin) {
  for (;;) {
    const std::size_t dot = path.rfind('.');
    std::string key(dot == std::string_view::npos ? path : path.substr(dot + 1));
    if (key.empty()) throw ConfigError(origin.place, "an empty name in the path");
    Tree outer;
    outer.kind = Tree::Kind::kMap;
    outer.path_step = true;
    outer.entries.push_back({std::move(key), {}, std::move(tree)});
    tree = std::move(outer);
    if (dot == std::string_view::npos) break;
    path = path.substr(0, dot);
  }
  return make(std::move(tree), origin, "");
}

}  // namespace

Value parse_value(std::string_view text, const SourcePos& place) {
  const Origin origin{place, false};
  try {
    return make(tree_of(text, origin), origin, "");
  } catch (const YAML::Exception& error) {
    throw ConfigError(place, error.msg);
  }
}

Value override_layer(std::string_view assignment) {
  const SourcePos place{fmt::format("--set {}", assignment), 0, 0};
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) throw ConfigError(place, "expected path.to.key=value");
  const Value value = parse_value(assignment.substr(equals + 1), place);
  return layer_at(assignment.substr(0, equals), *value.node().tree, *value.node().origin);
}

Value override_layer(std::string_view path, const Value& value, const SourcePos& place) {
  return layer_at(path, *value.node().tree, Origin{place, value.node().origin->marks});
}

Value scalar_value(const std::string& text, const Value& like) {
  Tree tree;
  tree.kind = Tree::Kind::kScalar;
  tree.scalar = text;
  return make(std::move(tree), Origin{like.pos()}, like.path());
}

std::string text_of(const Value& value) {
  YAML::Emitter out;
  out.SetMapFormat(YAML::Flow);
  out.SetSeqFormat(YAML::Flow);
  emit(out, *value.node().tree);
  return out.c_str();
}

}  // namespace headroom
