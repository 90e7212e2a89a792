// Products by cuBLASLt. Weights rotate; rows are read again, as a step's previous kernel leaves them in the L2 cache.
#include "validate/microbench/bench_device.h"

namespace headroom {
namespace {

constexpr std::int64_t kManyRows = 512;  // from here on arithmetic bounds them

}  // namespace

void add_gemms(const MeasurementPlan& plan, BenchDevice& device) {
  for (const GemmShape& shape : plan.gemms) {
    BenchDevice::Work work;
    work.point.family = Family::kGemm;
    work.point.label = name_of(shape.type);
    work.point.key = {shape.rows, shape.n, shape.k};
    work.cold = true;
    work.rests = shape.rows >= kManyRows;
    work.setup = [&device, shape] {
      device.fill_for(shape.type);
      if (device.gemm().prepare(shape))
        device.gemm().tune(shape, device.inputs(), device.rotated(0, shape.n * shape.k * bytes_of(shape.type)),
                           device.outputs(), device.stream());
    };
    work.kernel = [&device, shape](Stream stream, std::int64_t i) {
      device.gemm().launch(shape, device.inputs(), device.rotated(i, shape.n * shape.k * bytes_of(shape.type)), nullptr,
                           device.outputs(), stream);
    };
    device.add(std::move(work));
  }
}

}  // namespace headroom
