// The safetensors format: 8 bytes of header length, a JSON header, the tensors' bytes without gaps.
// Source: safetensors 0.8, README ("Format") and the checks of its reader.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/numerics/tensor_file.h"

namespace headroom {
namespace {

constexpr std::uint64_t kMostHeader = 100'000'000;
constexpr std::size_t kMostDimensions = 32;

struct TypeName {
  std::string_view name;
  StoredType type;
  std::int64_t bits;
};
constexpr std::array kTypes{TypeName{"F64", StoredType::kFloat64, 64},    TypeName{"F32", StoredType::kFloat32, 32},
                            TypeName{"F16", StoredType::kFloat16, 16},    TypeName{"BF16", StoredType::kBfloat16, 16},
                            TypeName{"F8_E4M3", StoredType::kFp8E4m3, 8}, TypeName{"F8_E5M2", StoredType::kFp8E5m2, 8},
                            TypeName{"F8_E8M0", StoredType::kOther, 8},   TypeName{"F6_E2M3", StoredType::kOther, 6},
                            TypeName{"F6_E3M2", StoredType::kOther, 6},   TypeName{"F4", StoredType::kOther, 4},
                            TypeName{"C64", StoredType::kOther, 64},      TypeName{"I64", StoredType::kOther, 64},
                            TypeName{"U64", StoredType::kOther, 64},      TypeName{"I32", StoredType::kOther, 32},
                            TypeName{"U32", StoredType::kOther, 32},      TypeName{"I16", StoredType::kOther, 16},
                            TypeName{"U16", StoredType::kOther, 16},      TypeName{"I8", StoredType::kOther, 8},
                            TypeName{"U8", StoredType::kOther, 8},        TypeName{"BOOL", StoredType::kOther, 8}};

// Walks the header and tells how far it has come, so that what is wrong can be placed.
class Position {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  Position(const char* at, const char** seen) : at_(at), seen_(seen) {}
  const char& operator*() const { return *at_; }
  Position& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  Position operator++(int) {
    const Position before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Position& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  const char** seen_;
};

// Takes the header's events one by one: nothing is nested deeper than a tensor's two lists, so neither is this.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(std::string_view header, const std::string& file, std::vector<Tensor>& tensors)
      : header_(header), file_(file), tensors_(tensors) {}

  void read() {
    // nlohmann's parser holds no recursion of its own and stops at the first event that says false; ours throw.
    nlohmann::json::sax_parse(Position(header_.data(), &seen_), Position(header_.data() + header_.size(), &seen_),
                              this);
    if (!done_) fail("the header ends early");
  }

