// The npy format, versions 1 to 3: magic, version, header length, a Python dictionary, the numbers.
// Source: NumPy, numpy/lib/format.py.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "sim/numerics/tensor_file.h"

namespace headroom {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMostHeader = 1 << 20;
constexpr std::size_t kMostDimensions = 32;

// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }: three keys in any order, nothing else.
class Dictionary {
 public:
  Dictionary(std::string_view text, std::uint64_t offset, const std::string& file)
      : text_(text), offset_(offset), file_(file) {}

  void read(Tensor& t, bool& column_major) {
    bool type = false, order = false, shape = false;
    expect('{');
    while (!next_is('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !type) {
        t.type_name = quoted();
        type = true;
      } else if (key == "fortran_order" && !order) {
        column_major = truth();
        order = true;
      } else if (key == "shape" && !shape) {
        read_shape(t);
        shape = true;
      } else {
        fail(fmt::format("unexpected key '{}'; expected descr, fortran_order and shape, once each", key.substr(0, 40)));
      }
      if (!next_is(',') && peek() != '}') fail("expected ',' or '}'");
    }
    if (!type || !order || !shape) fail("the header lacks descr, fortran_order or shape");
    if (peek() != '\0') fail("text after the header's dictionary");
  }

 private:
  [[noreturn]] void fail(std::string_view message) const { throw TensorFileError(file_, offset_ + at_, message); }
  char peek() {  // the next character that is no blank; 0 at the end
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool next_is(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!next_is(c)) fail(fmt::format("expected '{}'", c));
  }
  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("expected a quoted string (structured types are not read)");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a string without an end");
    const std::string_view word = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return word;
  }
  bool truth() {
    peek();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    fail("expected True or False");
  }
  void read_shape(Tensor& t) {
    expect('(');
    while (!next_is(')')) {
      peek();
      std::int64_t size = -1;
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), size);
      if (error != std::errc{} || size < 0 || size > std::int64_t{1} << 62) fail("expected a size from 0 to 2^62");
      at_ += static_cast<std::size_t>(end - begin);
      if (t.shape.size() == kMostDimensions) fail(fmt::format("more than {} dimensions", kMostDimensions));
      t.shape.push_back(size);
      if (!next_is(',') && peek() != ')') fail("expected ',' or ')'");
    }
  }

  std::string_view text_;
  std::uint64_t offset_;
  const std::string& file_;
  std::size_t at_ = 0;
};

}  // namespace

bool looks_like_npy(std::span<const std::byte> bytes) {
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

Tensor parse_npy(std::span<const std::byte> bytes, const std::string& file) {
  if (!looks_like_npy(bytes)) throw TensorFileError(file, 0, "no npy file: it does not begin with \\x93NUMPY");
  const std::size_t at = kMagic.size() + 2;  // of the header's length
  if (bytes.size() < at + 4) throw TensorFileError(file, bytes.size(), "the file ends inside the npy header");
  const auto major = std::to_integer<int>(bytes[kMagic.size()]);
  if (major < 1 || major > 3)
    throw TensorFileError(file, kMagic.size(), fmt::format("npy version {}; expected 1, 2 or 3", major));
  std::size_t length = 0;
  const std::size_t width = major == 1 ? 2 : 4;
  std::memcpy(&length, bytes.data() + at, width);
  const std::size_t begin = at + width;
  if (length > kMostHeader)
    throw TensorFileError(file, at, fmt::format("a header of {} bytes; expected at most {}", length, kMostHeader));
  if (length > bytes.size() - begin)
    throw TensorFileError(file, bytes.size(),
                          fmt::format("the file ends; its header goes on to byte {}", begin + length));

  Tensor t;
  bool column_major = false;
  Dictionary({reinterpret_cast<const char*>(bytes.data()) + begin, length}, begin, file).read(t, column_major);
  if (column_major && t.shape.size() > 1)
    throw TensorFileError(file, begin, "the array is stored column by column; save it with order='C'");
  struct Type {
    std::string_view name;
    StoredType type;
    std::int64_t bytes;
  };
  constexpr std::array types{Type{"<f8", StoredType::kFloat64, 8}, Type{"<f4", StoredType::kFloat32, 4},
                             Type{"<f2", StoredType::kFloat16, 2}};
  const auto known = std::find_if(types.begin(), types.end(), [&](const Type& x) { return x.name == t.type_name; });
  if (known == types.end())
    throw TensorFileError(file, begin,
                          fmt::format("no type '{}' is read; expected <f8, <f4 or <f2", t.type_name.substr(0, 40)));
  t.type = known->type;
  std::int64_t size = known->bytes;
  for (const std::int64_t dimension : t.shape)
    if (__builtin_mul_overflow(size, dimension, &size)) throw TensorFileError(file, begin, "larger than 2^63 bytes");
  const std::span<const std::byte> data = bytes.subspan(begin + length);
  if (static_cast<std::uint64_t>(size) > data.size())
    throw TensorFileError(
        file, bytes.size(),
        fmt::format("the file ends; expected {} more bytes", static_cast<std::uint64_t>(size) - data.size()));
  if (static_cast<std::uint64_t>(size) < data.size())
    throw TensorFileError(file, begin + length + static_cast<std::uint64_t>(size),
                          fmt::format("{} bytes after the array", data.size() - static_cast<std::uint64_t>(size)));
  const std::size_t slash = file.rfind('/');
  const std::string base = slash == std::string::npos ? file : file.substr(slash + 1);
  t.name = base.ends_with(".npy") ? base.substr(0, base.size() - 4) : base;
  t.offset = begin + length;
  t.data = data;
  return t;
}

}  // namespace headroom
