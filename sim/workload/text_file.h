// Text files of data, gzip or not, and what is wrong with them.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace headroom {

// "FILE:LINE:1: error: ..."; line 0: the file as a whole, without a position.
class WorkloadError : public std::runtime_error {
 public:
  WorkloadError(const std::string& file, std::int64_t line, std::string_view message);
};

// The whole file, decompressed if it starts with gzip's magic bytes. Throws WorkloadError: cannot be opened, damaged,
// cut off, or more than 1 GiB of text. With `enough` bytes in hand the rest is left unread: whole lines of the
// beginning.
std::string read_text(const std::string& path, std::size_t enough = ~std::size_t{0});

}  // namespace headroom
