// Every reader over its corpus and over mutations of it, without a fuzzer: bytes flipped, cut off, doubled, and
// numbers replaced by the ones that overflow. Seeds are fixed. HEADROOM_FUZZ_MUTATIONS: how many for each reader.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/readers.h"
#include "tests/support/program.h"

namespace headroom::testing {
namespace {

namespace fs = std::filesystem;

std::string mutated(std::string bytes, std::mt19937_64& random) {
  static const std::vector<std::string> pieces{"18446744073709551615",
                                               "4611686018427387904",
                                               "-1",
                                               "0",
                                               "[[",
                                               "}}",
                                               "{",
                                               "\"",
                                               ",",
                                               "(",
                                               "1e9",
                                               "1e308",
                                               "null",
                                               ": ",
                                               "\n",
                                               "- ",
                                               "*a",
                                               "&a ",
                                               "<<: ",
                                               " GiB",
                                               "/s",
                                               "nan",
                                               "inf",
                                               "../",
                                               std::string(8, '\xff'),
                                               std::string(4, '\0')};
  for (std::uint64_t changes = 1 + random() % 4; changes > 0 && !bytes.empty(); --changes) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 6) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        if (random() % 4 == 0) bytes.resize(at);
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
      case 5: {  // a number becomes another
        const std::size_t from = bytes.find_first_of("0123456789", at);
        if (from == std::string::npos) break;
        const std::size_t to = std::min(bytes.find_first_not_of("0123456789.", from), bytes.size());
        bytes.replace(from, to - from, pieces[random() % pieces.size()]);
        break;
      }
    }
    // Half the time the length of a safetensors header follows, so that what lies behind it is reached.
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

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

class ReaderFuzz : public ::testing::TestWithParam<fuzz::Reader> {};

TEST_P(ReaderFuzz, AnyBytesEndInAValueOrAPlacedError) {
  const fuzz::Reader& reader = GetParam();
  const fs::path source(HEADROOM_SOURCE_DIR);
  std::vector<fs::path> files = files_in(source / "tests/fuzz/corpus" / reader.name);
  EXPECT_GE(files.size(), 3U);
  if (!reader.more_seeds.empty())
    for (fs::path& file : files_in(source / reader.more_seeds)) files.push_back(std::move(file));
  const char* wanted = std::getenv("HEADROOM_FUZZ_MUTATIONS");
  const int mutations = wanted != nullptr ? std::atoi(wanted) : reader.mutations;
  std::mt19937_64 random(files.size());
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    const std::string bytes = text_of_file(file);
    reader.read(bytes);
    for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 16) reader.read(bytes.substr(0, cut));
    for (int i = 0; i < 1 + mutations / static_cast<int>(files.size()); ++i) reader.read(mutated(bytes, random));
  }
}

std::string name_of(const ::testing::TestParamInfo<fuzz::Reader>& info) {
  return std::string(info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Readers, ReaderFuzz, ::testing::ValuesIn(fuzz::readers().begin(), fuzz::readers().end()),
                         name_of);

}  // namespace
}  // namespace headroom::testing
