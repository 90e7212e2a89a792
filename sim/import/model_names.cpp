// From the names people give to models to those of the catalogue.
#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "sim/config/catalogue.h"
#include "sim/config/quantity.h"
#include "sim/import/import.h"

namespace headroom {

std::optional<std::string> catalogue_model(const std::string& name) {
  std::string word = name;
  if (const std::size_t cached = word.find("models--");
      cached != std::string::npos) {  // .../models--org--name/snapshots/...
    word = word.substr(cached + 8);
    word = word.substr(0, word.find('/'));
    if (const std::size_t name_at = word.rfind("--"); name_at != std::string::npos) word = word.substr(name_at + 2);
  }
  while (word.ends_with('/')) word.pop_back();
  if (const std::size_t slash = word.rfind('/'); slash != std::string::npos) word = word.substr(slash + 1);
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  if (word.starts_with("meta-llama-")) word = word.substr(5);
  const std::vector<std::string> known = catalogue_names("models");
  // Tunings and number formats leave the shape as it is; they stand at the end, so they are taken off one by one.
  constexpr std::array<std::string_view, 24> kEndings{"-instruct", "-chat", "-it",   "-hf",    "-base",       "-v0.1",
                                                      "-v0.2",     "-v0.3", "-v1",   "-awq",   "-gptq",       "-int4",
                                                      "-int8",     "-fp8",  "-w8a8", "-w4a16", "-dynamic",    "-bnb",
                                                      "-4bit",     "-8bit", "-bf16", "-fp16",  "-instruct-1", "-0125"};
  for (;;) {
    if (std::find(known.begin(), known.end(), word) != known.end()) return word;
    const auto ending =
        std::find_if(kEndings.begin(), kEndings.end(), [&](std::string_view e) { return word.ends_with(e); });
    if (ending == kEndings.end()) return std::nullopt;
    word.resize(word.size() - ending->size());
  }
}

std::optional<std::int64_t> human_readable_int(const std::string& text) {
  struct Suffix {
    char letter;
    double factor;
  };
  constexpr Suffix kSuffixes[] = {{'k', 1e3},    {'m', 1e6},       {'g', 1e9},          {'t', 1e12},
                                  {'K', 1024.0}, {'M', 1048576.0}, {'G', 1073741824.0}, {'T', 1099511627776.0}};
  std::string digits = text;
  double factor = 1;
  for (const Suffix& s : kSuffixes)
    if (!digits.empty() && digits.back() == s.letter) {
      factor = s.factor;
      digits.pop_back();
      break;
    }
  const auto value = parse_number(digits);
  if (!value || *value * factor < 0 || *value * factor > 9e18) return std::nullopt;
  return static_cast<std::int64_t>(*value * factor);
}

}  // namespace headroom
