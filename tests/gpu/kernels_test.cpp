// Every own kernel against a plain double-precision reference, on fresh random inputs, over outputs that were poisoned.
#include <algorithm>
#include <random>

#include "models/units.h"
#include "tests/gpu/gpu.h"
#include "validate/kernels/attention.h"
#include "validate/kernels/decode_pieces.h"
#include "validate/kernels/elementwise.h"
#include "validate/kernels/gemm.h"

namespace headroom {
namespace {

constexpr Element kElements[] = {Element::kFloat16, Element::kBfloat16};

// One query row over tokens [begin, end) whose slots are given; pools are [slot][kv_head][head_dim].
void attend(const AttentionShape& s, const double* query, const Numbers& keys, const Numbers& values,
            const std::vector<std::int64_t>& slots, std::int64_t begin, std::int64_t end, double* out) {
  const std::int64_t d = s.head_dim;
  for (std::int32_t h = 0; h < s.q_heads; ++h) {
    const std::int64_t kv = h / (s.q_heads / s.kv_heads);
    std::vector<double> score;
    double most = -1e300, sum = 0;
    for (std::int64_t t = begin; t < end; ++t) {
      const double* key = keys.values.data() + (slots[static_cast<std::size_t>(t)] * s.kv_heads + kv) * d;
      double dot = 0;
      for (std::int64_t i = 0; i < d; ++i) dot += query[h * d + i] * key[i];
      score.push_back(dot / std::sqrt(static_cast<double>(d)));
      most = std::max(most, score.back());
    }
    for (double& x : score) sum += x = std::exp(x - most);
    for (std::int64_t i = 0; i < d; ++i) out[h * d + i] = 0;
    for (std::int64_t t = begin; t < end; ++t) {
      const double* value = values.values.data() + (slots[static_cast<std::size_t>(t)] * s.kv_heads + kv) * d;
      for (std::int64_t i = 0; i < d; ++i)
        out[h * d + i] += score[static_cast<std::size_t>(t - begin)] / sum * value[i];
    }
  }
}

// A pool with sequences scattered over it, paged (block_size > 0) or contiguous.
struct Pool {
  std::vector<std::vector<std::int64_t>> slots;  // [sequence][token]
  std::vector<std::int32_t> tables;
  std::vector<std::int64_t> firsts;
  std::int64_t stride = 0, size = 0;
  Pool(const std::vector<std::int32_t>& contexts, std::int32_t block_size) {
    const std::int64_t longest = *std::max_element(contexts.begin(), contexts.end());
    if (block_size == 0) {
      for (const std::int64_t context : contexts) {
        firsts.push_back(size);
        slots.emplace_back();
        for (std::int64_t t = 0; t < context; ++t) slots.back().push_back(size + t);
        size += context + 3;
      }
      return;
    }
    stride = (longest + block_size - 1) / block_size;
    const std::int64_t blocks = stride * static_cast<std::int64_t>(contexts.size());
    size = blocks * block_size;
    tables.resize(static_cast<std::size_t>(blocks));
    // 7919 is prime and larger than any factor of the number of blocks here: a permutation.
    for (std::int64_t i = 0; i < blocks; ++i)
      tables[static_cast<std::size_t>(i)] = static_cast<std::int32_t>((i * 7919 + 13) % blocks);
    for (std::size_t s = 0; s < contexts.size(); ++s) {
      slots.emplace_back();
      for (std::int64_t t = 0; t < contexts[s]; ++t) {
        const std::int32_t block =
            tables[static_cast<std::size_t>(static_cast<std::int64_t>(s) * stride + t / block_size)];
        slots.back().push_back(static_cast<std::int64_t>(block) * block_size + t % block_size);
      }
    }
  }
};

struct AttentionCase {
  Element element;
  std::int32_t q_heads, kv_heads, head_dim, block_size;
  bool pads;
};
std::vector<AttentionCase> attention_cases() {
  std::vector<AttentionCase> cases;
  for (const Element e : kElements)
    for (const std::int32_t d : {64, 128})
      for (const std::int32_t block : {0, 8, 16, 64, 256}) {
        cases.push_back({e, 8, 2, d, block, false});
        cases.push_back({e, 4, 4, d, block, block == 0 || block == 16});
        cases.push_back({e, 14, 2, d, block, false});
        cases.push_back({e, 32, 2, d, block, true});
      }
  return cases;
}

TEST(Kernels, DecodeAttentionAgreesWithADoubleReference) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  const std::int32_t sms = device_facts().num_sms;
  std::uint64_t seed = 1;
  for (const AttentionCase& c : attention_cases()) {
    SCOPED_TRACE(testing::Message() << "heads " << c.q_heads << "/" << c.kv_heads << " size " << c.head_dim << " block "
                                    << c.block_size << " pads " << c.pads << " type " << static_cast<int>(c.element));
    const AttentionShape shape{c.element, c.q_heads, c.kv_heads, c.head_dim};
    const std::vector<std::int32_t> contexts{1, 15, 16, 17, 300, 1029, 64, 0};
    std::vector<std::int32_t> begins;
    for (const std::int32_t n : contexts) begins.push_back(c.pads ? n / 3 : 0);
    const Pool pool(contexts, c.block_size);
    const std::int64_t width = shape.q_heads * shape.head_dim, kv_width = shape.kv_heads * shape.head_dim;
    const auto sequences = static_cast<std::int64_t>(contexts.size());
    const Numbers queries(c.element, sequences * (width + 16), ++seed, 2);
    const Numbers keys(c.element, pool.size * kv_width, ++seed, 2), values(c.element, pool.size * kv_width, ++seed);
    const DeviceBuffer q = queries.upload(stream), k = keys.upload(stream), v = values.upload(stream);
    const DeviceBuffer tables = on_device(std::span<const std::int32_t>(pool.tables), stream);
    const DeviceBuffer firsts = on_device(std::span<const std::int64_t>(pool.firsts), stream);
    const DeviceBuffer lengths = on_device(std::span<const std::int32_t>(contexts), stream);
    const DeviceBuffer starts = on_device(std::span<const std::int32_t>(begins), stream);
    DeviceBuffer out(sequences * width * 2), arrivals(sequences * shape.kv_heads * 4);
    set_zero(arrivals.data(), arrivals.bytes(), stream);
    for (const std::int32_t cut_for : {1, 16, sms}) {  // multiprocessors
      SCOPED_TRACE(cut_for);
      fill_random_bytes(out.data(), out.bytes(), 99, 255, stream);
      const std::int64_t num_pieces = most_decode_pieces(shape, sequences, cut_for);
      std::vector<DecodePiece> pieces(static_cast<std::size_t>(num_pieces));
      split_decode(shape, contexts, cut_for, pieces);
      const DeviceBuffer piece_list = on_device(std::span<const DecodePiece>(pieces), stream);
      DeviceBuffer parts(decode_parts_bytes(shape, num_pieces));
      DecodeAttention a;
      a.shape = shape;
      a.kv.keys = k.data();
      a.kv.values = v.data();
      if (c.block_size > 0) {
        a.kv.block_tables = tables.as<std::int32_t>();
        a.kv.table_stride = pool.stride;
        a.kv.block_size = c.block_size;
      } else {
        a.kv.first_slots = firsts.as<std::int64_t>();
      }
      a.queries = q.data();
      a.query_stride = width + 16;
      a.output = out.data();
      a.contexts = lengths.as<std::int32_t>();
      if (c.pads) a.key_begins = starts.as<std::int32_t>();
      a.sequences = sequences;
      a.pieces = piece_list.as<DecodePiece>();
      a.num_pieces = num_pieces;
      a.parts = parts.as<float>();
      a.arrivals = arrivals.as<std::uint32_t>();
      launch(a, stream);
      stream.synchronize();
      std::vector<double> got = download(c.element, out.data(), sequences * width, stream);
      std::vector<double> wanted(got.size());
      for (std::size_t s = 0; s < contexts.size(); ++s)
        attend(shape, queries.values.data() + static_cast<std::int64_t>(s) * (width + 16), keys, values, pool.slots[s],
               begins[s], contexts[s], wanted.data() + static_cast<std::int64_t>(s) * width);
      got.resize(static_cast<std::size_t>((sequences - 1) * width));  // the last is padding: left alone
      wanted.resize(got.size());
      EXPECT_LT(relative_error(got, wanted), tolerance(c.element));
    }
  }
}

// Needs no GPU: every tile of every context is in one piece, pieces are numbered as the kernel expects, and a long
// context does not run alone at the end.
TEST(DecodePieces, CoverEveryContextOnceTheLongestFirst) {
  const AttentionShape shape{Element::kBfloat16, 32, 8, 128};
  std::mt19937 random(1);
  for (const std::int64_t count : {1, 2, 7, 33, 34, 100, 256}) {
    for (const std::int64_t long_ones : {1, 7}) {  // one in so many contexts is long
      SCOPED_TRACE(testing::Message() << count << " sequences, one in " << long_ones << " long");
      std::vector<std::int32_t> contexts;
      std::int64_t all = 0, live = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        contexts.push_back(i % 5 == 4 ? 0
                                      : static_cast<std::int32_t>(random() % (i % long_ones == 0 ? 20'000 : 500) + 1));
        live += contexts.back() > 0;
        all += ceil_div(contexts.back(), kDecodeTile);
      }
      std::vector<DecodePiece> pieces(static_cast<std::size_t>(most_decode_pieces(shape, count, 132)));
      split_decode(shape, contexts, 132, pieces);
      std::vector<std::vector<DecodePiece>> of(contexts.size());
      std::vector<int> results(pieces.size(), 0);
      std::int64_t longest = 0;
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        const DecodePiece& p = pieces[i];
        if (p.sequence < 0) {
          for (std::size_t j = i; j < pieces.size(); ++j) EXPECT_EQ(pieces[j].sequence, -1);
          break;
        }
        if (i > 0) {
          EXPECT_LE(p.to - p.from, pieces[i - 1].to - pieces[i - 1].from);
        }
        longest = std::max<std::int64_t>(longest, p.to - p.from);
        of[static_cast<std::size_t>(p.sequence)].push_back(p);
        ASSERT_LT(static_cast<std::size_t>(p.first + p.part), results.size());
        EXPECT_EQ(results[static_cast<std::size_t>(p.first + p.part)]++, 0);
      }
      for (std::size_t s = 0; s < contexts.size(); ++s) {
        std::sort(of[s].begin(), of[s].end(), [](const auto& a, const auto& b) { return a.part < b.part; });
        std::int32_t at = 0;
        for (std::size_t i = 0; i < of[s].size(); ++i) {
          const DecodePiece& p = of[s][i];
          EXPECT_EQ(p.part, static_cast<std::int32_t>(i));
          EXPECT_EQ(p.parts, static_cast<std::int32_t>(of[s].size()));
          EXPECT_EQ(p.first, of[s].front().first);
          EXPECT_EQ(p.from, at);
          EXPECT_LT(p.from, p.to);
          at = p.to;
        }
        if (contexts[s] > 0) {
          EXPECT_EQ(at, ceil_div(contexts[s], kDecodeTile));
        }
      }
      // More sequences than run at a time: none is larger than half of a block's share, or than the least worth a cut.
      if (live > 33) {
        EXPECT_LE(longest, std::max<std::int64_t>(32, ceil_div(all * 8, 528) + 3));
      }
    }
  }
}

// As many sequences as run at a time, one of them long: it is cut although the others then wait a little.
TEST(DecodePieces, OneLongContextAmongAFullRoundIsCut) {
  const AttentionShape shape{Element::kBfloat16, 32, 8, 128};
  std::vector<std::int32_t> contexts(33, 200);
  contexts[5] = 4'000;
  std::vector<DecodePiece> pieces(static_cast<std::size_t>(most_decode_pieces(shape, 33, 132)));
  split_decode(shape, contexts, 132, pieces);
  EXPECT_EQ(pieces.front().sequence, 5);
  EXPECT_EQ(pieces.front().to - pieces.front().from, 32);
}

TEST(Kernels, PrefillAttentionAgreesWithADoubleReference) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  std::uint64_t seed = 1000;
  for (const AttentionCase& c : attention_cases()) {
    SCOPED_TRACE(testing::Message() << "heads " << c.q_heads << "/" << c.kv_heads << " size " << c.head_dim << " block "
                                    << c.block_size << " pads " << c.pads << " type " << static_cast<int>(c.element));
    const AttentionShape shape{c.element, c.q_heads, c.kv_heads, c.head_dim};
    const std::vector<std::int32_t> news{1, 64, 65, 130, 17}, pasts{0, 0, 33, 200, 64};
    std::vector<std::int32_t> contexts, begins, first_rows;
    std::vector<QueryTile> tiles;
    std::int32_t rows = 0;
    for (std::size_t s = 0; s < news.size(); ++s) {
      contexts.push_back(news[s] + pasts[s]);
      begins.push_back(c.pads ? pasts[s] / 2 : 0);
      first_rows.push_back(rows);
      for (std::int32_t r = 0; r < news[s]; r += kQueryTile) tiles.push_back({static_cast<std::int32_t>(s), r});
      rows += news[s];
    }
    const Pool pool(contexts, c.block_size);
    const std::int64_t width = shape.q_heads * shape.head_dim, kv_width = shape.kv_heads * shape.head_dim;
    const Numbers queries(c.element, rows * width, ++seed, 2);
    const Numbers keys(c.element, pool.size * kv_width, ++seed, 2), values(c.element, pool.size * kv_width, ++seed);
    const DeviceBuffer q = queries.upload(stream), k = keys.upload(stream), v = values.upload(stream);
    const DeviceBuffer tables = on_device(std::span<const std::int32_t>(pool.tables), stream);
    const DeviceBuffer firsts = on_device(std::span<const std::int64_t>(pool.firsts), stream);
    const DeviceBuffer lengths = on_device(std::span<const std::int32_t>(contexts), stream);
    const DeviceBuffer starts = on_device(std::span<const std::int32_t>(begins), stream);
    const DeviceBuffer row_starts = on_device(std::span<const std::int32_t>(first_rows), stream);
    const DeviceBuffer counts = on_device(std::span<const std::int32_t>(news), stream);
    const DeviceBuffer tile_list = on_device(std::span<const QueryTile>(tiles), stream);
    DeviceBuffer out(rows * width * 2);
    fill_random_bytes(out.data(), out.bytes(), 99, 255, stream);
    PrefillAttention a;
    a.shape = shape;
    a.kv.keys = k.data();
    a.kv.values = v.data();
    if (c.block_size > 0) {
      a.kv.block_tables = tables.as<std::int32_t>();
      a.kv.table_stride = pool.stride;
      a.kv.block_size = c.block_size;
    } else {
      a.kv.first_slots = firsts.as<std::int64_t>();
    }
    a.queries = q.data();
    a.query_stride = width;
    a.output = out.data();
    a.tiles = tile_list.as<QueryTile>();
    a.num_tiles = static_cast<std::int64_t>(tiles.size());
    a.first_rows = row_starts.as<std::int32_t>();
    a.new_tokens = counts.as<std::int32_t>();
    a.contexts = lengths.as<std::int32_t>();
    if (c.pads) a.key_begins = starts.as<std::int32_t>();
    launch(a, stream);
    stream.synchronize();
    const std::vector<double> got = download(c.element, out.data(), rows * width, stream);
    std::vector<double> wanted(got.size());
    for (std::size_t s = 0; s < news.size(); ++s)
      for (std::int32_t r = 0; r < news[s]; ++r) {
        const std::int64_t row = first_rows[s] + r;
        attend(shape, queries.values.data() + row * width, keys, values, pool.slots[s], begins[s], pasts[s] + r + 1,
               wanted.data() + row * width);
      }
    EXPECT_LT(relative_error(got, wanted), tolerance(c.element));
  }
}

TEST(Kernels, RowsThatSeeNothingAreZero) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  // A left-padded prompt: the pads' own rows see no key.
  const AttentionShape shape{Element::kBfloat16, 2, 2, 64};
  const Numbers qkv(shape.element, 3 * 80 * 128, 5);
  const DeviceBuffer data = qkv.upload(stream);
  const std::vector<std::int32_t> ints{0, 80, 80, 70};  // first row, new tokens, context, key begin
  const std::vector<QueryTile> tiles{{0, 0}, {0, 64}};
  const std::vector<std::int64_t> first{0};
  const DeviceBuffer numbers = on_device(std::span<const std::int32_t>(ints), stream);
  const DeviceBuffer tile_list = on_device(std::span<const QueryTile>(tiles), stream);
  const DeviceBuffer firsts = on_device(std::span<const std::int64_t>(first), stream);
  DeviceBuffer out(80 * 128 * 2);
  fill_random_bytes(out.data(), out.bytes(), 99, 255, stream);
  const auto* n = numbers.as<std::int32_t>();
  PrefillAttention a;
  a.shape = shape;
  a.kv.keys = data.at(80 * 128 * 2);
  a.kv.values = data.at(2 * 80 * 128 * 2);
  a.kv.first_slots = firsts.as<std::int64_t>();
  a.queries = data.data();
  a.query_stride = 128;
  a.output = out.data();
  a.tiles = tile_list.as<QueryTile>();
  a.num_tiles = 2;
  a.first_rows = n;
  a.new_tokens = n + 1;
  a.contexts = n + 2;
  a.key_begins = n + 3;
  launch(a, stream);
  stream.synchronize();
  const std::vector<double> got = download(shape.element, out.data(), 80 * 128, stream);
  EXPECT_TRUE(std::all_of(got.begin(), got.begin() + 70 * 128, [](double x) { return x == 0; }));
  EXPECT_NE(got[70 * 128], 0);
}

