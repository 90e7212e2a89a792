// Files that are whole or not there: written under a temporary name beside their own, then renamed.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

// A file could not be written; what() names it and says why.
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void make_folder(const std::string& path);

// One file being written through a large buffer. commit() puts it in its place; without it nothing is left behind.
class OutputFile {
 public:
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view text);
  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_;
  std::string temporary_;
  std::vector<char> buffer_;  // outlives file_
  std::FILE* file_ = nullptr;
};

void write_text_file(const std::string& path, std::string_view text);
void write_gzip_file(const std::string& path, std::string_view text);

}  // namespace headroom
