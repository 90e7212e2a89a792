#include "sim/output/files.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace headroom {
namespace {

constexpr std::size_t kBuffer = 1 << 16;

}  // namespace

void make_folder(const std::string& path) {
  std::error_code problem;
  std::filesystem::create_directories(path, problem);
  if (problem) throw OutputError(fmt::format("cannot create the folder '{}': {}", path, problem.message()));
}

OutputFile::OutputFile(std::string path)
    : path_(std::move(path)), temporary_(fmt::format("{}.{}.tmp", path_, getpid())) {
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  if (!folder.empty()) make_folder(folder.string());
  std::remove(temporary_.c_str());                // what a process that was killed has left
  file_ = std::fopen(temporary_.c_str(), "wbx");  // "x": not through a link that lies there
  if (file_ == nullptr) fail("cannot be created");
  buffer_.resize(kBuffer);
  std::setvbuf(file_, buffer_.data(), _IOFBF, kBuffer);  // without memory of ours the C library keeps to its 4 KiB
}

OutputFile::~OutputFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::remove(temporary_.c_str());
}

void OutputFile::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail("cannot be written");
}

void OutputFile::commit() {
  if (std::fflush(file_) != 0) fail("cannot be written");
  if (std::fclose(std::exchange(file_, nullptr)) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int problem = errno;
    std::remove(temporary_.c_str());
    errno = problem;
    fail("cannot be written");
  }
}

void OutputFile::fail(const char* what) const {
  throw OutputError(fmt::format("'{}' {}: {}", path_, what, std::strerror(errno)));
}

void write_text_file(const std::string& path, std::string_view text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

void write_gzip_file(const std::string& path, std::string_view text) {
  z_stream stream{};
  // 31: the largest window, with gzip's header; its time stamp stays zero, so equal texts give equal files.
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    throw OutputError(fmt::format("'{}' cannot be compressed", path));
  std::string packed(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int code = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (code != Z_STREAM_END) throw OutputError(fmt::format("'{}' cannot be compressed", path));
  write_text_file(path, packed);
}

}  // namespace headroom
