// Whole runs against their kept results, number by number (relative 1e-9), what depends on the machine left aside.
// HEADROOM_UPDATE_GOLDEN=1 writes them anew: in a commit of its own that says why the numbers moved.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

using Json = nlohmann::ordered_json;

void same(const Json& a, const Json& b, const std::string& path) {
  if (a.is_number() && b.is_number()) {
    const double x = a, y = b;
    EXPECT_LE(std::abs(x - y), 1e-9 * std::max(std::abs(x), std::abs(y))) << path << ": " << x << " and " << y;
    return;
  }
  ASSERT_EQ(a.type(), b.type()) << path;
  if (a.is_object()) {
    ASSERT_EQ(a.size(), b.size()) << path;
    for (const auto& [key, value] : a.items()) {
      ASSERT_TRUE(b.contains(key)) << path << "." << key;
      same(value, b[key], path + "." + key);
    }
    return;
  }
  EXPECT_EQ(a, b) << path;
}

void strip(Json& run) {
  run.erase("simulator");
  run["scenario"].erase("sha256");  // of every config it rests on; the numbers say what matters
}

class Golden : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Golden, RunGivesTheKeptNumbers) {
  const auto [name, arguments] = GetParam();
  const Said s =
      headroom(std::string("run " HEADROOM_SOURCE_DIR "/configs/scenarios/") + arguments + " --json --quiet");
  ASSERT_EQ(s.code, 0) << s.err;
  Json now = Json::parse(s.out);
  if (now.contains("simulator")) {
    strip(now);
  } else {
    for (auto& [variant, run] : now.items()) strip(run);
  }
  const std::string file = std::string(HEADROOM_SOURCE_DIR "/tests/golden/runs/") + name + ".json";
  if (std::getenv("HEADROOM_UPDATE_GOLDEN") != nullptr) std::ofstream(file) << now.dump(1) << "\n";
  same(Json::parse(text_of_file(file)), now, name);
}

INSTANTIATE_TEST_SUITE_P(Runs, Golden,
                         ::testing::Values(std::pair{"hello", "hello.yaml"},
                                           std::pair{"engines", "engines-compared.yaml --set workload.requests=60"},
                                           std::pair{"waste-paged", "waste-paged.yaml --set workload.requests=200"},
                                           std::pair{"mooncake", "prefix-mooncake.yaml --set workload.requests=300"},
                                           std::pair{"samples", "samples-cow.yaml --set workload.requests=40"},
                                           std::pair{"swapped",
                                                     "samples-cow.yaml --set workload.requests=40 --set "
                                                     "workload.arrivals.rate=4/s --set engine.max_num_seqs=18 --set "
                                                     "engine.num_gpu_blocks_override=180 --set 'engine.swap_space=800 "
                                                     "MiB'"},
                                           std::pair{"corners", "../../tests/golden/corners.yaml"}),
                         [](const auto& run) {
                           std::string plain = run.param.first;
                           std::erase(plain, '-');
                           return plain;
                         });

}  // namespace
}  // namespace headroom::testing
