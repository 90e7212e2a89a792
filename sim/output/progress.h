// What is seen on stderr while something goes on: a bar for a run, a line for many points.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace headroom {

bool stderr_is_terminal();

class Progress {
 public:
  Progress(std::string label, bool enabled) : label_(std::move(label)), enabled_(enabled) {}
  void update(std::size_t done, std::size_t total);  // draws at most ten times a second
  void finish();                                     // wipes the bar

 private:
  std::string label_;
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

// Points done, rate and time left: one line that changes on a terminal, else a line every ten seconds.
class PointProgress {
 public:
  // `before`: points that were done already and tell nothing of the rate.
  PointProgress(std::size_t before, std::size_t total, bool enabled);
  void update(std::size_t done, std::size_t failed);  // in all
  void finish();                                      // wipes the line

 private:
  using Clock = std::chrono::steady_clock;
  std::size_t before_, total_;
  bool enabled_, terminal_;
  Clock::time_point start_, last_;
};

}  // namespace headroom
