// One reader as a fuzzer's program; libFuzzer and AFL++ (its afl-clang-fast++ with -fsanitize=fuzzer) drive it alike.
#include <cstdint>

#include "tests/fuzz/readers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const headroom::fuzz::Reader* const kReader = headroom::fuzz::reader_named(HEADROOM_FUZZ_READER);
  kReader->read({reinterpret_cast<const char*>(data), size});
  return 0;
}
