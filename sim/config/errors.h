// What a user gets to read when an input is wrong: FILE:LINE:COLUMN: error: what; what was expected; did you mean 'X'?
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

// Lines and columns count from 1; 0: unknown (then they are left out of the message).
struct SourcePos {
  std::string file;
  int line = 0;
  int column = 0;
};

// The input is wrong. what() is the whole line as printed: "FILE:L:C: error: ...". Exit code 2.
class ConfigError : public std::runtime_error {
 public:
  ConfigError(const SourcePos& pos, std::string_view message);
  const SourcePos& pos() const { return pos_; }

 private:
  SourcePos pos_;
};

// The input is right, but the model does not fit on the card.
class DoesNotFit : public ConfigError {
 public:
  using ConfigError::ConfigError;
};

// Nearest of `known` to `word` if the edit distance is at most 1 + length/4, else empty.
std::string nearest_name(std::string_view word, std::span<const std::string_view> known);
// "; did you mean 'X'?" when one is near, else "; known: a, b, c" (sorted).
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace headroom
