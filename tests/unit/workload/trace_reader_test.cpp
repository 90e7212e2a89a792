// Shipped traces by their known counts and means, each format in small, and any damage ends in an error with a place.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/workload/random.h"
#include "sim/workload/trace_reader.h"

namespace headroom {
namespace {

std::string shipped(const std::string& name) { return HEADROOM_SOURCE_DIR "/configs/traces/" + name; }

std::string written(const std::string& text) {
  const std::string path = ::testing::TempDir() + "trace_" + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

TraceContent read(TraceFormat format, const std::string& text, std::int64_t limit = 0) {
  return read_trace(TraceSpec{format, written(text), 512}, limit);
}
std::string error_of(TraceFormat format, const std::string& text) {
  try {
    read(format, text);
  } catch (const WorkloadError& error) {
    std::string what = error.what();
    return what.substr(what.find("trace_"));
  }
  return "no error";
}

struct Means {
  std::size_t count;
  double prompt, output;
};
Means means(const Workload& w) {
  Means m{w.requests.size(), 0, 0};
  for (const Request& r : w.requests) {
    m.prompt += static_cast<double>(r.prompt_tokens) / static_cast<double>(m.count);
    m.output += static_cast<double>(r.output_tokens) / static_cast<double>(m.count);
  }
  return m;
}

TEST(Traces, ShippedOnesHaveTheirCounts) {
  const TraceContent conv = read_trace({TraceFormat::kAzure, shipped("azure-conv-2023.csv.gz"), 512}, 0);
  EXPECT_TRUE(conv.has_arrivals);
  const Means a = means(conv.workload);
  EXPECT_EQ(a.count, 19'366U);
  EXPECT_NEAR(a.prompt, 1154.7, 1);
  EXPECT_NEAR(a.output, 211.1, 1);
  EXPECT_EQ(conv.workload.requests.front().arrival.count(), 0);
  const Means code = means(read_trace({TraceFormat::kAzure, shipped("azure-code-2023.csv.gz"), 512}, 0).workload);
  EXPECT_EQ(code.count, 8'819U);
  EXPECT_NEAR(code.prompt, 2047.8, 2);
  const TraceContent mooncake = read_trace({TraceFormat::kMooncake, shipped("mooncake-conversation.csv.gz"), 512}, 0);
  const Means m = means(mooncake.workload);
  EXPECT_EQ(m.count, 12'031U);
  EXPECT_NEAR(m.prompt, 12'035, 40);
  EXPECT_GT(mooncake.workload.segments.size(), 12'031U * 10);
  EXPECT_FALSE(read_trace({TraceFormat::kShareGpt, shipped("sharegpt-1000.csv.gz"), 512}, 0).has_arrivals);
}

TEST(Traces, SegmentsOfMooncakeCoverThePrompt) {
  const Workload w = read_trace({TraceFormat::kMooncake, shipped("mooncake-conversation.csv.gz"), 512}, 500).workload;
  for (const Request& r : w.requests) {
    std::int64_t covered = 0;
    for (const ContentSegment& s : w.content(r)) covered += s.tokens;
    EXPECT_LE(covered, r.prompt_tokens);
    EXPECT_GT(covered, r.prompt_tokens - 512);
  }
}

TEST(Traces, EveryFormatInSmall) {
  const TraceContent azure = read(TraceFormat::kAzure, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n");
  ASSERT_EQ(azure.workload.requests.size(), 2U);
  EXPECT_NEAR(azure.workload.requests[1].arrival.count(), 0.052, 1e-6);
  const TraceContent burst = read(TraceFormat::kBurstGpt, "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,0,1087,Conversation log\n118,GPT-4,417,276,693,API log\n");
  ASSERT_EQ(burst.workload.requests.size(), 2U) << "rows without a response are failures";
  EXPECT_EQ(burst.workload.requests[1].arrival.count(), 113);
  const TraceContent moon = read(TraceFormat::kMooncake, "{\"timestamp\": 0, \"input_length\": 700, \"output_length\": 5, \"hash_ids\": [0, 1]}\n{\"timestamp\": 1500, \"input_length\": 600, \"output_length\": 7, \"hash_ids\": [0, 9]}\n");
  ASSERT_EQ(moon.workload.requests.size(), 2U);
  EXPECT_EQ(moon.workload.requests[1].arrival.count(), 1.5);
  EXPECT_EQ(moon.workload.content(moon.workload.requests[0])[0], moon.workload.content(moon.workload.requests[1])[0]);
  EXPECT_NE(moon.workload.content(moon.workload.requests[0])[1], moon.workload.content(moon.workload.requests[1])[1]);
  const TraceContent csv = read(TraceFormat::kCsv, "output_tokens,extra,prompt_tokens,arrival_ms\n3,x,10,0\n4,y,11,250\n");
  EXPECT_TRUE(csv.has_arrivals);
  EXPECT_EQ(csv.workload.requests[1].arrival.count(), 0.25);
  EXPECT_EQ(csv.workload.requests[1].prompt_tokens, 11);
  const TraceContent jsonl = read(TraceFormat::kJsonl, "{\"prompt_tokens\": 3, \"output_tokens\": 4}\n\n{\"prompt_tokens\": 5, \"output_tokens\": 6}\n");
  EXPECT_FALSE(jsonl.has_arrivals);
  EXPECT_EQ(jsonl.workload.requests[1].output_tokens, 6);
  EXPECT_EQ(read(TraceFormat::kCsv, "prompt_tokens,output_tokens\n1,2\n3,4\n5,6\n", 2).workload.requests.size(), 2U);
}

TEST(Traces, WhatIsWrongIsSaidWithItsPlace) {
  const auto mentions = [](const std::string& text, std::initializer_list<const char*> words) {
    for (const char* word : words) EXPECT_NE(text.find(word), std::string::npos) << text << " lacks " << word;
  };
  mentions(error_of(TraceFormat::kCsv, ""), {"error"});
  mentions(error_of(TraceFormat::kCsv, "prompt_tokens\n1\n"), {"output_tokens"});
  mentions(error_of(TraceFormat::kCsv, "prompt_tokens,output_tokens\n1,2\nx,4\n"), {":3", "x"});
  mentions(error_of(TraceFormat::kCsv, "prompt_tokens,output_tokens\n1,-2\n"), {":2"});
  mentions(error_of(TraceFormat::kCsv, "prompt_tokens,output_tokens\n1\n"), {":2"});
  mentions(error_of(TraceFormat::kCsv, "prompt_tokens,output_tokens\n1,99999999999999999999\n"), {":2"});
  mentions(error_of(TraceFormat::kJsonl, "{\"prompt_tokens\": 3, \"output_tokens\": 4}\n{broken\n"), {":2"});
  mentions(error_of(TraceFormat::kAzure, "TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2\n"), {":2", "yesterday"});
}

std::string bytes_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Traces, ATruncatedGzipIsAnError) {
  const std::string whole = bytes_of_file(shipped("sharegpt-1000.csv.gz"));
  EXPECT_NE(error_of(TraceFormat::kShareGpt, whole.substr(0, whole.size() / 2)), "no error");
  EXPECT_EQ(error_of(TraceFormat::kShareGpt, whole), "no error");
}

TEST(Traces, AnyBytesEndInRequestsOrInAnError) {
  const std::string real = bytes_of_file(shipped("sharegpt-1000.csv.gz"));
  const std::string text = "arrival_s,prompt_tokens,output_tokens\n0.0,12,3\n1.5,9,44\n2.25,100,1\n";
  Random random(11, "damage");
  int errors = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string bytes = i % 3 == 0 ? real.substr(0, 1 + random.below(real.size())) : text;
    if (i % 3 == 2) {
      bytes.assign(1 + random.below(300), '\0');
      for (char& c : bytes) c = static_cast<char>(random.below(256));
    }
    for (std::uint64_t k = random.below(6); k > 0; --k) bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    const TraceFormat format = static_cast<TraceFormat>(random.below(6));
    try {
      for (const Request& r : read(format, bytes).workload.requests) {
        ASSERT_GT(r.prompt_tokens, 0);
        ASSERT_GT(r.output_tokens, 0);
      }
    } catch (const WorkloadError&) {
      ++errors;
    }
  }
  EXPECT_GT(errors, 800);
}

}  // namespace
}  // namespace headroom
