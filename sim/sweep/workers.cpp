#include "sim/sweep/workers.h"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

namespace headroom {
namespace {

constexpr int kWantsFresh = 75;  // exit status of a worker that wants a fresh one for its order

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// A message is its length in eight bytes, then its text. False: the other side is gone.
bool write_all(int socket, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}
bool write_message(int socket, const std::string& text) {
  const std::uint64_t size = text.size();
  char head[sizeof size];
  std::memcpy(head, &size, sizeof size);
  return write_all(socket, head, sizeof head) && write_all(socket, text.data(), text.size());
}
bool read_all(int socket, char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(socket, data, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    data += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}
bool read_message(int socket, std::string& text) {
  std::uint64_t size = 0;
  if (!read_all(socket, reinterpret_cast<char*>(&size), sizeof size)) return false;
  text.resize(size);
  return read_all(socket, text.data(), text.size());
}

// The message at the head of what was received, if it is whole.
std::optional<std::string> take_message(std::string& received) {
  std::uint64_t size = 0;
  if (received.size() < sizeof size) return std::nullopt;
  std::memcpy(&size, received.data(), sizeof size);
  if (received.size() < sizeof size + size) return std::nullopt;
  std::string text = received.substr(sizeof size, size);
  received.erase(0, sizeof size + size);
  return text;
}

}  // namespace

int available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

Workers::Workers(int count, Work work) : work_(std::move(work)), all_(static_cast<std::size_t>(count)) {
  for (Worker& worker : all_) start(worker);
}

Workers::~Workers() {
  for (Worker& worker : all_) {
    if (worker.pid > 0) kill(worker.pid, SIGKILL);
    bury(worker);
  }
}

void Workers::start(Worker& worker) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("socketpair");
  std::fflush(nullptr);  // or the worker would write it too
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);  // it died in between
    std::signal(SIGINT, SIG_IGN);       // the parent's to handle
    std::signal(SIGTERM, SIG_DFL);
    close(pair[0]);
    for (const Worker& other : all_)
      if (other.socket >= 0) close(other.socket);
    serve(pair[1]);
  }
  close(pair[1]);
  worker.pid = pid;
  worker.socket = pair[0];
  worker.received.clear();
}

void Workers::serve(int socket) const {
  std::string order;
  while (read_message(socket, order)) {
    const std::optional<std::string> answer = work_(order);
    if (!answer) _exit(kWantsFresh);
    if (!write_message(socket, *answer)) break;
  }
  _exit(0);  // without the parent's destructors
}

int Workers::idle() const {
  int count = 0;
  for (const Worker& worker : all_) count += worker.working ? 0 : 1;
  return count;
}

void Workers::give(std::string order) {
  for (Worker& worker : all_) {
    if (worker.working) continue;
    worker.order = std::move(order);
    worker.working = true;
    send(worker);
    return;
  }
}

void Workers::send(Worker& worker) {
  while (!write_message(worker.socket, worker.order)) {  // died idle
    bury(worker);
    start(worker);
  }
}

// How it ended; empty when it asked for a fresh one.
std::string Workers::bury(Worker& worker) {
  if (worker.socket >= 0) close(std::exchange(worker.socket, -1));
  int status = 0;
  while (waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
  }
  worker.pid = -1;
  if (WIFSIGNALED(status)) return fmt::format("ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) == kWantsFresh) return {};
  return fmt::format("ended with status {}", WEXITSTATUS(status));
}

std::vector<Workers::Answer> Workers::wait(std::chrono::milliseconds limit) {
  std::vector<pollfd> sockets;
  for (const Worker& worker : all_) sockets.push_back({worker.working ? worker.socket : -1, POLLIN, 0});
  const int ready = poll(sockets.data(), sockets.size(), static_cast<int>(limit.count()));
  if (ready < 0 && errno != EINTR) fail("poll");
  std::vector<Answer> answers;
  if (ready <= 0) return answers;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (sockets[i].revents == 0) continue;
    Worker& worker = all_[i];
    char buffer[1 << 16];
    const ssize_t got = recv(worker.socket, buffer, sizeof buffer, 0);
    if (got > 0) {
      worker.received.append(buffer, static_cast<std::size_t>(got));
      if (auto text = take_message(worker.received)) {
        worker.working = false;
        answers.push_back({std::move(worker.order), std::move(*text), {}});
      }
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
      std::string death = bury(worker);
      start(worker);
      if (death.empty()) {
        send(worker);
      } else {
        worker.working = false;
        answers.push_back({std::move(worker.order), {}, std::move(death)});
      }
    }
  }
  return answers;
}

}  // namespace headroom
