// Kernels that move bytes, copies between host and device, and what a launch costs.
#include <algorithm>
#include <chrono>
#include <memory>

#include "validate/kernels/elementwise.h"
#include "validate/microbench/bench_device.h"

namespace headroom {
namespace {

constexpr Element kElement = Element::kBfloat16;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A kernel of about `bytes` bytes: rows of an 8-billion-parameter Llama's widths, fewer elements below one row.
struct StreamShape {
  std::int64_t rows, width, bytes;
  StreamShape(std::int64_t wanted, std::int64_t moved_per_element, std::int64_t widest) {
    width = std::min(widest, std::max<std::int64_t>(128, wanted / moved_per_element / 128 * 128));
    rows = std::max<std::int64_t>(1, wanted / (width * moved_per_element));
    bytes = rows * width * moved_per_element;
  }
};

void add_stream(const StreamingPoint& p, BenchDevice& device) {
  BenchDevice::Work work;
  work.point.family = Family::kStreaming;
  work.point.label = name_of(p.kernel);
  auto numbers = std::make_shared<DeviceBuffer>();
  auto slots = std::make_shared<DeviceBuffer>();
  const auto rows_from = [numbers, &device](std::int64_t rows, std::int64_t most) {
    device.fill_for(GemmType::kBfloat16);
    std::vector<std::int32_t> values;
    for (std::int64_t r = 0; r < rows; ++r) values.push_back(static_cast<std::int32_t>(r * 7919 % most));
    *numbers = device.upload(values);
  };
  switch (p.kernel) {
    case StreamingKernel::kNorm: {
      const StreamShape s(p.bytes, 8, 4096);
      work.point.key = {s.bytes};
      work.setup = [&device] { device.fill_for(GemmType::kBfloat16); };
      work.kernel = [&device, s](Stream stream, std::int64_t) {
        Norm n{kElement};
        n.residual = device.inputs();
        n.update = n.out = device.outputs();
        n.weight = device.rotated(0, 2 * s.width);
        n.rows = s.rows;
        n.width = s.width;
        launch(n, stream);
      };
      break;
    }
    case StreamingKernel::kRope: {
      const StreamShape s(p.bytes, 4, 5120);
      work.point.key = {s.bytes};
      work.setup = [rows_from, s] { rows_from(s.rows, 4096); };
      work.kernel = [&device, numbers, s](Stream stream, std::int64_t) {
        launch(Rope{kElement, device.inputs(), s.width, numbers->as<std::int32_t>(),
                    static_cast<const float*>(device.rotated(0, 4096 * 128 * 4)), s.rows,
                    static_cast<std::int32_t>(s.width / 128), 128},
               stream);
      };
      break;
    }
    case StreamingKernel::kSiluMul: {
      const StreamShape s(p.bytes, 6, 14336);
      work.point.key = {s.bytes};
      work.setup = [&device] { device.fill_for(GemmType::kBfloat16); };
      work.kernel = [&device, s](Stream stream, std::int64_t) {
        launch(Activate{kElement, Activation::kSiluMul, device.inputs(), device.outputs(), s.rows, s.width}, stream);
      };
      break;
    }
    case StreamingKernel::kKvWrite: {
      const StreamShape s(p.bytes, 8, 1024);
      work.point.key = {s.bytes};
      work.setup = [&device, slots, s] {
        device.fill_for(GemmType::kBfloat16);
        std::vector<std::int64_t> values;
        for (std::int64_t r = 0; r < s.rows; ++r) values.push_back(r / 16 * 7919 % s.rows / 16 * 16 + r % 16);
        *slots = on_device(std::span<const std::int64_t>(values), device.stream());
        static_cast<void>(device.upload({0}));  // waits for the copy
      };
      work.kernel = [&device, slots, s](Stream stream, std::int64_t) {
        launch(KvWrite{kElement, device.inputs(), 2 * s.width, 0, s.width, slots->as<std::int64_t>(),
                       device.rotated(0, s.bytes, 0, 2), device.rotated(0, s.bytes, 1, 2), s.rows},
               stream);
      };
      break;
    }
    case StreamingKernel::kEmbedding: {
      const StreamShape s(p.bytes, 4, 4096);
      const std::int64_t vocabulary = std::min<std::int64_t>(32'000, device.arena_bytes() / (2 * s.width));
      work.point.key = {s.bytes};
      work.setup = [rows_from, s, vocabulary] { rows_from(s.rows, vocabulary); };
      work.kernel = [&device, numbers, s](Stream stream, std::int64_t) {
        Embedding e{kElement};
        e.tokens = numbers->as<std::int32_t>();
        e.table = device.rotated(0, 0);
        e.hidden = device.outputs();
        e.rows = s.rows;
        e.width = s.width;
        launch(e, stream);
      };
      break;
    }
    case StreamingKernel::kGrowCache: {
      const StreamShape s(p.bytes, 4 * 8, 1024);  // eight rows of a batch
      work.point.key = {s.bytes};
      work.setup = [&device] { device.fill_for(GemmType::kBfloat16); };
      work.kernel = [&device, s](Stream stream, std::int64_t i) {
        launch(GrowCache{kElement, device.rotated(i, s.bytes / 2, 0, 2), device.inputs(),
                         device.rotated(i, s.bytes / 2 + 16 * s.width, 1, 2), 8, s.rows, s.width},
               stream);
      };
      break;
    }
    case StreamingKernel::kCopy:
      work.point.key = {p.bytes};
      work.kernel = [&device, p](Stream stream, std::int64_t i) {
        copy_stream(device.rotated(i, p.bytes / 2, 0, 2), device.rotated(i, p.bytes / 2, 1, 2), p.bytes / 2, stream);
      };
      break;
    case StreamingKernel::kRead:
      work.point.key = {p.bytes};
      work.kernel = [&device, p](Stream stream, std::int64_t i) {
        read_stream(static_cast<float*>(device.outputs()), device.rotated(i, p.bytes), p.bytes, stream);
      };
      break;
  }
  device.add(std::move(work));
}

}  // namespace

void add_streams(const MeasurementPlan& plan, BenchDevice& device) {
  for (const StreamingPoint& p : plan.streams) add_stream(p, device);
  for (const SamplingPoint& p : plan.samplings) {
    BenchDevice::Work work;
    work.point.family = Family::kSampling;
    work.point.label = "bfloat16";
    work.point.key = {p.rows, p.vocabulary};
    auto tokens = std::make_shared<DeviceBuffer>();
    work.setup = [=, &device] {
      device.fill_for(GemmType::kBfloat16);
      *tokens = DeviceBuffer(4 * p.rows);
    };
    work.kernel = [=, &device](Stream stream, std::int64_t) {
      launch(Sample{kElement, device.inputs(), static_cast<float*>(device.outputs()), tokens->as<std::int32_t>(),
                    p.rows, p.vocabulary},
             stream);
    };
    device.add(std::move(work));
  }
}

void add_host_copies(const MeasurementPlan& plan, BenchDevice& device) {
  std::int64_t most = 0;
  for (const CopyPoint& p : plan.copies) most = std::max(most, p.bytes * p.pieces);
  auto pinned = std::make_shared<PinnedBuffer>(most);
  auto pageable = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(most), std::byte{1});
  for (const CopyPoint& p : plan.copies) {
    MeasuredPoint point;
    point.family = Family::kHostCopy;
    point.label = std::string(p.to_device ? "to-device" : "to-host") + (p.pinned ? "-pinned" : "-pageable");
    point.key = {p.bytes, p.pieces};
    device.add_timed(std::move(point), [=, &device] {
      auto* host = p.pinned ? static_cast<std::byte*>(pinned->data()) : pageable->data();
      static_cast<void>(device.upload({0}));
      const double start = now();
      for (std::int64_t i = 0; i < p.pieces; ++i) {
        // Pieces lie apart on the device, as the blocks of a pool do.
        void* there = device.rotated(i * 3, p.bytes);
        if (p.to_device) {
          copy_to_device(there, host + i * p.bytes, p.bytes, device.stream());
        } else {
          copy_to_host(host + i * p.bytes, there, p.bytes, device.stream());
        }
      }
      wait_for(device.stream());
      return now() - start;
    });
  }
}

void add_overheads(BenchDevice& device) {
  const auto add = [&](const char* label, std::int64_t kernels, std::function<double()> run) {
    MeasuredPoint point;
    point.family = Family::kOverhead;
    point.label = label;
    point.key = {kernels};
    device.add_timed(std::move(point), std::move(run));
  };
  constexpr std::int64_t kKernels = 200, kChain = 128;
  add("launch-on-host", kKernels, [&device] {
    wait_for(device.stream());
    const double start = now();
    for (std::int64_t i = 0; i < kKernels; ++i) launch_empty(device.stream());
    const double time = now() - start;
    wait_for(device.stream());
    return time / static_cast<double>(kKernels);
  });
  auto timer = std::make_shared<StreamTimer>();
  add("dependent-in-stream", kKernels, [&device, timer] {
    launch_wait(2e-3, device.stream());  // all launches are queued before the first runs
    timer->start(device.stream());
    for (std::int64_t i = 0; i < kKernels; ++i) launch_empty(device.stream());
    timer->stop(device.stream());
    return timer->seconds() / static_cast<double>(kKernels);
  });
  auto graph = std::make_shared<Graph>(device.stream(), [](Stream s) {
    for (std::int64_t i = 0; i < kKernels; ++i) launch_empty(s);
  });
  add("dependent-in-graph", kKernels, [&device, timer, graph] {
    launch_wait(100e-6, device.stream());
    timer->start(device.stream());
    graph->launch(device.stream());
    timer->stop(device.stream());
    return timer->seconds() / static_cast<double>(kKernels);
  });
  // A layer's kernels for few rows, weights rotating: what following each other outside of a graph adds to each.
  const auto layers = [&device](Stream s) {
    constexpr std::int64_t kRows = 16, kWidth = 2048, kInner = 8192;
    const auto product = [&](std::int64_t i, std::int64_t n, std::int64_t k) {
      device.gemm().launch(GemmShape{GemmType::kBfloat16, kRows, n, k, false}, device.inputs(),
                           device.rotated(i, 2 * n * k), nullptr, device.outputs(), s);
    };
    for (std::int64_t layer = 0; layer < kChain / 8; ++layer) {
      Norm norm{kElement};
      norm.residual = device.inputs();
      norm.update = norm.out = device.outputs();
      norm.weight = device.rotated(0, 2 * kWidth);
      norm.rows = kRows;
      norm.width = kWidth;
      launch(norm, s);
      product(layer, kWidth * 3 / 2, kWidth);
      launch(Activate{kElement, Activation::kSiluMul, device.inputs(), device.outputs(), kRows, kWidth}, s);
      product(layer, kWidth, kWidth);
      launch(norm, s);
      product(layer, 2 * kInner, kWidth);
      launch(Activate{kElement, Activation::kSiluMul, device.inputs(), device.outputs(), kRows, kInner}, s);
      product(layer, kWidth, kInner);
    }
  };
  add("layers-in-stream", kChain, [&device, timer, layers] {
    launch_wait(4e-3, device.stream());
    timer->start(device.stream());
    layers(device.stream());
    timer->stop(device.stream());
    return timer->seconds() / static_cast<double>(kChain);
  });
  device.fill_for(GemmType::kBfloat16);
  layers(device.stream());  // kernels are loaded before a graph is recorded
  wait_for(device.stream());
  auto layer_graph = std::make_shared<Graph>(device.stream(), layers);
  add("layers-in-graph", kChain, [&device, timer, layer_graph] {
    launch_wait(100e-6, device.stream());
    timer->start(device.stream());
    layer_graph->launch(device.stream());
    timer->stop(device.stream());
    return timer->seconds() / static_cast<double>(kChain);
  });
  add("graph-launch-on-host", kKernels, [&device, graph] {
    wait_for(device.stream());
    const double start = now();
    graph->launch(device.stream());
    const double time = now() - start;
    wait_for(device.stream());
    return time;
  });
  add("launch-and-wait", 1, [&device] {
    wait_for(device.stream());
    const double start = now();
    launch_empty(device.stream());
    wait_for(device.stream());
    return now() - start;
  });
}

}  // namespace headroom
