#include "sim/workload/text_file.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

namespace headroom {
namespace {

constexpr std::size_t kMostText = std::size_t{1} << 30;

}  // namespace

WorkloadError::WorkloadError(const std::string& file, std::int64_t line, std::string_view message)
    : std::runtime_error(file + (line > 0 ? ":" + std::to_string(line) + ":1" : "") +
                         ": error: " + std::string(message)) {}

std::string read_text(const std::string& path, std::size_t enough) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) throw WorkloadError(path, 0, "is no regular file");
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) throw WorkloadError(path, 0, "cannot be opened");
  gzbuffer(file.get(), 1 << 17);
  // A plain file in one piece with room for a look behind it; memory that is not needed is not touched.
  const auto piece = static_cast<std::size_t>(std::clamp<off_t>(status.st_size + 1, 1 << 12, 1 << 18));
  std::string text;
  // Only the end of the file gives less than was asked for.
  for (int got = static_cast<int>(piece); got == static_cast<int>(piece) && text.size() < enough;) {
    const std::size_t had = text.size();
    text.resize(had + piece);
    got = gzread(file.get(), text.data() + had, static_cast<unsigned>(piece));
    text.resize(had + static_cast<std::size_t>(std::max(got, 0)));
    int code = Z_OK;
    const char* message = gzerror(file.get(), &code);
    if (code == Z_BUF_ERROR) throw WorkloadError(path, 0, "the gzip file is cut off");
    if (got < 0) throw WorkloadError(path, 0, std::string("damaged gzip file: ") + message);
    if (text.size() > kMostText) throw WorkloadError(path, 0, "more than 1 GiB of text");
  }
  if (const std::size_t end = text.rfind('\n'); text.size() >= enough && end != std::string::npos) text.resize(end + 1);
  return text;
}

}  // namespace headroom
