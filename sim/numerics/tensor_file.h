// Files of tensors, memory-mapped: safetensors and npy. A file may be larger than memory, its pages come and go.
//
// Any bytes end in tensors that lie inside the file or in a TensorFileError that names the byte. Limits: a header of
// 100 MB (safetensors' own limit) or 1 MiB (npy), 32 dimensions, 2^62 bytes. A file that another process cuts short
// while it is mapped ends the program (SIGBUS), as with every mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

// "FILE: error: at byte N: what; expected ...". Exit code 2.
class TensorFileError : public std::runtime_error {
 public:
  TensorFileError(const std::string& file, std::uint64_t byte, std::string_view message);
  TensorFileError(const std::string& file, std::string_view message);  // the file as a whole
};

// Elements as they lie in the file, little-endian. Those that are no floating-point numbers are listed, not read.
enum class StoredType { kFloat64, kFloat32, kFloat16, kBfloat16, kFp8E4m3, kFp8E5m2, kOther };

struct Tensor {
  std::string name;
  StoredType type = StoredType::kOther;
  std::string type_name;  // as the file spells it
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;  // of its data in the file
  std::span<const std::byte> data;

  std::int64_t elements() const;
  // The last dimension is contiguous: a tensor is rows of columns. A vector is one row, a scalar one number.
  std::int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  std::int64_t rows() const { return columns() == 0 ? 0 : elements() / columns(); }
};
// Numbers `from` to `from + out.size()` of the tensor. float64 is rounded to float. Requires a floating-point type.
void read_numbers(const Tensor& tensor, std::int64_t from, std::span<float> out);

// The whole file mapped for reading.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

class TensorFile {
 public:
  // By its first bytes: npy's magic, else safetensors.
  explicit TensorFile(const std::string& path);
  const std::string& path() const { return path_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }  // in the order of the file
  bool is_npy() const { return npy_; }
  // Gives back the memory of a tensor's pages; they are read from the file again when they are needed.
  void release(const Tensor& tensor) const;

 private:
  std::string path_;
  MappedFile mapping_;
  bool npy_ = false;
  std::vector<Tensor> tensors_;
};

// What TensorFile reads with, on bytes in memory; `file` is for messages.
bool looks_like_npy(std::span<const std::byte> bytes);
std::vector<Tensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& file);
Tensor parse_npy(std::span<const std::byte> bytes, const std::string& file);

}  // namespace headroom
