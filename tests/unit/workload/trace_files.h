// Trace files for tests: those that ship, and small ones that live as long as the object.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "sim/workload/trace_reader.h"

namespace headroom {

inline std::string shipped(const std::string& name) {
  return HEADROOM_SOURCE_DIR "/configs/traces/" + name;
}

inline std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes)
      : path_(::testing::TempDir() + "headroom_trace_" + std::to_string(::getpid())) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline TraceContent read(TraceFormat format, const std::string& bytes, std::int64_t limit = 0) {
  const TemporaryFile file(bytes);
  return read_trace(TraceSpec{format, file.path(), 512}, limit);
}

// "LINE:1: error: ..." or, of the file as a whole, "error: ...", without the file's name.
inline std::string error_of(TraceFormat format, const std::string& bytes) {
  const TemporaryFile file(bytes);
  try {
    read_trace(TraceSpec{format, file.path(), 512}, 0);
  } catch (const WorkloadError& error) {
    const std::string what = error.what();
    if (what.rfind(file.path() + ":", 0) != 0) return "does not name the file: " + what;
    const std::string rest = what.substr(file.path().size() + 1);
    return rest.front() == ' ' ? rest.substr(1) : rest;
  }
  return "no error";
}

}  // namespace headroom