TEST(Kernels, NormsAgreeWithADoubleReference) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  for (const Element e : kElements)
    for (const std::int64_t width : {64, 896, 2048, 4096, 12288})
      for (const bool layer : {false, true})
        for (const bool update : {false, true}) {
          const std::int64_t rows = 5;
          const Numbers x(e, rows * width, 1, 1, 0.25f), u(e, rows * width, 2), w(e, width, 3, 0.5f, 1), b(e, width, 4);
          const DeviceBuffer xs = x.upload(stream), us = u.upload(stream), ws = w.upload(stream), bs = b.upload(stream);
          DeviceBuffer out(rows * width * 2);
          Norm n{e};
          n.residual = xs.data();
          if (update) n.update = us.data();
          n.weight = ws.data();
          if (layer) n.bias = bs.data();
          n.out = out.data();
          n.rows = rows;
          n.width = width;
          launch(n, stream);
          stream.synchronize();
          std::vector<double> wanted, residual;
          for (std::int64_t r = 0; r < rows; ++r) {
            std::vector<double> row;
            double mean = 0, square = 0;
            for (std::int64_t i = 0; i < width; ++i) {
              double v = x.values[static_cast<std::size_t>(r * width + i)];
              if (update) v += u.values[static_cast<std::size_t>(r * width + i)];
              v = static_cast<double>(number_of(e, bits_of(e, static_cast<float>(v))));
              row.push_back(v);
              residual.push_back(v);
              mean += v / static_cast<double>(width);
            }
            if (!layer) mean = 0;
            for (const double v : row) square += (v - mean) * (v - mean) / static_cast<double>(width);
            for (std::int64_t i = 0; i < width; ++i) {
              const auto at = static_cast<std::size_t>(i);
              wanted.push_back((row[at] - mean) / std::sqrt(square + 1e-5) * w.values[at] + (layer ? b.values[at] : 0));
            }
          }
          EXPECT_LT(relative_error(download(e, out.data(), rows * width, stream), wanted), tolerance(e));
          EXPECT_LT(relative_error(download(e, xs.data(), rows * width, stream), residual), 1e-6);
        }
}

