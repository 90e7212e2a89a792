#include "sim/output/progress.h"

#include <fmt/core.h>
#include <unistd.h>

namespace headroom {

bool stderr_is_terminal() {
  return isatty(STDERR_FILENO) != 0;
}

void Progress::update(std::size_t done, std::size_t total) {
  if (!enabled_ || total == 0) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  constexpr std::size_t kWidth = 30;
  const std::size_t full = kWidth * std::min(done, total) / total;
  fmt::print(stderr, "\r{} [{}{}] {:>3}%", label_.empty() ? "simulating" : label_, std::string(full, '='),
             std::string(kWidth - full, ' '), 100 * std::min(done, total) / total);
  std::fflush(stderr);
}

void Progress::finish() {
  if (drawn_) fmt::print(stderr, "\r{}\r", std::string(80, ' '));
}

}  // namespace headroom
