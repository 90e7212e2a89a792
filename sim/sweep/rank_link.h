// What Ranks asks of MPI: between ranks.cpp and the module that links it.
#pragma once

#include <optional>
#include <string>

namespace headroom {

class RankLink {
 public:
  struct Message {
    int from;
    std::string text;
  };
  virtual ~RankLink() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void send(int to, const std::string& text) = 0;
  virtual std::optional<Message> receive() = 0;
  virtual bool any(bool here) = 0;
  virtual void abort(int code) = 0;
};

}  // namespace headroom