TEST(Kernels, RopeHeadNormAndKvWriteAgreeWithADoubleReference) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  for (const Element e : kElements)
    for (const std::int32_t d : {64, 128}) {
      const std::int32_t q_heads = 6, kv_heads = 2;
      const std::int64_t rows = 7, stride = (q_heads + 2 * kv_heads) * d;
      const Numbers x(e, rows * stride, 1), wq(e, d, 2, 0.5f, 1), wk(e, d, 3, 0.5f, 1);
      const DeviceBuffer qkv = x.upload(stream), q_weight = wq.upload(stream), k_weight = wk.upload(stream);
      std::vector<std::int32_t> positions;
      std::vector<std::int64_t> slots;
      for (std::int32_t r = 0; r < rows; ++r) {
        positions.push_back(r * 131);
        slots.push_back(r == 3 ? -1 : 20 - 2 * r);
      }
      std::vector<float> turns;
      for (std::int32_t p = 0; p < 1000; ++p)
        for (std::int32_t i = 0; i < d / 2; ++i) {
          const double angle = p * std::pow(10000.0, -2.0 * i / d);
          turns.push_back(static_cast<float>(std::cos(angle)));
          turns.push_back(static_cast<float>(std::sin(angle)));
        }
      const DeviceBuffer places = on_device(std::span<const std::int32_t>(positions), stream);
      const DeviceBuffer table = on_device(std::span<const float>(turns), stream);
      const DeviceBuffer slot_list = on_device(std::span<const std::int64_t>(slots), stream);
      DeviceBuffer keys(32 * kv_heads * d * 2), values(32 * kv_heads * d * 2);
      set_zero(keys.data(), keys.bytes(), stream);
      set_zero(values.data(), values.bytes(), stream);
      HeadNorm norm{e, qkv.data(), stride, q_weight.data(), k_weight.data(), 1e-6f, rows, q_heads, kv_heads, d};
      launch(norm, stream);
      launch(Rope{e, qkv.data(), stride, places.as<std::int32_t>(), table.as<float>(), rows, q_heads + kv_heads, d},
             stream);
      launch(KvWrite{e, qkv.data(), stride, q_heads * d, kv_heads * d, slot_list.as<std::int64_t>(), keys.data(),
                     values.data(), rows},
             stream);
      stream.synchronize();
      std::vector<double> wanted = x.values;
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int32_t h = 0; h < q_heads + kv_heads; ++h) {
          double* head = wanted.data() + r * stride + h * d;
          const std::vector<double>& w = h < q_heads ? wq.values : wk.values;
          double square = 0;
          for (std::int32_t i = 0; i < d; ++i) square += head[i] * head[i] / d;
          for (std::int32_t i = 0; i < d; ++i) head[i] *= w[static_cast<std::size_t>(i)] / std::sqrt(square + 1e-6);
          for (std::int32_t i = 0; i < d / 2; ++i) {
            const double angle = positions[static_cast<std::size_t>(r)] * std::pow(10000.0, -2.0 * i / d);
            const double a = head[i], b = head[i + d / 2];
            head[i] = a * std::cos(angle) - b * std::sin(angle);
            head[i + d / 2] = b * std::cos(angle) + a * std::sin(angle);
          }
        }
      EXPECT_LT(relative_error(download(e, qkv.data(), rows * stride, stream), wanted), tolerance(e));
      const std::vector<double> now = download(e, qkv.data(), rows * stride, stream);
      std::vector<double> k_wanted(static_cast<std::size_t>(32 * kv_heads * d)), v_wanted = k_wanted;
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t i = 0; i < kv_heads * d && slots[static_cast<std::size_t>(r)] >= 0; ++i) {
          const auto to = static_cast<std::size_t>(slots[static_cast<std::size_t>(r)] * kv_heads * d + i);
          k_wanted[to] = now[static_cast<std::size_t>(r * stride + q_heads * d + i)];
          v_wanted[to] = now[static_cast<std::size_t>(r * stride + (q_heads + kv_heads) * d + i)];
        }
      EXPECT_EQ(download(e, keys.data(), 32 * kv_heads * d, stream), k_wanted);
      EXPECT_EQ(download(e, values.data(), 32 * kv_heads * d, stream), v_wanted);
    }
}

