// Each format in small, the shipped traces by their known counts and means, and what is wrong is said with its place.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/workload/trace_files.h"

namespace headroom {
namespace {

struct Facts {
  std::size_t count;
  double prompt, output, last;
  bool has_arrivals;
};
Facts facts_of(TraceFormat format, const std::string& name) {
  const TraceContent trace = read_trace(TraceSpec{format, shipped(name), 512}, 0);
  Facts f{trace.workload.requests.size(), 0, 0, trace.workload.requests.back().arrival.count(), trace.has_arrivals};
  double before = 0;
  for (std::size_t i = 0; i < f.count; ++i) {
    const Request& r = trace.workload.requests[i];
    EXPECT_EQ(static_cast<std::size_t>(r.id), i);
    EXPECT_GE(r.arrival.count(), before);
    before = r.arrival.count();
    f.prompt += static_cast<double>(r.prompt_tokens) / static_cast<double>(f.count);
    f.output += static_cast<double>(r.output_tokens) / static_cast<double>(f.count);
  }
  EXPECT_EQ(trace.workload.requests.front().arrival.count(), 0);
  return f;
}

// Counts, means and spans as computed from the files by a separate program.
TEST(Traces, ShippedOnesHaveTheirCountsAndMeans) {
  struct {
    TraceFormat format;
    const char* name;
    Facts facts;
  } cases[] = {{TraceFormat::kAzure, "azure-conv-2023.csv.gz", {19366, 1154.70, 211.13, 3501.722, true}},
               {TraceFormat::kAzure, "azure-code-2023.csv.gz", {8819, 2047.85, 27.88, 3435.948, true}},
               {TraceFormat::kMooncake, "mooncake-conversation.csv.gz", {12031, 12035.06, 342.62, 3536.999, true}},
               {TraceFormat::kShareGpt, "sharegpt-1000.csv.gz", {1000, 233.09, 245.12, 0.000, false}},
               {TraceFormat::kCsv, "arxiv-summarization.csv.gz", {28257, 2588.08, 291.43, 0.000, false}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const Facts f = facts_of(c.format, c.name);
    EXPECT_EQ(f.count, c.facts.count);
    EXPECT_NEAR(f.prompt, c.facts.prompt, 0.01);
    EXPECT_NEAR(f.output, c.facts.output, 0.01);
    EXPECT_NEAR(f.last, c.facts.last, 0.01);
    EXPECT_EQ(f.has_arrivals, c.facts.has_arrivals);
  }
}

TEST(Traces, SegmentsOfMooncakeCoverThePrompt) {
  const Workload w = read_trace({TraceFormat::kMooncake, shipped("mooncake-conversation.csv.gz"), 512}, 0).workload;
  std::size_t shared = 0;
  for (const Request& r : w.requests) {
    std::int64_t covered = 0;
    for (const ContentSegment& s : w.content(r)) {
      EXPECT_GT(s.tokens, 0);
      covered += s.tokens;
    }
    EXPECT_LE(covered, r.prompt_tokens);
    EXPECT_GT(covered, r.prompt_tokens - 512);
    shared += w.content(r)[0] == w.content(w.requests[0])[0];
  }
  EXPECT_GT(shared, 10U) << "conversations begin alike";
}

// One line a request: arrival in ms, prompt, output, then id:tokens of its segments.
std::string told(const TraceContent& trace) {
  std::string text;
  for (const Request& r : trace.workload.requests) {
    text += trace.has_arrivals ? std::to_string(std::lround(r.arrival.count() * 1000)) : "-";
    text += " " + std::to_string(r.prompt_tokens) + " " + std::to_string(r.output_tokens);
    for (const ContentSegment& s : trace.workload.content(r))
      text += " " + std::to_string(s.id) + ":" + std::to_string(s.tokens);
    text += "\n";
  }
  return text;
}

TEST(Traces, EveryFormatInSmall) {
  using enum TraceFormat;
  struct {
    const char* what;
    TraceFormat format;
    std::string text, expected;
  } cases[] = {
      {"azure as published", kAzure,
       "TIMESTAMP,ContextTokens,GeneratedTokens\n"
       "2023-11-16 23:59:59.9799600,4808,10\n2023-11-17 00:00:00.0319600,3180,8\n",
       "0 4808 10\n52 3180 8\n"},
      {"azure with a byte order mark, carriage returns and no last newline", kAzure,
       "\xEF\xBB\xBFTIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03,1,2\r\n2023-11-16 18:17:04,3,4",
       "0 1 2\n1000 3 4\n"},
      {"azure in seconds", kAzure, "arrival_s,prompt_tokens,output_tokens\n10.5,3,4\n11,5,6\n", "0 3 4\n500 5 6\n"},
      {"burstgpt: failures are left out", kBurstGpt,
       "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
       "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,0,1087,Conversation log\n118,GPT-4,417,276,693,API "
       "log\n",
       "0 472 18\n113000 417 276\n"},
      {"mooncake as published: the last block covers what is left", kMooncake,
       "{\"timestamp\": 0, \"input_length\": 700, \"output_length\": 5, \"hash_ids\": [0, 1]}\n"
       "{\"timestamp\": 1500, \"input_length\": 512, \"output_length\": 7, \"hash_ids\": [0, 9]}\n",
       "0 700 5 1:512 2:188\n1500 512 7 1:512\n"},
      {"mooncake as CSV, fewer ids than blocks", kMooncake,
       "arrival_ms,prompt_tokens,output_tokens,prefix_block_ids\n0,1100,5,0 1\n1500,600,7,\n",
       "0 1100 5 1:512 2:512\n1500 600 7\n"},
      {"sharegpt: its index is no arrival", kShareGpt, "idx,prompt_tokens,output_tokens\n0,3,4\n1,5,6\n",
       "- 3 4\n- 5 6\n"},
      {"csv in any order", kCsv, "output_tokens,extra,prompt_tokens,arrival_ms\n3,x,10,0\n4,y,11,250\n",
       "0 10 3\n250 11 4\n"},
      {"csv, quoted and spaced", kCsv, "\"prompt_tokens\", \"output_tokens\"\n \"1\" , 2\n", "- 1 2\n"},
      {"csv out of order is sorted, equals keep theirs", kCsv,
       "arrival_s,prompt_tokens,output_tokens\n7,1,1\n5,2,2\n7,3,3\n6,4,4\n", "0 2 2\n1000 4 4\n2000 1 1\n2000 3 3\n"},
      {"azure out of order across a midnight", kAzure,
       "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-17 00:00:01,1,1\n2023-11-16 23:59:59,2,2\n",
       "0 2 2\n2000 1 1\n"},
      {"jsonl with empty lines", kJsonl,
       "\n{\"prompt_tokens\": 3, \"output_tokens\": 4}\n\n{\"prompt_tokens\": 5, \"output_tokens\": 6}\n",
       "- 3 4\n- 5 6\n"},
      {"jsonl with arrivals", kJsonl,
       "{\"arrival_s\": 2, \"prompt_tokens\": 3, \"output_tokens\": 4}\n"
       "{\"arrival_ms\": 2500, \"prompt_tokens\": 5, \"output_tokens\": 6}\n",
       "0 3 4\n500 5 6\n"},
  };
  for (const auto& c : cases) EXPECT_EQ(told(read(c.format, c.text)), c.expected) << c.what;
}

TEST(Traces, TheLimitCountsRequestsNotLines) {
  const std::string burst = "Timestamp,Request tokens,Response tokens\n1,2,0\n2,3,1\n3,4,0\n4,5,1\n5,6,1\n";
  EXPECT_EQ(told(read(TraceFormat::kBurstGpt, burst, 2)), "0 3 1\n2000 5 1\n");
  EXPECT_EQ(read(TraceFormat::kBurstGpt, burst, 4).workload.requests.size(), 3U);
  EXPECT_EQ(told(read(TraceFormat::kCsv, "prompt_tokens,output_tokens\n1,2\nbroken\n", 1)), "- 1 2\n");
}

TEST(Traces, WhatIsWrongIsSaidWithItsPlace) {
  using enum TraceFormat;
  const std::string lengths = "prompt_tokens,output_tokens\n", timed = "arrival_s,prompt_tokens,output_tokens\n";
  const std::string azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  const std::string moon = "arrival_ms,prompt_tokens,output_tokens,prefix_block_ids\n";
  const std::string whole = "expected a whole number of tokens, at least 1 and at most 2147483647";
  struct {
    TraceFormat format;
    std::string text, expected;  // the error, or how it begins
  } cases[] = {
      {kCsv, "", "error: the trace is empty"},
      {kCsv, "\n\n", "2:1: error: the trace is empty"},
      {kCsv, lengths, "1:1: error: no requests in the trace"},
      {kCsv, "prompt_tokens\n1\n", "1:1: error: no column 'output_tokens' in the header"},
      {kCsv, "a,output_tokens\n1,2\n", "1:1: error: no column 'prompt_tokens' in the header"},
      {kCsv, lengths + "1,2\nx,4\n", "3:1: error: prompt_tokens: 'x' is not a number"},
      {kCsv, lengths + "1,2\n\n3,\n", "4:1: error: output_tokens: '' is not a number"},
      {kCsv, lengths + "1,nan\n", "2:1: error: output_tokens: 'nan' is not a number"},
      {kCsv, lengths + "1,-2\n", "2:1: error: output_tokens: " + whole},
      {kCsv, lengths + "0,2\n", "2:1: error: prompt_tokens: " + whole},
      {kCsv, lengths + "1,0\n", "2:1: error: output_tokens: " + whole},
      {kCsv, lengths + "1.5,2\n", "2:1: error: prompt_tokens: " + whole},
      {kCsv, lengths + "1,2147483648\n", "2:1: error: output_tokens: " + whole},
      {kCsv, lengths + "1\n", "2:1: error: expected 2 columns, found 1"},
      {kCsv, lengths + "1,2,3\n", "2:1: error: expected 2 columns, found 3"},
      {kCsv, timed + "-1,1,1\n", "2:1: error: the arrival time is negative or above 1e11 s"},
      {kCsv, timed + "1e12,1,1\n", "2:1: error: the arrival time is negative or above 1e11 s"},
      {kCsv, lengths + std::string(2 << 20, '1') + "\n", "2:1: error: the line is longer than 1 MiB"},
      {kAzure, lengths + "1,2\n", "1:1: error: no column of arrival times in the header"},
      {kAzure, azure + "yesterday,1,2\n", "2:1: error: TIMESTAMP: 'yesterday' is no time"},
      {kAzure, azure + "2023-11-31 18:17:03,1,2\n", "2:1: error: TIMESTAMP: '2023-11-31 18:17:03' is no time"},
      {kMooncake, moon + "0,600,1,3 x\n", "2:1: error: prefix_block_ids: 'x' is not a block id"},
      {kMooncake, moon + "0,600,1,3 -4\n", "2:1: error: prefix_block_ids: '-4' is not a block id"},
      {kMooncake, "{\"input_length\": 3, \"output_length\": 4}\n", "1:1: error: no 'timestamp' in the object"},
      {kMooncake, "{\"timestamp\": 0, \"input_length\": 3, \"output_length\": 4, \"hash_ids\": [-1]}\n",
       "1:1: error: hash_ids: expected whole numbers from 0"},
      {kMooncake, "{\"timestamp\": 0, \"input_length\": 3, \"output_length\": 4, \"hash_ids\": 7}\n",
       "1:1: error: hash_ids: expected a list"},
      {kJsonl, "{\"prompt_tokens\": 3, \"output_tokens\": 4}\n{broken\n",
       "2:1: error: expected one JSON object a line"},
      {kJsonl, "{\"prompt_tokens\": 3}\n", "1:1: error: no 'output_tokens' in the object"},
      {kJsonl, "{\"prompt_tokens\": \"3\", \"output_tokens\": 4}\n", "1:1: error: prompt_tokens: expected a number"},
      {kJsonl, "{\"arrival_s\": -5, \"prompt_tokens\": 3, \"output_tokens\": 4}\n",
       "1:1: error: the arrival time is negative"},
      {kJsonl,
       "{\"arrival_s\": 1, \"prompt_tokens\": 3, \"output_tokens\": 4}\n{\"prompt_tokens\": 3, \"output_tokens\": 4}\n",
       "2:1: error: some requests have an arrival time and some have none"},
      {kJsonl, lengths + "1,2\n", "error: expected one JSON object a line"},
      {kCsv, "{\"prompt_tokens\": 3, \"output_tokens\": 4}\n", "error: the file holds JSON lines; expected CSV"},
  };
  for (const auto& c : cases) {
    const std::string error = error_of(c.format, c.text);
    EXPECT_EQ(error.substr(0, c.expected.size()), c.expected) << "all of it: " << error;
  }
}

TEST(Traces, QuotesOfAFileStayShortAndPrintable) {
  const std::string error =
      error_of(TraceFormat::kCsv, "prompt_tokens,output_tokens\n\x1b[31m" + std::string(500, 'z') + ",1\n");
  EXPECT_LT(error.size(), 150U);
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
}

TEST(Traces, FilesThatAreNone) {
  for (const std::string& path : {std::string("/nowhere/trace.csv"), ::testing::TempDir()})
    EXPECT_THROW(read_trace(TraceSpec{TraceFormat::kCsv, path, 512}, 0), WorkloadError) << path;
}

TEST(LengthColumn, IsReadByName) {
  const auto prompts = read_length_column(shipped("arxiv-summarization.csv.gz"), "prompt_tokens");
  EXPECT_EQ(prompts.size(), 28'257U);
  const TemporaryFile file("a,b\n1,2\n3,4\n");
  EXPECT_EQ(read_length_column(file.path(), "b"), (std::vector<std::int64_t>{2, 4}));
  EXPECT_THROW(read_length_column(file.path(), "c"), WorkloadError);
  const TemporaryFile short_row("a,b\n1\n");
  EXPECT_EQ(read_length_column(short_row.path(), "a"), std::vector<std::int64_t>{1});
  EXPECT_THROW(read_length_column(short_row.path(), "b"), WorkloadError);
  const TemporaryFile header_only("a,b\n");
  EXPECT_THROW(read_length_column(header_only.path(), "a"), WorkloadError);
}

}  // namespace
}  // namespace headroom
