// Debian's chromium without a window, spoken to through its debugging pipe (file descriptors 3 and 4, no network).
//
// The protocol is JSON objects that end in a zero byte: https://chromedevtools.github.io/devtools-protocol.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace headroom::testing {

class Browser {
 public:
  using Json = nlohmann::json;

  static bool is_there() { return std::system("command -v chromium >/dev/null 2>&1") == 0; }

  Browser() {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const int child_in = fcntl(to[0], F_DUPFD_CLOEXEC, 10), child_out = fcntl(from[1], F_DUPFD_CLOEXEC, 10);
    close(to[0]);
    close(from[1]);
    write_ = to[1];
    read_ = from[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, child_in, 3);
    posix_spawn_file_actions_adddup2(&actions, child_out, 4);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    std::vector<std::string> words{"chromium",
                                   "--headless=new",
                                   "--no-sandbox",
                                   "--disable-gpu",
                                   "--no-first-run",
                                   "--disable-background-networking",
                                   "--remote-debugging-pipe",
                                   "--user-data-dir=" + profile_ / "profile"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int problem = posix_spawnp(&child_, "chromium", &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(child_in);
    close(child_out);
    if (problem != 0) throw std::runtime_error("chromium does not start");
    const Json target = call("Target.createTarget", {{"url", "about:blank"}});
    session_ = call("Target.attachToTarget", {{"targetId", target["targetId"]}, {"flatten", true}})["sessionId"];
    for (const char* domain : {"Page.enable", "Runtime.enable", "Log.enable", "Network.enable"}) call(domain);
  }
  ~Browser() {
    close(write_);
    close(read_);
    kill(child_, SIGTERM);
    waitpid(child_, nullptr, 0);
  }
  Browser(const Browser&) = delete;

  // What the call returns; throws when the browser says no or nothing.
  Json call(const std::string& method, const Json& parameters = Json::object()) {
    Json message = {{"id", ++id_}, {"method", method}, {"params", parameters}};
    if (!session_.empty()) message["sessionId"] = session_;
    const std::string text = message.dump() + '\0';
    if (::write(write_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      throw std::runtime_error("chromium does not listen");
    for (;;) {
      Json answer = next();
      if (answer.contains("method")) {
        events_.push_back(std::move(answer));
      } else if (answer.value("id", 0) == id_) {
        if (answer.contains("error")) throw std::runtime_error(method + ": " + answer["error"].dump());
        return answer["result"];
      }
    }
  }

  // Loads the file at this size of window and waits until all of it is there. Events before are forgotten.
  void open(const std::string& file, int width, int height) {
    call("Emulation.setDeviceMetricsOverride",
         {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", width < 600}});
    events_.clear();
    call("Page.navigate", {{"url", "file://" + file}});
    while (!has_event("Page.loadEventFired")) events_.push_back(next());
    call("Runtime.evaluate", {{"expression", "1"}});  // what was said while loading has come
  }

  // The value of a JavaScript expression.
  Json value_of(const std::string& expression) {
    const Json result = call("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}});
    if (result.contains("exceptionDetails")) throw std::runtime_error(expression + ": " + result.dump());
    return result["result"].value("value", Json());
  }

  // Exceptions, console messages and log entries since open().
  std::vector<std::string> complaints() const {
    std::vector<std::string> texts;
    for (const Json& e : events_)
      if (e["method"] == "Runtime.exceptionThrown" || e["method"] == "Runtime.consoleAPICalled" ||
          e["method"] == "Log.entryAdded")
        texts.push_back(e["params"].dump());
    return texts;
  }
  // Addresses of all requests since open().
  std::vector<std::string> requests() const {
    std::vector<std::string> urls;
    for (const Json& e : events_)
      if (e["method"] == "Network.requestWillBeSent") urls.push_back(e["params"]["request"]["url"]);
    return urls;
  }

 private:
  bool has_event(const char* method) const {
    for (const Json& e : events_)
      if (e.value("method", "") == method) return true;
    return false;
  }
  Json next() {
    for (;;) {
      if (const std::size_t end = buffer_.find('\0'); end != std::string::npos) {
        Json message = Json::parse(buffer_.substr(0, end));
        buffer_.erase(0, end + 1);
        return message;
      }
      pollfd ready{read_, POLLIN, 0};
      if (poll(&ready, 1, 60'000) <= 0) throw std::runtime_error("chromium says nothing");
      char part[1 << 16];
      const ssize_t n = ::read(read_, part, sizeof part);
      if (n <= 0) throw std::runtime_error("chromium has ended");
      buffer_.append(part, static_cast<std::size_t>(n));
    }
  }

  Scratch profile_;
  pid_t child_ = 0;
  int read_ = -1, write_ = -1, id_ = 0;
  std::string session_, buffer_;
  std::deque<Json> events_;
};

}  // namespace headroom::testing