TEST(Kernels, ActivationsAgreeWithADoubleReference) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  const std::int64_t rows = 9, width = 1032;
  for (const Element e : kElements)
    for (const Activation f : {Activation::kSiluMul, Activation::kRelu, Activation::kGelu}) {
      const std::int64_t inputs = f == Activation::kSiluMul ? 2 * width : width;
      const Numbers x(e, rows * inputs, 7, 4);
      const DeviceBuffer in = x.upload(stream);
      DeviceBuffer out(rows * width * 2);
      launch(Activate{e, f, in.data(), out.data(), rows, width}, stream);
      stream.synchronize();
      std::vector<double> wanted;
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t i = 0; i < width; ++i) {
          const double v = x.values[static_cast<std::size_t>(r * inputs + i)];
          if (f == Activation::kSiluMul)
            wanted.push_back(v / (1 + std::exp(-v)) * x.values[static_cast<std::size_t>(r * inputs + width + i)]);
          if (f == Activation::kRelu) wanted.push_back(std::max(v, 0.0));
          if (f == Activation::kGelu) wanted.push_back(0.5 * v * (1 + std::erf(v / std::sqrt(2.0))));
        }
      EXPECT_LT(relative_error(download(e, out.data(), rows * width, stream), wanted), tolerance(e));
    }
}

