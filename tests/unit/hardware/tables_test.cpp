// What measured tables say of kernels they do not hold, where they are corrected, and files that are damaged.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <vector>

#include "models/kernel_time.h"
#include "models/step_time.h"
#include "models/unequal_contexts.h"
#include "sim/config/catalogue.h"
#include "sim/config/kernel_tables.h"
#include "sim/workload/text_file.h"

namespace headroom {
namespace {

HardwareProfile card(const std::string& name) {
  return read_hardware(HEADROOM_SOURCE_DIR "/configs/hardware/" + name + ".yaml");
}

ForwardOptions bf16() {
  ForwardOptions options;
  options.activation_dtype = options.kv_dtype = DType::kBfloat16;
  return options;
}

AttentionOp attention(std::int64_t q_heads, std::int64_t kv_heads) {
  AttentionOp op;
  op.layers = 1;
  op.q_heads = q_heads;
  op.kv_heads = kv_heads;
  op.head_dim = 128;
  op.kv_bytes_per_token_layer = 2.0 * static_cast<double>(kv_heads) * 128 * 2;
  op.flops_per_query_key = 4.0 * static_cast<double>(q_heads) * 128;
  return op;
}

template <class Points>
ForwardOps attention_of(const Points& points) {
  ForwardOps ops;
  std::set<std::pair<std::int64_t, std::int64_t>> heads;
  for (const auto& p : points)
    if (heads.emplace(p.q_heads, p.kv_heads).second) ops.attention.push_back(attention(p.q_heads, p.kv_heads));
  return ops;
}

double decode_time(const KernelModel& m, const AttentionOp& op, std::int64_t batch, std::int64_t context) {
  const LinearPiece piece = m.decode_attention(op, batch, 1, batch * context, 0, Seconds{3e-6});
  return piece.at_zero.count() + piece.per_token * static_cast<double>(batch * context);
}

double prefill_time(const KernelModel& m, const AttentionOp& op, std::int64_t q, std::int64_t past) {
  return m.prefill_attention(op, q, past, 1, Seconds{3e-6}).time.count();
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

// Takes every third point out of a table.
template <class Point>
std::vector<Point> hold_out(std::vector<Point>& points) {
  std::vector<Point> held;
  int i = 0;
  std::erase_if(points, [&](const Point& p) {
    if (i++ % 3 != 1) return false;
    held.push_back(p);
    return true;
  });
  return held;
}

// A card with one attention table of one curve, 8 query and 8 KV heads: 4,096 B of KV a token.
HardwareProfile with_decode_curve(std::vector<std::pair<std::int64_t, double>> microseconds) {
  HardwareProfile p;
  p.num_sms = 8;
  p.memory_bandwidth = BytesPerSecond{1e12};
  p.peak.fill(FlopsPerSecond{1e15});
  DecodeAttentionTable table;
  table.source.evidence = Evidence::kMeasured;
  for (const auto& [context, us] : microseconds) table.points.push_back({128, 8, 8, 1, context, Seconds{us * 1e-6}});
  p.decode_attention_tables.push_back(table);
  return p;
}

ForwardOps one_attention() {
  ForwardOps ops;
  ops.attention.push_back(attention(8, 8));
  return ops;
}

TEST(Tables, ProductsOfUnseenShapesAndRows) {
  struct {
    const char* card;
    double shapes, rows;  // bounds of the median relative error: reached ones are 0.04 to 0.07
  } cases[] = {{"h100-sxm", 0.08, 0.06}, {"h200-sxm", 0.09, 0.06}, {"a100-80gb", 0.06, 0.07}, {"l40s", 0.08, 0.09},
               {"rtx-4090", 0.08, 0.02}, {"a6000", 0.08, 0.02},    {"rtx-3090", 0.09, 0.02}};
  for (const auto& c : cases) {
    const HardwareProfile full = card(c.card);
    std::vector<std::pair<std::int64_t, std::int64_t>> shapes;
    ForwardOps ops;
    for (const auto& p : full.gemm_tables.front().points)
      if (shapes.empty() || shapes.back() != std::pair(p.n, p.k)) {
        shapes.emplace_back(p.n, p.k);
        ops.gemms.push_back(GemmOp{"x", p.k, p.n, 1, 2.0, false, 1, 1});
      }
    const auto index = [&](const GemmTable::Point& p) {
      return static_cast<std::size_t>(std::find(shapes.begin(), shapes.end(), std::pair(p.n, p.k)) - shapes.begin());
    };
    const auto error = [&](const HardwareProfile& hw, const std::vector<GemmTable::Point>& held) {
      const KernelModel m(hw, ops, bf16());
      std::vector<double> errors;
      for (const auto& p : held) errors.push_back(std::abs(m.gemm(index(p), p.m, Seconds{0}).time / p.time - 1));
      return median(errors);
    };
    HardwareProfile hw = full;
    std::vector<GemmTable::Point> held;
    std::erase_if(hw.gemm_tables.front().points, [&](const auto& p) {
      if (index(p) % 3 != 1) return false;
      held.push_back(p);
      return true;
    });
    EXPECT_LT(error(hw, held), c.shapes) << c.card;
    hw = full;
    held = hold_out(hw.gemm_tables.front().points);
    EXPECT_LT(error(hw, held), c.rows) << c.card;
  }
}

TEST(Tables, AttentionBetweenPoints) {
  for (const char* name : {"h100-sxm", "h200-sxm", "a100-80gb"}) {  // L40S: most points fit its L2 cache
    HardwareProfile hw = card(name);
    const auto decodes = hold_out(hw.decode_attention_tables.front().points);
    const auto prefills = hold_out(hw.prefill_attention_tables.front().points);
    std::vector<double> decode_errors, prefill_errors;
    const KernelModel d(hw, attention_of(decodes), bf16()), p(hw, attention_of(prefills), bf16());
    for (const auto& x : decodes)
      decode_errors.push_back(
          std::abs(decode_time(d, attention(x.q_heads, x.kv_heads), x.batch, x.context) / x.time.count() - 1));
    for (const auto& x : prefills)
      prefill_errors.push_back(std::abs(
          p.prefill_attention(attention(x.q_heads, x.kv_heads), x.new_tokens, x.past, x.batch, Seconds{0}).time /
              x.time -
          1));
    EXPECT_LT(median(decode_errors), 0.04) << name;   // reached: 0.02
    EXPECT_LT(median(prefill_errors), 0.05) << name;  // reached: 0.02 to 0.035
  }
}

TEST(Tables, ChunksAfterAPastAreFoundFromPromptsWithoutOne) {
  HardwareProfile hw = card("rtx-4090");
  auto& points = hw.prefill_attention_tables.front().points;
  const auto all = points;
  std::erase_if(points, [](const auto& p) { return p.past > 0; });
  ASSERT_GT(all.size(), points.size() + 80);
  const KernelModel without(hw, attention_of(all), bf16());
  const HardwareProfile whole = card("rtx-4090");
  const KernelModel with(whole, attention_of(all), bf16());
  std::vector<double> errors;
  for (const auto& p : all) {
    const AttentionOp op = attention(32, 8);
    if (p.past == 0) continue;
    errors.push_back(std::abs(prefill_time(without, op, p.new_tokens, p.past) / p.time.count() - 1));
    EXPECT_LT(errors.back(), 0.5) << p.new_tokens << " after " << p.past;
    EXPECT_NEAR(prefill_time(with, op, p.new_tokens, p.past) / p.time.count(), 1, 0.01);
  }
  EXPECT_LT(median(errors), 0.2);
}

TEST(Tables, SpikesAreTakenOffAndTheRestIsExact) {
  const HardwareProfile hw = with_decode_curve({{100, 10}, {200, 11}, {400, 90}, {800, 14}, {1600, 20}});
  const KernelModel m(hw, one_attention(), bf16());
  const AttentionOp op = attention(8, 8);
  EXPECT_NEAR(decode_time(m, op, 1, 100), 10e-6, 1e-15);
  EXPECT_NEAR(decode_time(m, op, 1, 200), 11e-6, 1e-15);
  EXPECT_NEAR(decode_time(m, op, 1, 400), 14e-6, 1e-15);
  EXPECT_NEAR(decode_time(m, op, 1, 300), 12.5e-6, 1e-15);
  EXPECT_NEAR(decode_time(m, op, 1, 1600), 20e-6, 1e-15);
  double before = 0;
  for (std::int64_t context = 1; context < 4000; ++context) {
    const double now = decode_time(m, op, 1, context);
    ASSERT_GE(now, before) << context;
    before = now;
  }
}

TEST(Tables, AKernelTimedFromTheL2CacheTakesItsBytesAtNominalBandwidth) {
  // 4,096 B a token at 1 TB/s: 10,000 tokens need 40.96 us, 1,000 need 4.096.
  const HardwareProfile hw = with_decode_curve({{1'000, 6}, {10'000, 12}});
  const KernelModel m(hw, one_attention(), bf16());
  EXPECT_NEAR(decode_time(m, attention(8, 8), 1, 1'000), 6e-6, 1e-15);
  EXPECT_NEAR(decode_time(m, attention(8, 8), 1, 10'000), 40.96e-6, 1e-15);
}

TEST(Tables, ASmallProductsWeightsComeFromMemory) {
  // Four rows of 4,096 x 1,024: 6 us in the table of the L40S, whose L2 cache has 96 MB; the weights take 9.7.
  const HardwareProfile hw = card("l40s");
  ForwardOps ops;
  ops.gemms.push_back(GemmOp{"x", 4096, 1024, 1, 2.0, false, 1, 1});
  EXPECT_NEAR(KernelModel(hw, ops, bf16()).gemm(0, 4, Seconds{0}).time.count(), 2.0 * 4096 * 1024 / 864e9, 1e-12);
}

TEST(Tables, MoreSequencesThanTheTableHasTakeProportionallyLonger) {
  const HardwareProfile hw = card("h100-sxm");
  ForwardOps ops;
  ops.attention.push_back(attention(32, 8));
  const KernelModel m(hw, ops, bf16());
  std::int64_t largest = 0;
  for (const auto& p : hw.decode_attention_tables.front().points)
    if (p.q_heads == 32 && p.kv_heads == 8) largest = std::max(largest, p.batch);
  const double at = decode_time(m, ops.attention[0], largest, 700);
  EXPECT_NEAR(decode_time(m, ops.attention[0], 2 * largest, 700), 2 * at, 1e-9 * at);
  EXPECT_GE(largest, 64);
}

TEST(Tables, OutsideOfItsRangeATableIsContinuedAndNotCalledMeasured) {
  const HardwareProfile hw = with_decode_curve({{100, 10}, {1'000, 20}});
  const KernelModel m(hw, one_attention(), bf16());
  const AttentionOp op = attention(8, 8);
  const auto piece = [&](std::int64_t batch, std::int64_t context) {
    return m.decode_attention(op, batch, 1, batch * context, 0, Seconds{0});
  };
  EXPECT_TRUE(piece(1, 500).measured);
  EXPECT_TRUE(piece(1, 1'000).measured);
  EXPECT_FALSE(piece(1, 99).measured);
  EXPECT_FALSE(piece(1, 1'001).measured);
  EXPECT_FALSE(piece(2, 500).measured);
  EXPECT_NEAR(decode_time(m, op, 1, 1), 8.9e-6, 1e-15);  // on the line through the first two points
  EXPECT_NEAR(decode_time(m, op, 1, 1'900), 30e-6, 1e-12);
  EXPECT_NEAR(decode_time(m, op, 3, 1'000), 60e-6, 1e-15);
  EXPECT_EQ(piece(1, 500).to, 1'000);
}

TEST(Tables, UnequalContextsCostInProportionToTheirSpread) {
  HardwareProfile hw = with_decode_curve({});
  const auto points = [](DecodeAttentionTable& table, double at_100, double at_1000) {
    table.points = {{128, 8, 8, 4, 100, Seconds{at_100 * 1e-6}}, {128, 8, 8, 4, 1'000, Seconds{at_1000 * 1e-6}}};
  };
  points(hw.decode_attention_tables.front(), 10, 46);
  points(hw.unequal_decode_tables.emplace_back(), 13, 64);
  const KernelModel m(hw, one_attention(), bf16());
  EXPECT_TRUE(m.depends_on_spread());
  const double spread = unequal_spread(4);
  const auto time = [&](std::int64_t each, double tokens) {
    const LinearPiece piece = m.decode_attention(attention(8, 8), 4, 1, 4 * each, tokens, Seconds{0});
    return 1e6 * (piece.at_zero.count() + piece.per_token * static_cast<double>(4 * each));
  };
  EXPECT_NEAR(time(100, 0), 10, 1e-9);
  EXPECT_NEAR(time(100, 100 * spread), 13, 1e-9);
  EXPECT_NEAR(time(100, 50 * spread), 11.5, 1e-9);
  EXPECT_NEAR(time(1'000, 1'000 * spread), 64, 1e-9);
  // 0.03 us a token of spread at 100 tokens, 0.018 at 1,000 (of spread / unequal_spread): 0.024 half way.
  EXPECT_NEAR(time(550, 200 * spread), 28 + 200 * 0.024, 1e-9);
  EXPECT_NEAR(time(2'000, 200 * spread), 86 + 200 * 0.018, 1e-9);  // beyond the table as at its end
  EXPECT_NEAR(time(50, 20 * spread), 8 + 20 * 0.03, 1e-9);
}

TEST(Tables, UnequalContextsAreExponential) {
  EXPECT_EQ(unequal_contexts(1, 700), std::vector<std::int64_t>{700});
  // Quantiles 1/4 and 3/4: -ln(0.75) = 0.28768 and -ln(0.25) = 1.38629, which are 0.34371 and 1.65629 of their mean.
  EXPECT_EQ(unequal_contexts(2, 1'000), (std::vector<std::int64_t>{344, 1656}));
  EXPECT_NEAR(unequal_spread(2), 0.65629, 1e-5);
  EXPECT_NEAR(unequal_spread(100'000), 1, 0.001);
  const auto many = unequal_contexts(256, 300);
  EXPECT_TRUE(std::is_sorted(many.begin(), many.end()));
  EXPECT_NEAR(static_cast<double>(std::accumulate(many.begin(), many.end(), std::int64_t{0})), 256 * 300, 128);
  EXPECT_EQ(unequal_contexts(4, 1).front(), 1);
}

TEST(Tables, ShareOfAChunkThatIsPaidOnceIsTheShortestTime) {
  const HardwareProfile hw = card("h100-sxm");
  ForwardOps ops;
  ops.attention.push_back(attention(32, 8));
  const KernelModel m(hw, ops, bf16());
  const KernelTime t = m.prefill_attention(ops.attention[0], 512, 0, 1, Seconds{0});
  double shortest = 1;
  for (const auto& p : hw.prefill_attention_tables.front().points)
    if (p.q_heads == 32 && p.kv_heads == 8 && p.batch == 1) shortest = std::min(shortest, p.time.count());
  EXPECT_NEAR(t.start.count(), shortest, 1e-15);
  EXPECT_GT(t.time, t.start);
}

TEST(Tables, OnlyMeasuredOnesMakeAResultMeasured) {
  HardwareProfile hw = card("h100-sxm");
  ForwardOps ops;
  ops.gemms.push_back(GemmOp{"x", 4096, 4096, 1, 2.0, false, 1, 1});
  EXPECT_TRUE(KernelModel(hw, ops, bf16()).uses_measurements());
  EXPECT_TRUE(KernelModel(hw, ops, bf16()).gemm(0, 64, Seconds{0}).measured);
  ops.gemms[0].weight_bytes_per_element = 0.5;  // weight-only int4: no table
  EXPECT_FALSE(KernelModel(hw, ops, bf16()).uses_measurements());
  ops.gemms[0].weight_bytes_per_element = 2;
  hw.gemm_tables.front().source.evidence = Evidence::kFitted;
  EXPECT_FALSE(KernelModel(hw, ops, bf16()).uses_measurements());
  EXPECT_FALSE(KernelModel(hw, ops, bf16()).gemm(0, 64, Seconds{0}).measured);
}

class DamagedTable : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    path_ = std::filesystem::temp_directory_path() /
            (std::string("headroom-") + testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv");
    std::ofstream(path_) << text;
    return path_.string();
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_;
};

TEST_F(DamagedTable, IsRefusedWithItsLine) {
  struct {
    const char *text, *says;
  } cases[] = {{"", "empty"},
               {"dtype,m,n,time_us\n", "no column 'k'"},
               {"dtype,m,n,k,time_us\nbfloat16,1,2,3,4\nfloat17,1,2,3,4\n", ":3"},
               {"dtype,m,n,k,time_us\nbfloat16,1,2\n", "column 'k'"},
               {"dtype,m,n,k,time_us\nbfloat16,1,2,3,0\n", "time_us"},
               {"dtype,m,n,k,time_us\nbfloat16,1,2,3,nan\n", "time_us"},
               {"dtype,m,n,k,time_us\nbfloat16,-1,2,3,4\n", "m: "},
               {"dtype,m,n,k,time_us\nbfloat16,1x,2,3,4\n", "m: "}};
  for (const auto& c : cases) {
    HardwareProfile p;
    try {
      read_table({TableKind::kGemm, write(c.text), {}}, p);
      ADD_FAILURE() << "read: " << c.text;
    } catch (const WorkloadError& e) {
      EXPECT_NE(std::string(e.what()).find(c.says), std::string::npos) << e.what();
    }
  }
}

TEST_F(DamagedTable, NotDamaged) {
  // Columns in any order, others left alone, doubles averaged, sorted, one table a dtype.
  HardwareProfile p;
  read_table({TableKind::kGemm,
              write("note,time_us,k,n,m,dtype\r\na,7.5,64,32,2,float16\nb,4,64,32,1,float16\nc,2.5,64,32,2,float16\n"
                    "d,9,8,8,8,fp8\n"),
              {}},
             p);
  ASSERT_EQ(p.gemm_tables.size(), 2U);
  const auto& points = p.gemm_tables[0].points;
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].m, 1);
  EXPECT_EQ(points[1].m, 2);
  EXPECT_NEAR(points[1].time.count(), 5e-6, 1e-18);
  EXPECT_EQ(p.gemm_tables[1].dtype, DType::kFp8);
}

TEST_F(DamagedTable, ARowMayBeACurve) {
  // A missing point is none; a second row of the same curve counts as points measured twice.
  HardwareProfile rows, curves;
  read_table({TableKind::kGemm,
              write("dtype,m,n,k,time_us\nfp8,1,64,32,4\nfp8,2,64,32,5\nfp8,2,64,32,7\nfp8,8,128,32,9\n"),
              {}},
             rows);
  read_table({TableKind::kGemm, write("dtype,n,k,m=8,m=1,m=2\nfp8,64,32,,4,5\nfp8,64,32,,,7\nfp8,128,32,9,,\n"), {}},
             curves);
  const auto &a = rows.gemm_tables.at(0).points, &b = curves.gemm_tables.at(0).points;
  ASSERT_EQ(a.size(), 3U);
  ASSERT_EQ(b.size(), 3U);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::tuple(a[i].m, a[i].n, a[i].k), std::tuple(b[i].m, b[i].n, b[i].k));
    EXPECT_EQ(a[i].time, b[i].time);
  }
}

TEST_F(DamagedTable, DamagedCurves) {
  struct {
    TableKind kind;
    const char *text, *says;
  } cases[] = {{TableKind::kGemm, "dtype,k,m=1,n=2\nfp8,1,1,1\n", ":1:1: error: curves over 'm' and over 'n'"},
               {TableKind::kGemm, "dtype,n,m=1\nfp8,1,1\n", "no column 'k'"},
               {TableKind::kGemm, "dtype,n,k,m=x\nfp8,1,1,1\n", ":1:1: error: m: "},
               {TableKind::kGemm, "dtype,n,k,m=1,m=2\nfp8,1,1,1\n", ":2:1: error: the row ends before column 'm'"},
               {TableKind::kGemm, "dtype,n,k,m=1\nfp8,1,1,0\n", ":2:1: error: m: "},
               {TableKind::kDecodeAttention, "kv_dtype,kv_heads,batch,context_tokens,q_heads=8\nfp8,8,1,1,1\n",
                ":1:1: error: curves over 'q_heads'"}};
  for (const auto& c : cases) {
    HardwareProfile p;
    try {
      read_table({c.kind, write(c.text), {}}, p);
      ADD_FAILURE() << "read: " << c.text;
    } catch (const WorkloadError& e) {
      EXPECT_NE(std::string(e.what()).find(c.says), std::string::npos) << e.what();
    }
  }
}

TEST_F(DamagedTable, WhatIsNotUsedIsPassedOver) {
  const TableFile file{TableKind::kDecodeAttention,
                       write("kv_dtype,q_heads,kv_heads,batch,context_tokens,time_us\nbfloat16,32,8,1,16,4\n"
                             "bfloat16,16,8,1,16,oops\nfp8,32,8,1,16,oops\n"),
                       {}};
  TableUse use;
  use.attention[static_cast<std::size_t>(DType::kBfloat16)] = true;
  use.heads = {{32, 8, 128}};
  HardwareProfile p;
  read_table(file, p, &use);
  ASSERT_EQ(p.decode_attention_tables.size(), 1U);
  EXPECT_EQ(p.decode_attention_tables[0].points.size(), 1U);
  use.heads.push_back({16, 8, 128});
  EXPECT_THROW(read_table(file, p, &use), WorkloadError);
  EXPECT_THROW(read_table(file, p), WorkloadError);
}

// Every step time is the same with the tables that table_use() names as with all.
TEST(TablesInUse, AreEnough) {
  for (const char* card : {"h100-sxm", "a100-80gb", "rtx-4090", "h100-sxm-executor"})
    for (const char* name : {"llama-3.1-8b", "llama-2-7b", "qwen2.5-7b"})
      for (const ExecutionStyle style : {ExecutionStyle::kFused, ExecutionStyle::kEager})
        for (const bool fp8 : {false, true}) {
          SCOPED_TRACE(std::string(card) + " " + name);
          const std::string folder = HEADROOM_SOURCE_DIR "/configs/";
          const ModelShape model = read_model(folder + "models/" + name + ".yaml");
          StepTimeOptions o;
          o.forward.activation_dtype = o.forward.kv_dtype = o.forward.weights.dtype = DType::kBfloat16;
          if (fp8) {
            o.forward.kv_dtype = DType::kFp8;
            o.forward.weights.quantization = WeightQuantization::kFp8;
            o.forward.quantized_activations = DType::kFp8;
          }
          o.forward.style = style;
          const TableUse use = table_use(o.forward, {attention_heads(model, 1)});
          const HardwareFile file = read_hardware_file(folder + "hardware/" + card + ".yaml");
          HardwareProfile some = file.profile;
          for (const TableFile& table : file.tables) read_table(table, some, &use);
          const StepTimeModel with_all(model, read_hardware(folder + "hardware/" + card + ".yaml"), o);
          const StepTimeModel with_some(model, some, o);
          for (const std::int64_t batch : {1, 24, 300})
            for (const std::int64_t context : {40, 3000}) {
              const PrefillChunk chunk{context, 0, 1};
              StepShape shape;
              shape.decode_sequences = batch;
              shape.decode_context = shape.decode_windowed_context = batch * context;
              shape.logit_rows = batch + 1;
              shape.prefills = {&chunk, 1};
              const StepTime a = with_all.step_time(shape), b = with_some.step_time(shape);
              EXPECT_EQ(a.total, b.total);
              EXPECT_EQ(a.extrapolated, b.extrapolated);
            }
        }
}

}  // namespace
}  // namespace headroom
