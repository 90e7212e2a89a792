// Any bytes end in requests or in a WorkloadError: noise, real files cut off or damaged, JSON of any depth.
#include <gtest/gtest.h>

#include <vector>

#include "sim/workload/random.h"
#include "tests/unit/workload/trace_files.h"

namespace headroom {
namespace {

// 1 if the bytes were refused, 0 if they gave requests, which must then be sound.
int refused(TraceFormat format, const std::string& bytes) {
  try {
    const TraceContent trace = read(format, bytes);
    EXPECT_FALSE(trace.workload.requests.empty());
    for (const Request& r : trace.workload.requests) {
      EXPECT_GT(r.prompt_tokens, 0);
      EXPECT_GT(r.output_tokens, 0);
      EXPECT_GE(r.arrival.count(), 0);
      EXPECT_LE(r.first_segment + r.num_segments, trace.workload.segments.size());
    }
  } catch (const WorkloadError&) {
    return 1;
  }
  return 0;
}

std::string damaged(std::string bytes, Random& random) {
  for (std::uint64_t k = random.below(6); k > 0; --k)
    bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
  return bytes;
}

TEST(TraceDamage, NoiseIsRefused) {
  Random random(11, "noise");
  for (int i = 0; i < 600; ++i) {
    std::string bytes(1 + random.below(400), '\0');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    if (i % 2 == 1) bytes = "prompt_tokens,output_tokens\n" + bytes;
    if (i % 4 >= 2) bytes = "\x1f\x8b\x08" + bytes;
    EXPECT_EQ(refused(static_cast<TraceFormat>(random.below(6)), bytes), 1) << i;
  }
}

TEST(TraceDamage, SmallTextsWithWrongBytesEndOneWayOrTheOther) {
  struct {
    TraceFormat format;
    std::string text;
  } texts[] = {
      {TraceFormat::kCsv, "arrival_s,prompt_tokens,output_tokens\n0.0,12,3\n1.5,9,44\n2.25,100,1\n"},
      {TraceFormat::kAzure, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n"},
      {TraceFormat::kBurstGpt, "Timestamp,Request tokens,Response tokens\n1,2,0\n2,3,1\n"},
      {TraceFormat::kMooncake, "arrival_ms,prompt_tokens,output_tokens,prefix_block_ids\n0,1100,5,0 1 2\n"},
      {TraceFormat::kMooncake,
       "{\"timestamp\": 0, \"input_length\": 700, \"output_length\": 5, \"hash_ids\": [0, 1]}\n"},
      {TraceFormat::kJsonl, "{\"prompt_tokens\": 3, \"output_tokens\": 4}\n"},
  };
  Random random(12, "wrong bytes");
  for (const auto& t : texts) {
    EXPECT_EQ(refused(t.format, t.text), 0) << t.text;
    int errors = 0;
    for (int i = 0; i < 400; ++i) errors += refused(t.format, damaged(t.text, random));
    EXPECT_GT(errors, 100) << t.text;
    EXPECT_LT(errors, 400) << t.text;  // the harness reaches beyond the first check
    for (std::size_t n = 0; n < t.text.size(); ++n) refused(t.format, t.text.substr(0, n));
  }
}

TEST(TraceDamage, ShippedFilesCutOffOrDamaged) {
  Random random(13, "shipped");
  for (const char* name : {"sharegpt-1000.csv.gz", "azure-code-2023.csv.gz"}) {
    const std::string whole = bytes_of(shipped(name));
    EXPECT_EQ(refused(TraceFormat::kCsv, whole), 0) << name;
    for (const std::size_t keep : {whole.size() - 1, whole.size() - 8, whole.size() / 2, std::size_t{20}})
      EXPECT_EQ(refused(TraceFormat::kCsv, whole.substr(0, keep)), 1) << name << " cut to " << keep;
    for (int i = 0; i < 100; ++i) {
      std::string bytes = whole;
      bytes[20 + random.below(bytes.size() - 20)] ^= static_cast<char>(1 + random.below(255));
      EXPECT_EQ(refused(TraceFormat::kCsv, bytes), 1) << name << ": gzip's checksum sees any changed byte";
    }
  }
}

TEST(TraceDamage, DeepOrHugeJsonIsRefused) {
  const std::string request = "\"prompt_tokens\": 3, \"output_tokens\": 4";
  EXPECT_EQ(refused(TraceFormat::kJsonl, "{" + request + ", \"x\": " + std::string(200'000, '[') + "\n"), 1);
  EXPECT_EQ(refused(TraceFormat::kJsonl,
                    "{" + request + ", \"x\": " + std::string(200'000, '[') + std::string(200'000, ']') + "}\n"),
            0);
  EXPECT_EQ(refused(TraceFormat::kJsonl, "{" + request + ", \"arrival_s\": 1e999}\n"), 1);
  EXPECT_EQ(
      refused(TraceFormat::kMooncake,
              "{\"timestamp\": 0, \"input_length\": 3, \"output_length\": 4, \"hash_ids\": [18446744073709551615]}\n"),
      1);
}

}  // namespace
}  // namespace headroom