TEST(Kernels, EmbeddingGatherAndGrowthCopyExactly) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  const Element e = Element::kFloat16;
  const std::int64_t width = 264;
  const Numbers table(e, 50 * width, 1), places(e, 20 * width, 2);
  const DeviceBuffer rows_table = table.upload(stream), position_table = places.upload(stream);
  const std::vector<std::int32_t> ids{49, 0, 7, 7}, positions{0, 1, 2, 17};
  const DeviceBuffer tokens = on_device(std::span<const std::int32_t>(ids), stream);
  const DeviceBuffer where = on_device(std::span<const std::int32_t>(positions), stream);
  DeviceBuffer out(4 * width * 2);
  launch(Embedding{e, tokens.as<std::int32_t>(), rows_table.data(), where.as<std::int32_t>(), position_table.data(), 2,
                   out.data(), 4, width},
         stream);
  stream.synchronize();
  std::vector<double> wanted;
  for (std::size_t r = 0; r < ids.size(); ++r)
    for (std::int64_t i = 0; i < width; ++i) {
      const double sum = table.values[static_cast<std::size_t>(ids[r] * width + i)] +
                         places.values[static_cast<std::size_t>((positions[r] + 2) * width + i)];
      wanted.push_back(static_cast<double>(number_of(e, bits_of(e, static_cast<float>(sum)))));
    }
  EXPECT_EQ(download(e, out.data(), 4 * width, stream), wanted);

  launch(Gather{e, rows_table.data(), tokens.as<std::int32_t>(), out.data(), 4, width}, stream);
  stream.synchronize();
  wanted.clear();
  for (const std::int32_t id : ids)
    for (std::int64_t i = 0; i < width; ++i) wanted.push_back(table.values[static_cast<std::size_t>(id * width + i)]);
  EXPECT_EQ(download(e, out.data(), 4 * width, stream), wanted);

  DeviceBuffer grown(3 * 6 * width * 2);  // three rows of five tokens and one more
  launch(GrowCache{e, rows_table.data(), position_table.data(), grown.data(), 3, 5, width}, stream);
  stream.synchronize();
  wanted.clear();
  for (std::int64_t r = 0; r < 3; ++r) {
    for (std::int64_t i = 0; i < 5 * width; ++i)
      wanted.push_back(table.values[static_cast<std::size_t>(r * 5 * width + i)]);
    for (std::int64_t i = 0; i < width; ++i) wanted.push_back(places.values[static_cast<std::size_t>(r * width + i)]);
  }
  EXPECT_EQ(download(e, grown.data(), 3 * 6 * width, stream), wanted);
}