  bool start_object(std::size_t) override {
    if (++depth_ > 2 || in_list_) fail("an object that is neither the header nor an entry of it");
    return true;
  }
  bool key(std::string& name) override {
    if (depth_ == 1) {
      if (!names_.insert(name).second) fail(fmt::format("'{}' stands twice", shortened(name)));
      entry_ = name;
      entry_at_ = byte();
      tensor_ = Tensor{};
      tensor_.name = name;
      has_type_ = has_shape_ = false;
      offsets_.clear();
      bits_ = 0;
    } else {
      field_ = name;
      if (entry_ != "__metadata__" && name != "dtype" && name != "shape" && name != "data_offsets")
        fail(fmt::format("unknown key '{}' of tensor '{}'; expected dtype, shape, data_offsets", shortened(name),
                         shortened(entry_)));
      if ((name == "dtype" && has_type_) || (name == "shape" && has_shape_) ||
          (name == "data_offsets" && !offsets_.empty()))
        fail(fmt::format("tensor '{}' has {} twice", shortened(entry_), name));
    }
    return true;
  }
  bool end_object() override {
    if (--depth_ == 0) {
      done_ = true;
    } else if (entry_ != "__metadata__") {
      finish_tensor();
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_list_ || (field_ != "shape" && field_ != "data_offsets") || entry_ == "__metadata__")
      fail("an unexpected list");
    in_list_ = true;
    return true;
  }
  bool end_array() override {
    in_list_ = false;
    if (field_ == "shape") has_shape_ = true;
    return true;
  }
  bool string(std::string& text) override {
    if (depth_ == 2 && entry_ == "__metadata__") return true;
    if (depth_ != 2 || in_list_ || field_ != "dtype") fail("an unexpected string");
    const auto known = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeName& t) { return t.name == text; });
    if (known == kTypes.end()) fail(fmt::format("no dtype '{}'; expected F32, F16, BF16, ...", shortened(text)));
    tensor_.type = known->type;
    tensor_.type_name = text;
    bits_ = known->bits;
    has_type_ = true;
    return true;
  }
  bool number_unsigned(std::uint64_t value) override {
    if (!in_list_) fail("an unexpected number");
    if (value > std::uint64_t{1} << 62) fail(fmt::format("{} is too large", value));
    if (field_ == "shape") {
      if (tensor_.shape.size() == kMostDimensions) fail(fmt::format("more than {} dimensions", kMostDimensions));
      tensor_.shape.push_back(static_cast<std::int64_t>(value));
    } else {
      if (offsets_.size() == 2) fail("more than two data_offsets");
      offsets_.push_back(value);
    }
    return true;
  }
  bool null() override { fail("an unexpected null"); }
  bool boolean(bool) override { fail("an unexpected boolean"); }
  bool number_integer(std::int64_t value) override { fail(fmt::format("{} is negative", value)); }
  bool number_float(double, const std::string& text) override { fail(fmt::format("{} is no whole number", text)); }
  bool binary(nlohmann::json::binary_t&) override { fail("unexpected binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw TensorFileError(file_, 8 + (position > 0 ? position - 1 : 0), "the header is no JSON object");
  }

 private:
  [[noreturn]] void fail(std::string_view message) const { throw TensorFileError(file_, byte(), message); }
  std::uint64_t byte() const { return 8 + static_cast<std::uint64_t>(seen_ - header_.data()); }
  static std::string shortened(const std::string& text) {
    std::string out;  // names are the file's: printable ones only
    for (const char c : text.substr(0, 80)) out += c >= ' ' && c != 0x7f ? c : '?';
    return out;
  }

  void finish_tensor() {
    const std::string name = shortened(entry_);
    if (!has_type_ || !has_shape_ || offsets_.size() != 2)
      fail(fmt::format("tensor '{}' lacks dtype, shape or its two data_offsets", name));
    std::int64_t bits = bits_;
    for (const std::int64_t size : tensor_.shape)
      if (__builtin_mul_overflow(bits, size, &bits)) fail(fmt::format("tensor '{}' is larger than 2^60 bytes", name));
    if (bits % 8 != 0) fail(fmt::format("tensor '{}' does not end at a whole byte", name));
    if (offsets_[1] < offsets_[0] || offsets_[1] - offsets_[0] != static_cast<std::uint64_t>(bits / 8))
      throw TensorFileError(file_, entry_at_,
                            fmt::format("tensor '{}' has data_offsets [{}, {}]; expected {} bytes for its shape and {}",
                                        name, offsets_[0], offsets_[1], bits / 8, tensor_.type_name));
    tensor_.offset = offsets_[0];
    tensors_.push_back(tensor_);
  }

  std::string_view header_;
  const std::string& file_;
  std::vector<Tensor>& tensors_;
  const char* seen_ = header_.data();
  int depth_ = 0;
  bool in_list_ = false, done_ = false;
  std::set<std::string> names_;
  std::string entry_, field_;
  std::uint64_t entry_at_ = 0;
  Tensor tensor_;
  bool has_type_ = false, has_shape_ = false;
  std::vector<std::uint64_t> offsets_;
  std::int64_t bits_ = 0;
};

}  // namespace

std::vector<Tensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& file) {
  if (bytes.size() < 8)
    throw TensorFileError(file, bytes.size(), "the file ends; expected the 8 bytes of a safetensors header's length");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kMostHeader)
    throw TensorFileError(file, 0,
                          fmt::format("a header of {} bytes; expected at most {} (is this a safetensors or npy file?)",
                                      length, kMostHeader));
  if (length > bytes.size() - 8)
    throw TensorFileError(file, bytes.size(), fmt::format("the file ends; its header goes on to byte {}", 8 + length));
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<std::size_t>(length));
  if (header.empty() || header.front() != '{') throw TensorFileError(file, 8, "the header does not begin with '{'");
  std::vector<Tensor> tensors;
  HeaderReader(header, file, tensors).read();

  // The tensors' bytes follow one another and fill the file.
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const Tensor& a, const Tensor& b) { return a.offset < b.offset; });
  const std::span<const std::byte> data = bytes.subspan(8 + static_cast<std::size_t>(length));
  std::uint64_t expected = 0;
  for (Tensor& t : tensors) {
    std::uint64_t size = 0;
    for (const TypeName& type : kTypes)
      if (type.name == t.type_name) size = static_cast<std::uint64_t>(t.elements() * type.bits / 8);
    if (t.offset != expected)
      throw TensorFileError(
          file, 8 + length + std::min(expected, t.offset),
          fmt::format("{} between two tensors; expected '{}' to begin at offset {}, not {}",
                      t.offset > expected ? "a gap" : "an overlap", t.name.substr(0, 80), expected, t.offset));
    if (size > data.size() - expected)
      throw TensorFileError(file, bytes.size(),
                            fmt::format("the file ends inside tensor '{}'; expected {} more bytes",
                                        t.name.substr(0, 80), size - (data.size() - expected)));
    t.data = data.subspan(static_cast<std::size_t>(expected), static_cast<std::size_t>(size));
    t.offset = 8 + length + expected;
    expected += size;
  }
  if (expected != data.size())
    throw TensorFileError(file, 8 + length + expected,
                          fmt::format("{} bytes that belong to no tensor", data.size() - expected));
  return tensors;
}

}  // namespace headroom
