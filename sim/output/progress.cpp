#include "sim/output/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

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

PointProgress::PointProgress(std::size_t before, std::size_t total, bool enabled)
    : before_(before), total_(total), enabled_(enabled), terminal_(stderr_is_terminal()), start_(Clock::now()) {
  last_ = start_;
}

void PointProgress::update(std::size_t done, std::size_t failed) {
  const auto now = Clock::now();
  if (!enabled_ || now - last_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10))) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(done - before_) / seconds;
  std::string line = fmt::format("{} of {} points, {:.3g} points/s", done, total_, rate);
  if (rate > 0) {
    const double left = static_cast<double>(total_ - done) / rate;
    line += left < 120 ? fmt::format(", {:.0f} s left", left) : fmt::format(", {:.0f} min left", left / 60);
  }
  if (failed > 0) line += fmt::format(", {} failed", failed);
  if (terminal_)
    fmt::print(stderr, "\r{:<78}", line);
  else
    fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
}

void PointProgress::finish() {
  if (enabled_ && terminal_) fmt::print(stderr, "\r{:78}\r", "");
}

}  // namespace headroom
