// Any bytes end in tensors inside the file, whose numbers can all be read, or in a TensorFileError.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "sim/numerics/tensor_file.h"

namespace {

void read_all(const headroom::Tensor& t, std::span<const std::byte> file) {
  if (!t.data.empty() && (t.data.data() < file.data() || t.data.data() + t.data.size() > file.data() + file.size()))
    std::abort();
  if (t.type == headroom::StoredType::kOther) return;
  std::vector<float> values(static_cast<std::size_t>(std::clamp<std::int64_t>(t.elements(), 0, 1 << 16)));
  headroom::read_numbers(t, 0, values);
  headroom::read_numbers(t, t.elements() - static_cast<std::int64_t>(values.size()), values);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    read_all(headroom::parse_npy(bytes, "x"), bytes);
  } catch (const headroom::TensorFileError&) {
  }
  try {
    for (const headroom::Tensor& t : headroom::parse_safetensors(bytes, "x")) read_all(t, bytes);
  } catch (const headroom::TensorFileError&) {
  }
  return 0;
}
