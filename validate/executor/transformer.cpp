#include "validate/executor/transformer.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "models/units.h"
#include "validate/kernels/decode_pieces.h"
#include "validate/kernels/elementwise.h"

namespace headroom {
namespace {

constexpr std::int64_t kElementBytes = 2;
constexpr std::int64_t kRowGrain = 16;  // rows of steps that are no graphs are padded to a multiple

// Everything a step's kernels read besides weights, in one buffer that is copied at once. Offsets are fixed, so that
// recorded graphs find the next step's numbers in the same place.
struct Inputs {
  std::int64_t tokens, positions, logit_rows, slots;                          // by row
  std::int64_t decode_contexts, decode_begins, decode_tables, decode_firsts;  // by decoding sequence
  std::int64_t decode_pieces;
  std::int64_t tiles, chunk_rows, chunk_tokens, chunk_contexts, chunk_begins, chunk_tables, chunk_firsts;
  std::int64_t decode_bytes, bytes;

  Inputs(const TransformerOptions& o, std::int64_t blocks, std::int64_t most_pieces) {
    std::int64_t at = 0;
    const auto take = [&](std::int64_t count, std::int64_t size) {
      const std::int64_t offset = at;
      at = round_up(at + count * size, 64);
      return offset;
    };
    const std::int64_t n = o.max_sequences;
    slots = take(o.max_rows, 8);
    tokens = take(o.max_rows, 4);
    positions = take(o.max_rows, 4);
    logit_rows = take(n, 4);
    decode_contexts = take(n, 4);
    decode_begins = take(n, 4);
    decode_firsts = take(n, 8);
    decode_pieces = take(most_pieces, static_cast<std::int64_t>(sizeof(DecodePiece)));
    tiles = take(o.max_rows / kQueryTile + n, static_cast<std::int64_t>(sizeof(QueryTile)));
    chunk_rows = take(n, 4);
    chunk_tokens = take(n, 4);
    chunk_contexts = take(n, 4);
    chunk_begins = take(n, 4);
    chunk_firsts = take(n, 8);
    decode_tables = take(n * blocks, 4);
    decode_bytes = at;
    chunk_tables = take(n * blocks, 4);
    bytes = at;
  }
};

}  // namespace

struct Transformer::Impl {
  ModelShape m;
  TransformerOptions o;
  WeightLayout layout;
  std::int64_t blocks;  // of the longest sequence
  std::int32_t num_sms;
  Inputs in;
  OwnedStream stream;
  StreamTimer timer;
  Gemm gemm;
  DeviceBuffer weights, kv, inputs, cos_sin;
  DeviceBuffer hidden, normed, qkv, attended, update, up, inner, logits, floats, sampled, parts, arrivals;
  PinnedBuffer host, host_sampled;
  std::map<std::int64_t, Graph> graphs;  // decode steps, by rows
  std::vector<std::int32_t> tokens;
  std::int64_t num_tiles = 0, num_chunks = 0, num_logits = 0;

  Impl(const ModelShape& model, TransformerOptions options)
      : m(model),
        o(padded(std::move(options))),
        layout(weight_layout(model)),
        blocks(o.block_size > 0 ? ceil_div(o.max_length, o.block_size) : 0),
        num_sms(device_facts().num_sms),
        in(o, blocks, most_pieces(o.max_sequences)),
        weights(layout.elements * kElementBytes),
        kv(2 * m.num_layers * o.slots * m.kv_size() * kElementBytes),
        inputs(in.bytes),
        host(in.bytes),
        host_sampled(4 * o.max_sequences) {
    if (const char* reason = why_not_executed(m)) throw std::invalid_argument(reason);
    for (const WeightTensor& t : layout.tensors)
      fill_random(o.element, at(t), t.count(), t.seed, t.scale, t.shift, stream);
    fill_random(o.element, kv.data(), std::min<std::int64_t>(kv.bytes(), 1 << 20) / kElementBytes, 77, 1, 0, stream);
    const std::vector<float> turns = rotary_table(o.max_length + 1, m.head_dim);
    cos_sin = on_device(std::span<const float>(turns), stream);
    std::memset(host.data(), 0, static_cast<std::size_t>(host.bytes()));
    const std::int64_t rows = o.max_rows, a = kElementBytes, h = m.hidden_size, q = m.query_size();
    hidden = DeviceBuffer(rows * h * a);
    normed = DeviceBuffer(rows * h * a);
    qkv = DeviceBuffer(rows * (q + 2 * m.kv_size()) * a);
    attended = DeviceBuffer(rows * q * a);
    update = DeviceBuffer(rows * h * a);
    up = DeviceBuffer(rows * (m.gated_mlp ? 2 : 1) * m.intermediate_size * a);
    inner = DeviceBuffer(rows * m.intermediate_size * a);
    logits = DeviceBuffer(o.max_sequences * m.vocab_size * a);
    floats = DeviceBuffer(o.max_sequences * m.vocab_size * 4);
    sampled = DeviceBuffer(4 * o.max_sequences);
    parts = DeviceBuffer(decode_parts_bytes(shape(), most_pieces(o.max_sequences)));
    arrivals = DeviceBuffer(o.max_sequences * m.num_kv_heads * 4);
    for (const DeviceBuffer* b : {&arrivals, &attended, &hidden, &normed, &qkv, &update, &up, &inner})
      set_zero(b->data(), b->bytes(), stream);
    stream.synchronize();
    prepare();
  }

