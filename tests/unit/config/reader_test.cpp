#include "sim/config/reader.h"

#include <gtest/gtest.h>

#include "sim/workload/random.h"

namespace headroom {
namespace {

std::string error_of(auto action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Reader, LayersLookUpwardsFirst) {
  const Map map =
      parse_yaml("a: 1\nm: {x: 1}\n", "top").map().over(parse_yaml("a: 2\nb: 3\nm: {x: 9, y: 4}\n", "below"));
  EXPECT_EQ(map.at("a").integer(0, 9), 1);
  EXPECT_EQ(map.at("b").integer(0, 9), 3);
  EXPECT_EQ(map.map("m").at("x").integer(0, 9), 1);
  EXPECT_EQ(map.map("m").at("y").integer(0, 9), 4);
}

TEST(Reader, DoneRejectsWhatNobodyAskedFor) {
  const Map map = parse_yaml("known: 1\nknwon: 2\n", "f.yaml").map();
  map.at("known");
  EXPECT_EQ(error_of([&] { map.done(); }), "f.yaml:2:1: error: unknown key 'knwon'; did you mean 'known'?");
}

TEST(Reader, APathMergesAndAWholeValueReplaces) {
  const Value scenario = parse_yaml("w: {law: {kind: normal, mean: 5, cv: 1}}\n", "s.yaml");
  const Map path = override_layer("w.law.mean=7").map().over(scenario);
  const Map law = path.map("w").at("law").map();
  EXPECT_EQ(law.at("mean").integer(0, 9), 7);
  EXPECT_EQ(law.at("kind").text(), "normal");
  const Map whole = override_layer("w.law={kind: fixed}").map().over(scenario);
  EXPECT_FALSE(whole.map("w").at("law").map().has("mean"));
}

TEST(Reader, NumbersAreReadHereNotByYaml) {
  const Map map = parse_yaml("octal: 010\nno: no\n", "f").map();
  EXPECT_EQ(map.at("octal").integer(0, 100), 10);
  EXPECT_NE(error_of([&] { (void)map.at("no").boolean(); }), "");
}

TEST(Reader, AnyBytesEndInAValueOrAnError) {
  Random random(1, "bytes");
  const std::string seed_text = "model: llama\nengine: {preset: x, list: [1, 2, {a: b}]}\nworkload:\n  requests: 10\n";
  int errors = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = seed_text;
    for (std::uint64_t k = 1 + random.below(8); k > 0; --k) {
      const std::size_t at = random.below(text.size());
      if (random.uniform() < 0.5)
        text[at] = static_cast<char>(random.below(256));
      else
        text.insert(at, 1, "{}[]:,-&*!|>'\"\n\t#%@`"[random.below(21)]);
    }
    errors += !error_of([&] { (void)parse_yaml(text, "f"); }).empty();
  }
  EXPECT_GT(errors, 500);
}

}  // namespace
}  // namespace headroom
