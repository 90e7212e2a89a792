// The fuzz target over its corpus and over mutations of it, without a fuzzer: bytes flipped, cut off, doubled, and
// numbers replaced by the ones that overflow. Seeds are fixed.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "tests/support/program.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace headroom::testing {
namespace {

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

std::string mutated(std::string bytes, std::mt19937_64& random) {
  static const std::vector<std::string> pieces{
      "18446744073709551615", "4611686018427387904", "-1", "0", "[[", "}}", "{", "\"", ",", "(", "1e9", "null",
      std::string(8, '\xff'), std::string(4, '\0')};
  for (std::uint64_t changes = 1 + random() % 4; changes > 0 && !bytes.empty(); --changes) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.insert(at, pieces[random() % pieces.size()]);
        break;
      case 3:
        bytes.insert(at, bytes.substr(at, random() % 32));
        break;
      case 4:
        bytes.erase(at, 1 + random() % 8);
        break;
    }
    // Half the time the header's length follows, so that what lies behind it is reached.
    if (random() % 2 == 0 && bytes.size() > 16 && bytes[8] == '{') {
      const std::size_t end = bytes.rfind('}');
      if (end != std::string::npos && end > 8) {
        const std::uint64_t length = end - 7;
        for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> (8 * i));
      }
    }
  }
  return bytes;
}

TEST(TensorFileFuzz, CorpusAndMutations) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(HEADROOM_SOURCE_DIR "/tests/fuzz/tensor_file_corpus")) {
    const std::string bytes = text_of_file(entry.path());
    ++files;
    SCOPED_TRACE(entry.path().filename().string());
    run(bytes);
    for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 512) run(bytes.substr(0, cut));
    std::mt19937_64 random(files);
    for (int i = 0; i < 20'000; ++i) run(mutated(bytes, random));
  }
  EXPECT_GE(files, 4u);
}

}  // namespace
}  // namespace headroom::testing
