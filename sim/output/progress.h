// A bar on the terminal while a run goes on; silent when stderr is no terminal.
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

}  // namespace headroom