  static TransformerOptions padded(TransformerOptions options) {
    options.max_rows = round_up(std::max(options.max_rows, options.max_sequences), 64);
    if (!options.graph_sizes.empty()) options.max_rows = std::max(options.max_rows, options.graph_sizes.back());
    for (const std::int64_t size : options.graph_sizes) options.max_sequences = std::max(options.max_sequences, size);
    return options;
  }

  AttentionShape shape() const {
    return {o.element, static_cast<std::int32_t>(m.num_heads), static_cast<std::int32_t>(m.num_kv_heads),
            static_cast<std::int32_t>(m.head_dim)};
  }
  std::int64_t most_pieces(std::int64_t sequences) const { return most_decode_pieces(shape(), sequences, num_sms); }
  std::byte* at(const WeightTensor& t) const { return weights.at(t.offset * kElementBytes); }
  std::byte* tensor(int i) const { return i < 0 ? nullptr : at(layout.at(i)); }
  template <class T>
  T* input(std::int64_t offset) const {
    return reinterpret_cast<T*>(inputs.at(offset));
  }
  template <class T>
  T* on_host(std::int64_t offset) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(host.data()) + offset);
  }

  std::int64_t padded(std::int64_t rows, bool only_decodes) const {
    if (only_decodes && !o.graph_sizes.empty() && rows <= o.graph_sizes.back())
      return *std::lower_bound(o.graph_sizes.begin(), o.graph_sizes.end(), rows);
    return round_up(rows, kRowGrain);
  }

  // Every product runs once and every recorded size is recorded before anything is timed: cuBLASLt chooses, and the
  // driver loads, a kernel when it is first asked for it.
  void prepare() {
    copy_to_device(inputs.data(), host.data(), in.bytes, stream);
    for (const DeviceBuffer* x : {&normed, &attended, &inner})  // zeros would be multiplied faster than numbers
      fill_random(o.element, x->data(), x->bytes() / kElementBytes, 5, 1, 0, stream);
    for (const std::int64_t rows : o.graph_sizes) warm_products(rows);
    for (std::int64_t rows = kRowGrain; rows <= o.max_rows; rows += kRowGrain) warm_products(rows);
    for (std::int64_t rows = 1; rows <= o.max_sequences; ++rows) warm(layout.lm_head, -1, rows, normed, logits);
    for (const std::int64_t rows : o.graph_sizes) {
      for (std::int64_t i = 0; i < rows; ++i) on_host<std::int64_t>(in.slots)[i] = -1;
      split(rows);  // contexts are zero: every row is padding
      copy_to_device(inputs.data(), host.data(), in.bytes, stream);
      forward(rows, rows, rows, stream);
      stream.synchronize();
      graphs.emplace(rows, Graph(stream, [&](Stream s) { forward(rows, rows, rows, s); }));
    }
    warm_attention();
  }

  void warm(int weight, int bias, std::int64_t rows, const DeviceBuffer& x, const DeviceBuffer& y) {
    gemm.tune(product(weight, bias, rows), x.data(), tensor(weight), y.data(), stream);
    multiply(weight, bias, rows, x, y, stream);
  }
  void warm_products(std::int64_t rows) {
    const LayerTensors& t = layout.layers.front();
    warm(t.qkv, t.qkv_bias, rows, normed, qkv);
    warm(t.out, t.out_bias, rows, attended, update);
    warm(t.up, t.up_bias, rows, normed, up);
    warm(t.down, t.down_bias, rows, inner, update);
  }

  // The kernels of a step with a prompt, once, on slots of the pool that nobody holds yet.
  void warm_attention() {
    if (o.slots < 2 * kQueryTile || o.max_rows < kQueryTile) return;
    std::vector<std::int32_t> tokens_of(static_cast<std::size_t>(std::min<std::int64_t>(kQueryTile, o.max_length - 1)));
    std::vector<std::int32_t> some_blocks;
    if (o.block_size > 0)
      for (std::int32_t b = 0; b * o.block_size <= static_cast<std::int32_t>(tokens_of.size()); ++b)
        some_blocks.push_back(b);
    const StepRow chunk{tokens_of, 0, 0, some_blocks, 0, true};
    step({}, std::span(&chunk, 1));
    const StepRow decode{
        std::span(tokens_of).first(1), static_cast<std::int32_t>(tokens_of.size()), 0, some_blocks, 0, true};
    step(std::span(&decode, 1), {});
  }

  GemmShape product(int weight, int bias, std::int64_t rows) const {
    const WeightTensor& t = layout.at(weight);
    return {gemm_type(o.element), rows, t.rows, t.columns, bias >= 0};
  }
  void multiply(int weight, int bias, std::int64_t rows, const DeviceBuffer& x, const DeviceBuffer& y, Stream s) {
    gemm.launch(product(weight, bias, rows), x.data(), tensor(weight), tensor(bias), y.data(), s);
  }
  void norm(int weight, int bias, const DeviceBuffer* added, std::int64_t rows, Stream s) const {
    Norm n{o.element};
    n.residual = hidden.data();
    n.update = added == nullptr ? nullptr : added->data();
    n.weight = tensor(weight);
    n.bias = tensor(bias);
    n.out = normed.data();
    n.rows = rows;
    n.width = m.hidden_size;
    launch(n, s);
  }

  KvView kv_of(std::int64_t layer, std::int64_t tables, std::int64_t firsts) const {
    const std::int64_t bytes = o.slots * m.kv_size() * kElementBytes;
    KvView view;
    view.keys = kv.at(2 * layer * bytes);
    view.values = kv.at((2 * layer + 1) * bytes);
    if (o.block_size > 0) {
      view.block_tables = input<std::int32_t>(tables);
      view.table_stride = blocks;
      view.block_size = o.block_size;
    } else {
      view.first_slots = input<std::int64_t>(firsts);
    }
    return view;
  }

  void attend(std::int64_t layer, std::int64_t decodes, Stream s) const {
    const std::int64_t stride = m.query_size() + 2 * m.kv_size();
    if (decodes > 0) {
      DecodeAttention a;
      a.shape = shape();
      a.kv = kv_of(layer, in.decode_tables, in.decode_firsts);
      a.queries = qkv.data();
      a.query_stride = stride;
      a.output = attended.data();
      a.contexts = input<std::int32_t>(in.decode_contexts);
      a.key_begins = input<std::int32_t>(in.decode_begins);
      a.sequences = decodes;
      a.pieces = input<DecodePiece>(in.decode_pieces);
      a.num_pieces = most_decode_pieces(a.shape, decodes, num_sms);
      a.parts = parts.as<float>();
      a.arrivals = arrivals.as<std::uint32_t>();
      launch(a, s);
    }
    if (num_tiles > 0) {
      PrefillAttention a;
      a.shape = shape();
      a.kv = kv_of(layer, in.chunk_tables, in.chunk_firsts);
      a.queries = qkv.data();
      a.query_stride = stride;
      a.output = attended.data();
      a.tiles = input<QueryTile>(in.tiles);
      a.num_tiles = num_tiles;
      a.first_rows = input<std::int32_t>(in.chunk_rows);
      a.new_tokens = input<std::int32_t>(in.chunk_tokens);
      a.contexts = input<std::int32_t>(in.chunk_contexts);
      a.key_begins = input<std::int32_t>(in.chunk_begins);
      launch(a, s);
    }
  }

  // `rows` tokens, the first `decodes` of them decoding; logits for `sampled_rows` of them.
  void forward(std::int64_t rows, std::int64_t decodes, std::int64_t sampled_rows, Stream s) {
    const std::int64_t stride = m.query_size() + 2 * m.kv_size(), kv_bytes = o.slots * m.kv_size() * kElementBytes;
    Embedding e{o.element};
    e.tokens = input<std::int32_t>(in.tokens);
    e.table = tensor(layout.embedding);
    e.positions = input<std::int32_t>(in.positions);
    e.position_table = tensor(layout.positions);
    e.position_offset = 2;
    e.hidden = hidden.data();
    e.rows = rows;
    e.width = m.hidden_size;
    launch(e, s);
    for (std::int64_t layer = 0; layer < m.num_layers; ++layer) {
      const LayerTensors& t = layout.layers[static_cast<std::size_t>(layer)];
      norm(t.norm1, t.norm1_bias, layer == 0 ? nullptr : &update, rows, s);
      multiply(t.qkv, t.qkv_bias, rows, normed, qkv, s);
      if (m.qk_norm)
        launch(HeadNorm{o.element, qkv.data(), stride, tensor(t.q_norm), tensor(t.k_norm), 1e-6f, rows,
                        static_cast<std::int32_t>(m.num_heads), static_cast<std::int32_t>(m.num_kv_heads),
                        static_cast<std::int32_t>(m.head_dim)},
               s);
      if (layout.positions < 0)
        launch(Rope{o.element, qkv.data(), stride, input<std::int32_t>(in.positions), cos_sin.as<float>(), rows,
                    static_cast<std::int32_t>(m.num_heads + m.num_kv_heads), static_cast<std::int32_t>(m.head_dim)},
               s);
      launch(KvWrite{o.element, qkv.data(), stride, m.query_size(), m.kv_size(), input<std::int64_t>(in.slots),
                     kv.at(2 * layer * kv_bytes), kv.at((2 * layer + 1) * kv_bytes), rows},
             s);
      attend(layer, decodes, s);
      multiply(t.out, t.out_bias, rows, attended, update, s);
      norm(t.norm2, t.norm2_bias, &update, rows, s);
      multiply(t.up, t.up_bias, rows, normed, up, s);
      launch(Activate{o.element, m.gated_mlp ? Activation::kSiluMul : Activation::kRelu, up.data(), inner.data(), rows,
                      m.intermediate_size},
             s);
      multiply(t.down, t.down_bias, rows, inner, update, s);
    }
    norm(layout.final_norm, layout.final_norm_bias, &update, rows, s);
    if (sampled_rows == 0) return;
    const bool all_decode = num_tiles == 0;
    if (!all_decode)
      launch(Gather{o.element, normed.data(), input<std::int32_t>(in.logit_rows), inner.data(), sampled_rows,
                    m.hidden_size},
             s);
    multiply(layout.lm_head, -1, sampled_rows, all_decode ? normed : inner, logits, s);
    launch(Sample{o.element, logits.data(), floats.as<float>(), sampled.as<std::int32_t>(), sampled_rows, m.vocab_size},
           s);
  }

  // Writes one sequence's numbers from row `row` on; returns the row after it.
  std::int64_t write(const StepRow& r, std::int64_t row) const {
    for (std::size_t i = 0; i < r.tokens.size(); ++i, ++row) {
      const auto place = r.past + static_cast<std::int32_t>(i);
      on_host<std::int32_t>(in.tokens)[row] = std::max(r.tokens[i], 0);
      on_host<std::int32_t>(in.positions)[row] = std::max(place - r.padding, 0);
      on_host<std::int64_t>(in.slots)[row] =
          o.block_size > 0
              ? static_cast<std::int64_t>(r.blocks[static_cast<std::size_t>(place / o.block_size)]) * o.block_size +
                    place % o.block_size
              : r.first_slot + place;
    }
    return row;
  }
  void write_place(const StepRow& r, std::int64_t i, std::int64_t tables, std::int64_t firsts) const {
    if (o.block_size > 0) {
      std::memcpy(on_host<std::int32_t>(tables) + i * blocks, r.blocks.data(), r.blocks.size_bytes());
    } else {
      on_host<std::int64_t>(firsts)[i] = r.first_slot;
    }
  }

  void split(std::int64_t sequences) const {
    const auto n = static_cast<std::size_t>(sequences);
    split_decode(shape(), {on_host<std::int32_t>(in.decode_contexts), n}, num_sms,
                 {on_host<DecodePiece>(in.decode_pieces),
                  static_cast<std::size_t>(most_decode_pieces(shape(), sequences, num_sms))});
  }

  void step(std::span<const StepRow> decodes, std::span<const StepRow> chunks) {
    const auto num_decodes = static_cast<std::int64_t>(decodes.size());
    std::int64_t row = 0;
    for (std::int64_t i = 0; i < num_decodes; ++i) {
      const StepRow& r = decodes[static_cast<std::size_t>(i)];
      on_host<std::int32_t>(in.logit_rows)[i] = static_cast<std::int32_t>(row);
      on_host<std::int32_t>(in.decode_contexts)[i] = r.past + 1;
      on_host<std::int32_t>(in.decode_begins)[i] = r.padding;
      write_place(r, i, in.decode_tables, in.decode_firsts);
      row = write(r, row);
    }
    num_logits = num_decodes;
    num_tiles = num_chunks = 0;
    for (const StepRow& r : chunks) {
      const auto count = static_cast<std::int32_t>(r.tokens.size());
      on_host<std::int32_t>(in.chunk_rows)[num_chunks] = static_cast<std::int32_t>(row);
      on_host<std::int32_t>(in.chunk_tokens)[num_chunks] = count;
      on_host<std::int32_t>(in.chunk_contexts)[num_chunks] = r.past + count;
      on_host<std::int32_t>(in.chunk_begins)[num_chunks] = r.padding;
      write_place(r, num_chunks, in.chunk_tables, in.chunk_firsts);
      for (std::int32_t first = 0; first < count; first += kQueryTile)
        on_host<QueryTile>(in.tiles)[num_tiles++] = {static_cast<std::int32_t>(num_chunks), first};
      row = write(r, row);
      if (r.samples) on_host<std::int32_t>(in.logit_rows)[num_logits++] = static_cast<std::int32_t>(row - 1);
      ++num_chunks;
    }
    if (row > o.max_rows || num_logits > o.max_sequences) throw std::logic_error("a step larger than its buffers");
    const std::int64_t rows = padded(row, chunks.empty());
    for (std::int64_t i = row; i < rows; ++i) {
      on_host<std::int32_t>(in.tokens)[i] = on_host<std::int32_t>(in.positions)[i] = 0;
      on_host<std::int64_t>(in.slots)[i] = -1;
    }
    const auto graph = chunks.empty() ? graphs.find(rows) : graphs.end();
    const std::int64_t decode_rows = graph != graphs.end() ? rows : num_decodes;
    for (std::int64_t i = num_decodes; i < decode_rows; ++i)
      on_host<std::int32_t>(in.decode_contexts)[i] = on_host<std::int32_t>(in.decode_begins)[i] = 0;
    if (decode_rows > 0) split(decode_rows);
    copy_to_device(inputs.data(), host.data(), chunks.empty() ? in.decode_bytes : in.bytes, stream);
    timer.start(stream);
    if (graph != graphs.end()) {
      graph->second.launch(stream);
    } else {
      forward(rows, num_decodes, num_logits, stream);
    }
    timer.stop(stream);
    copy_to_host(host_sampled.data(), sampled.data(), 4 * num_logits, stream);
    stream.synchronize();
    const auto* next = static_cast<const std::int32_t*>(host_sampled.data());
    tokens.assign(next, next + num_decodes);
    next += num_decodes;
    for (const StepRow& r : chunks) tokens.push_back(r.samples ? *next++ : -1);
  }
};