TEST(Kernels, SamplingFindsTheFirstLargestLogit) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  for (const Element e : kElements) {
    const std::int64_t rows = 6, width = 50272;
    Numbers logits(e, rows * width, 11, 8);
    std::vector<std::int32_t> wanted;
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto first = logits.values.begin() + r * width;
      wanted.push_back(static_cast<std::int32_t>(std::max_element(first, first + width) - first));
    }
    const DeviceBuffer in = logits.upload(stream);
    DeviceBuffer floats(rows * width * 4), tokens(rows * 4);
    launch(Sample{e, in.data(), floats.as<float>(), tokens.as<std::int32_t>(), rows, width}, stream);
    stream.synchronize();
    std::vector<std::int32_t> got(static_cast<std::size_t>(rows));
    copy_to_host(got.data(), tokens.data(), rows * 4, stream);
    stream.synchronize();
    EXPECT_EQ(got, wanted);
  }
}

TEST(Kernels, ProductsAgreeWithADoubleReference) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  Gemm gemm;
  for (const Element e : kElements)
    for (const std::int64_t rows : {1, 8, 33})
      for (const bool bias : {false, true}) {
        const std::int64_t n = 264, k = 520;
        const Numbers x(e, rows * k, 1), w(e, n * k, 2), b(e, n, 3);
        const DeviceBuffer xs = x.upload(stream), ws = w.upload(stream), bs = b.upload(stream);
        DeviceBuffer y(rows * n * 2);
        gemm.launch(GemmShape{gemm_type(e), rows, n, k, bias}, xs.data(), ws.data(), bs.data(), y.data(), stream);
        stream.synchronize();
        std::vector<double> wanted;
        for (std::int64_t r = 0; r < rows; ++r)
          for (std::int64_t j = 0; j < n; ++j) {
            double sum = bias ? b.values[static_cast<std::size_t>(j)] : 0;
            for (std::int64_t i = 0; i < k; ++i)
              sum += x.values[static_cast<std::size_t>(r * k + i)] * w.values[static_cast<std::size_t>(j * k + i)];
            wanted.push_back(sum);
          }
        EXPECT_LT(relative_error(download(e, y.data(), rows * n, stream), wanted), tolerance(e));
      }
}

