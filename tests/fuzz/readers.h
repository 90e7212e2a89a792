// Everything that reads a file a stranger may have made, each as a function of bytes.
//
// A reader returns for any bytes: they end in a value or in one of the errors for wrong input, which names its file.
// Whatever else happens (another exception, a signal, a sanitizer's report, no end) is a bug of the reader.
#pragma once

#include <ostream>
#include <span>
#include <string_view>

namespace headroom::fuzz {

struct Reader {
  std::string_view name;  // also of its folder in tests/fuzz/corpus
  void (*read)(std::string_view bytes);
  std::string_view more_seeds = {};  // a folder of the source tree with more of its files
  int mutations = 500;               // of all its seeds together, in the ordinary suite
};

inline void PrintTo(const Reader& reader, std::ostream* out) {
  *out << reader.name;
}

std::span<const Reader> readers();
// Null: there is none of that name.
const Reader* reader_named(std::string_view name);

}  // namespace headroom::fuzz