Transformer::Transformer(const ModelShape& model, TransformerOptions options)
    : impl_(std::make_unique<Impl>(model, std::move(options))) {}
Transformer::~Transformer() = default;

const std::vector<std::int32_t>& Transformer::step(std::span<const StepRow> decodes, std::span<const StepRow> chunks) {
  impl_->step(decodes, chunks);
  return impl_->tokens;
}
double Transformer::gpu_seconds() const {
  return impl_->timer.seconds();
}
const void* Transformer::logits() const {
  return impl_->logits.data();
}
Stream Transformer::stream() const {
  return impl_->stream;
}
std::int64_t Transformer::weight_bytes() const {
  return impl_->weights.bytes();
}
std::int64_t Transformer::kv_bytes() const {
  return impl_->kv.bytes();
}
std::int64_t Transformer::activation_bytes() const {
  std::int64_t sum = 0;
  for (const DeviceBuffer* b : {&impl_->hidden, &impl_->normed, &impl_->qkv, &impl_->attended, &impl_->update,
                                &impl_->up, &impl_->inner, &impl_->logits, &impl_->floats, &impl_->sampled,
                                &impl_->parts, &impl_->arrivals, &impl_->inputs, &impl_->cos_sin})
    sum += b->bytes();
  return sum;
}

}  // namespace headroom
