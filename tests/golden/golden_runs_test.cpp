// Whole runs against their kept results, number by number (relative 1e-9), what depends on the machine left aside.
// HEADROOM_UPDATE_GOLDEN=1 writes them anew: in a commit of its own that says why the numbers moved.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
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

// Against the kept file, or into it.
void kept_or_same(const Json& now, const std::string& name) {
  const std::string file = std::string(HEADROOM_SOURCE_DIR "/tests/golden/runs/") + name + ".json";
  if (std::getenv("HEADROOM_UPDATE_GOLDEN") != nullptr) std::ofstream(file) << now.dump(1) << "\n";
  same(Json::parse(text_of_file(file)), now, name);
}

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
  kept_or_same(now, name);
}

// What every model of the catalogue takes on two large cards; of those that do not fit, what is said.
TEST(GoldenMemory, OfEveryModel) {
  Json now;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(HEADROOM_SOURCE_DIR "/configs/models"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    const std::string model = file.stem();
    const Said s = headroom("memory " HEADROOM_SOURCE_DIR "/tests/golden/memory.yaml --json --set model=" + model);
    if (s.code != 0) {
      now[model] = s.err.substr(s.err.find("error:"));
      continue;
    }
    now[model] = Json::parse(s.out);
    now[model].erase("scenario");
  }
  kept_or_same(now, "memory");
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
                                           std::pair{"corners", "../../tests/golden/corners.yaml"},
                                           std::pair{"costs", "../../tests/golden/costs.yaml"},
                                           std::pair{"intervals", "hello.yaml --set workload.requests=40 --intervals"}),
                         [](const auto& run) {
                           std::string plain = run.param.first;
                           std::erase(plain, '-');
                           return plain;
                         });

}  // namespace
}  // namespace headroom::testing
