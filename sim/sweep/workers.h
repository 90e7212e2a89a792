// Forked processes that work on orders, a few at a time.
//
// SimGrid has one engine per process, so simulations run side by side in processes of their own. Orders and answers
// are text over a socket each; what the parent had loaded before the fork the workers have too. A worker that dies
// costs the one order it worked on, and is replaced. Workers die with their parent, however that ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace headroom {

// CPUs this process may use.
int available_cpus();

class Workers {
 public:
  // Runs in a worker. Nothing: "give this order to a fresh worker".
  using Work = std::function<std::optional<std::string>(const std::string& order)>;
  struct Answer {
    std::string order;
    std::string text;
    std::string death;  // how the worker ended; empty: it did not, and text is the answer
  };

  Workers(int count, Work work);
  ~Workers();  // ends them, whatever they are doing
  Workers(const Workers&) = delete;

  int idle() const;
  bool busy() const { return idle() < static_cast<int>(all_.size()); }
  void give(std::string order);  // idle() > 0
  // Answers that have come; waits for the first at most so long (negative: until it comes or a signal does).
  std::vector<Answer> wait(std::chrono::milliseconds limit);

 private:
  struct Worker {
    pid_t pid = -1;
    int socket = -1;
    bool working = false;
    std::string order;
    std::string received;
  };
  void start(Worker& worker);
  void send(Worker& worker);
  std::string bury(Worker& worker);
  [[noreturn]] void serve(int socket) const;

  Work work_;
  std::vector<Worker> all_;
};

}  // namespace headroom
