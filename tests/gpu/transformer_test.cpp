// A tiny transformer of each family: logits after chunked prefills and decode steps against a plain one in double
// precision, over paged and contiguous KV, with and without CUDA graphs.
#include "validate/executor/transformer.h"

#include <numeric>

#include "tests/gpu/gpu.h"
#include "validate/executor/reference_transformer.h"

namespace headroom {
namespace {

ModelShape tiny(const std::string& family) {
  ModelShape m;
  m.name = "tiny " + family;
  m.family = family;
  m.num_layers = 3;
  m.hidden_size = 256;
  m.num_heads = 4;
  m.num_kv_heads = family == "opt" ? 4 : 2;
  m.head_dim = 64;
  m.intermediate_size = 512;
  m.vocab_size = 1000;
  m.max_position_embeddings = 512;
  if (family == "opt") {
    m.gated_mlp = false;
    m.tie_word_embeddings = m.qkv_bias = m.out_bias = m.mlp_bias = m.norm_bias = true;
    m.position_rows = 514;
  }
  m.qkv_bias = m.qkv_bias || family == "qwen2";
  m.qk_norm = family == "qwen3";
  return m;
}

std::vector<std::int32_t> prompt(std::int32_t length, std::int32_t first) {
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < length; ++i) tokens.push_back((first + 37 * i) % 1000);
  return tokens;
}

TEST(Transformer, LogitsAgreeWithADoubleReference) {
  HEADROOM_NEEDS_GPU();
  for (const std::string family : {"llama", "qwen2", "qwen3", "opt"})
    for (const Element e : {Element::kFloat16, Element::kBfloat16})
      for (const bool paged : {true, false})
        for (const bool graphs : {true, false}) {
          SCOPED_TRACE(family + (e == Element::kFloat16 ? " fp16" : " bf16") + (paged ? " paged" : " contiguous") +
                       (graphs ? " graphs" : ""));
          const ModelShape m = tiny(family);
          TransformerOptions o;
          o.element = e;
          o.slots = 512;
          o.block_size = paged ? 16 : 0;
          o.max_rows = 256;
          o.max_sequences = 8;
          o.max_length = 160;
          if (graphs) o.graph_sizes = {1, 2, 4, 8};
          Transformer t(m, o);
          std::vector<std::int32_t> one = prompt(90, 5), two = prompt(33, 400), pads = prompt(20, 77);
          const std::vector<std::int32_t> blocks_one{30, 3, 17, 4, 9, 11, 0, 21}, blocks_two{8, 31, 2, 1},
              blocks_three{5, 6, 7};
          std::vector<std::int32_t> padded(6, -1);
          padded.insert(padded.end(), pads.begin(), pads.end());
          const auto row = [&](std::span<const std::int32_t> tokens, std::int32_t past, int which, bool samples,
                               std::int32_t padding = 0) {
            const std::int64_t firsts[] = {0, 200, 300};
            const std::vector<std::int32_t>* tables[] = {&blocks_one, &blocks_two, &blocks_three};
            return StepRow{tokens, past, padding, *tables[which], firsts[which], samples};
          };
          const auto logits = [&](std::int64_t i) {
            return download(e, static_cast<const std::byte*>(t.logits()) + i * m.vocab_size * 2, m.vocab_size,
                            t.stream());
          };
          const double allowed = e == Element::kFloat16 ? 5e-3 : 4e-2;
          // The first 50 of one; then the rest of one with all of two and of a padded row.
          const std::vector<StepRow> first{row(std::span(one).first(50), 0, 0, false)};
          t.step({}, first);
          const std::vector<StepRow> second{row(std::span(one).subspan(50), 50, 0, true), row(two, 0, 1, true),
                                            row(padded, 0, 2, true, 6)};
          std::vector<std::int32_t> next = t.step({}, second);
          EXPECT_LT(relative_error(logits(0), reference_logits(m, e, one)), allowed);
          EXPECT_LT(relative_error(logits(1), reference_logits(m, e, two)), allowed);
          EXPECT_LT(relative_error(logits(2), reference_logits(m, e, pads)), allowed);
          for (int i = 0; i < 3; ++i) {
            one.push_back(next[0]);
            two.push_back(next[1]);
            pads.push_back(next[2]);
            const auto last = [](const std::vector<std::int32_t>& v) { return std::span(v).last(1); };
            const std::vector<StepRow> decode{row(last(one), 90 + i, 0, true), row(last(two), 33 + i, 1, true),
                                              row(last(pads), 26 + i, 2, true, 6)};
            next = t.step(decode, {});
          }
          EXPECT_LT(relative_error(logits(0), reference_logits(m, e, one)), allowed);
          EXPECT_LT(relative_error(logits(1), reference_logits(m, e, two)), allowed);
          EXPECT_LT(relative_error(logits(2), reference_logits(m, e, pads)), allowed);
        }
}

}  // namespace
}  // namespace headroom
