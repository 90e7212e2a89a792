#include "sim/numerics/tensor_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "models/numerics/float_format.h"

namespace headroom {
namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class Stored, class Decode>
void read_as(std::span<const std::byte> data, std::int64_t from, std::span<float> out, const Decode& decode_one) {
  const std::byte* at = data.data() + static_cast<std::size_t>(from) * sizeof(Stored);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = decode_one(load<Stored>(at + i * sizeof(Stored)));
}

class Descriptor {
 public:
  explicit Descriptor(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

TensorFileError::TensorFileError(const std::string& file, std::uint64_t byte, std::string_view message)
    : std::runtime_error(fmt::format("{}: error: at byte {}: {}", file, byte, message)) {}
TensorFileError::TensorFileError(const std::string& file, std::string_view message)
    : std::runtime_error(fmt::format("{}: error: {}", file, message)) {}

std::int64_t Tensor::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) product *= size;
  return product;
}

void read_numbers(const Tensor& t, std::int64_t from, std::span<float> out) {
  switch (t.type) {
    case StoredType::kFloat64:
      return read_as<double>(t.data, from, out, [](double v) { return static_cast<float>(v); });
    case StoredType::kFloat32:
      return read_as<float>(t.data, from, out, [](float v) { return v; });
    case StoredType::kFloat16:
      return read_as<std::uint16_t>(t.data, from, out, [](std::uint16_t v) { return decode<kE5M10>(v); });
    case StoredType::kBfloat16:
      return read_as<std::uint16_t>(t.data, from, out, [](std::uint16_t v) { return decode<kE8M7>(v); });
    case StoredType::kFp8E4m3:
      return read_as<std::uint8_t>(t.data, from, out, [](std::uint8_t v) { return decode<kE4M3>(v); });
    case StoredType::kFp8E5m2:
      return read_as<std::uint8_t>(t.data, from, out, [](std::uint8_t v) { return decode<kE5M2>(v); });
    case StoredType::kOther:
      throw std::logic_error("read_numbers: " + t.type_name + " is no floating-point type");
  }
}

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file(path);
  if (file.fd() < 0) throw TensorFileError(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  struct stat status {};
  if (fstat(file.fd(), &status) != 0 || !S_ISREG(status.st_mode)) throw TensorFileError(path, "is no regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;  // nothing to map
  void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (at == MAP_FAILED) throw TensorFileError(path, fmt::format("cannot be mapped: {}", std::strerror(errno)));
  madvise(at, size, MADV_SEQUENTIAL);
  bytes_ = {static_cast<const std::byte*>(at), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

TensorFile::TensorFile(const std::string& path) : path_(path), mapping_(path) {
  npy_ = looks_like_npy(mapping_.bytes());
  if (npy_) {
    tensors_.push_back(parse_npy(mapping_.bytes(), path));
  } else {
    tensors_ = parse_safetensors(mapping_.bytes(), path);
  }
}

void TensorFile::release(const Tensor& tensor) const {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t begin = (static_cast<std::size_t>(tensor.offset) + page - 1) / page * page;
  const std::size_t end = (static_cast<std::size_t>(tensor.offset) + tensor.data.size()) / page * page;
  if (begin >= end) return;  // shares its pages with others
  madvise(const_cast<std::byte*>(mapping_.bytes().data()) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace headroom
