// Facts, and the reader of a machine's file: GPUs, the links between them and to host, drives and other machines.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/config/catalogue.h"
#include "sim/config/facts.h"

namespace headroom {

Evidence evidence_of(const Value& value) {
  const std::string word = value.text();
  if (word == "measured") return Evidence::kMeasured;
  if (word == "fitted") return Evidence::kFitted;
  if (word == "datasheet") return Evidence::kDatasheet;
  const std::string_view known[] = {"measured", "fitted", "datasheet"};
  value.fail(fmt::format("no evidence '{}'{}", word, suggestion(word, known)));
}

Value fact(const Map& map, std::string_view key) {
  const Map entry = map.at(key).map();
  const Value value = entry.at("value");
  if (entry.at("source").text().empty()) entry.fail("an empty source");
  if (const auto evidence = entry.find("evidence")) evidence_of(*evidence);
  entry.done();
  return value;
}

namespace {

bool over_pcie(const Value& value) {
  const std::string_view known[] = {"nvlink", "pcie"};
  const std::string word = value.text();
  if (std::find(std::begin(known), std::end(known), word) == std::end(known))
    value.fail(fmt::format("no interconnect '{}'{}", word, suggestion(word, known)));
  return word == "pcie";
}

}  // namespace

NodeProfile read_node(const std::string& file) {
  const Map map = load_yaml(file).map();
  NodeProfile node;
  node.name = std::filesystem::path(file).stem().string();
  evidence_of(map.at("evidence"));
  map.at("source").text();
  node.gpus = fact(map, "gpus_per_node").integer(1, 1024);
  if (map.has("all_reduce_bandwidth"))
    node.all_reduce_bandwidth = positive(fact(map, "all_reduce_bandwidth"), &Value::bandwidth);
  if (map.has("all_gather_bandwidth"))
    node.all_gather_bandwidth = positive(fact(map, "all_gather_bandwidth"), &Value::bandwidth);
  if (map.has("collective_latency")) node.collective_latency = fact(map, "collective_latency").time();
  node.host_link = positive(fact(map, "host_link_bandwidth"), &Value::bandwidth);
  if (map.has("gpus_per_host_link")) node.gpus_per_uplink = fact(map, "gpus_per_host_link").integer(1, node.gpus);
  if (map.has("interconnect")) node.peers_over_pcie = over_pcie(fact(map, "interconnect"));
  if (map.has("nvme_bandwidth")) node.nvme = positive(fact(map, "nvme_bandwidth"), &Value::bandwidth);
  node.network_bandwidth = positive(fact(map, "network_bandwidth"), &Value::bandwidth);
  node.network_latency = fact(map, "network_latency").time();
  node.price_per_hour = fact(map, "price_per_hour").price_per_hour();
  map.done();
  return node;
}

}  // namespace headroom
