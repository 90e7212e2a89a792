#include "sim/output/scenario_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "sim/config/quantity.h"
#include "sim/config/scenario_parts.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Dimension> dimension_of(ValueKind kind) {
  switch (kind) {
    case ValueKind::kSize:
      return Dimension::kSize;
    case ValueKind::kBandwidth:
      return Dimension::kBandwidth;
    case ValueKind::kCompute:
      return Dimension::kCompute;
    case ValueKind::kTime:
      return Dimension::kTime;
    case ValueKind::kRate:
      return Dimension::kRate;
    case ValueKind::kPower:
      return Dimension::kPower;
    case ValueKind::kPrice:
      return Dimension::kPricePerHour;
    default:
      return std::nullopt;
  }
}

Json quantity(Dimension dimension) {
  std::string units;
  for (const std::string_view unit : units_of(dimension))
    units += std::string(units.empty() ? "" : "|") + std::string(unit);
  return {{"type", "string"},
          {"pattern", fmt::format("^[+]?[0-9.]+([eE][-+]?[0-9]+)? *({})$", units)},
          {"examples", {std::string(example_of(dimension))}}};
}

// A word that YAML takes for a number or a truth is one in the schema as well.
void add_word(Json& words, const std::string& word) {
  words.push_back(word);
  if (const auto number = parse_number(word)) words.push_back(static_cast<std::int64_t>(*number));
}

Json of_kind(const ScenarioKey& key, ValueKind kind) {
  if (const auto dimension = dimension_of(kind)) return quantity(*dimension);
  switch (kind) {
    case ValueKind::kBoolean:
      return {{"type", "boolean"}};
    case ValueKind::kInteger:
      return {{"type", "integer"},
              {"minimum", static_cast<std::int64_t>(key.min)},
              {"maximum", static_cast<std::int64_t>(key.max)}};
    case ValueKind::kNumber:
      return {{"type", "number"}, {"minimum", key.min}, {"maximum", key.max}};
    case ValueKind::kList:
      return {{"type", "array"}};
    case ValueKind::kMap:
      return {{"type", "object"}, {"additionalProperties", false}, {"properties", Json::object()}};
    default:
      break;
  }
  if (key.words.empty()) return {{"type", {"string", "number", "boolean"}}};
  Json words = Json::array();
  for (const std::string& word : key.words) add_word(words, word);
  if (!key.other_words) return {{"enum", words}};
  return {{"anyOf", {{{"enum", words}}, {{"type", "string"}}}}};
}

Json of_key(const ScenarioKey& key) {
  Json out = Json::object();
  if (key.kinds.size() == 1) {
    out = of_kind(key, key.kinds.front());
  } else if (!key.kinds.empty()) {
    for (const ValueKind kind : key.kinds) out["anyOf"].push_back(of_kind(key, kind));
  }
  if (!key.only_with.empty()) out["description"] = fmt::format("only with {}", fmt::join(key.only_with, ", "));
  return out;
}

// The "properties" that hold what is below the map at `path`; null when there is no such map.
Json* properties_at(Json& root, std::string_view path) {
  Json* properties = &root["properties"];
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    const std::string name(path.substr(0, dot));
    path.remove_prefix(std::min(path.size(), dot + 1));
    if (!properties->contains(name)) return nullptr;
    Json* value = &(*properties)[name];
    if (value->contains("anyOf"))
      for (Json& part : (*value)["anyOf"])
        if (part.contains("properties")) value = &part;
    if (!value->contains("properties")) return nullptr;
    properties = &(*value)["properties"];
  }
  return properties;
}

}  // namespace

std::string scenario_schema(std::span<const ScenarioKey> keys) {
  Json root;
  root["$schema"] = "http://json-schema.org/draft-07/schema#";
  root["title"] = "Headroom scenario";
  root["type"] = "object";
  root["additionalProperties"] = false;
  root["required"] = {"workload"};
  root["properties"] = Json::object();
  for (const ScenarioKey& key : keys) {
    const std::size_t dot = key.path.rfind('.');
    Json* properties = properties_at(root, dot == std::string::npos ? "" : std::string_view(key.path).substr(0, dot));
    if (properties != nullptr) (*properties)[key.path.substr(dot == std::string::npos ? 0 : dot + 1)] = of_key(key);
  }
  Json variant = {{"type", "object"}, {"additionalProperties", false}, {"properties", root["properties"]}};
  for (const std::string_view key : kNotInVariants) variant["properties"].erase(std::string(key));
  root["properties"]["variants"] = {{"type", "object"},
                                    {"description", "the same requests under each"},
                                    {"additionalProperties", {{"$ref", "#/definitions/variant"}}}};
  root["definitions"]["variant"] = variant;
  return root.dump(1) + "\n";
}

}  // namespace headroom