TEST(Kernels, FillAndSoftmaxAreWhatTheHostComputes) {
  HEADROOM_NEEDS_GPU();
  OwnedStream stream;
  for (const Element e : kElements) {
    const Numbers wanted(e, 1000, 42, 0.02f, 1);
    DeviceBuffer filled(2000);
    fill_random(e, filled.data(), 1000, 42, 0.02f, 1, stream);
    stream.synchronize();
    EXPECT_EQ(download(e, filled.data(), 1000, stream), wanted.values);

    const std::int64_t queries = 5, keys = 40;
    const Numbers scores(e, 2 * queries * keys, 3, 4);
    const DeviceBuffer in = scores.upload(stream);
    launch(CausalSoftmax{e, in.data(), 0.5f, 2, queries, keys}, stream);
    stream.synchronize();
    std::vector<double> probabilities(scores.values.size());
    for (std::int64_t row = 0; row < 2 * queries; ++row) {
      double sum = 0;
      const std::int64_t seen = keys - queries + row % queries + 1;
      for (std::int64_t i = 0; i < seen; ++i)
        sum += std::exp(0.5 * scores.values[static_cast<std::size_t>(row * keys + i)]);
      for (std::int64_t i = 0; i < seen; ++i)
        probabilities[static_cast<std::size_t>(row * keys + i)] =
            std::exp(0.5 * scores.values[static_cast<std::size_t>(row * keys + i)]) / sum;
    }
    EXPECT_LT(relative_error(download(e, in.data(), 2 * queries * keys, stream), probabilities), tolerance(e));
  }
}

}  // namespace
}  // namespace headroom
