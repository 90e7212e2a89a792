// Links that transfers share, and how fast each transfer moves.
//
// A transfer first waits for its latency, then moves its bytes at its rate. Rates are max-min fair: the rates of all
// rise together until a link is full; transfers through it stay at that rate, the others rise on. So rates are constant
// between two changes of who moves, and the next end is known in closed form.
//
// A state machine without a clock, as schedulers are: whoever owns the calendar says what time it is, asks
// next_change() and calls advance(). SimGrid's flow model is its twin (tests/unit/network): a run needs several
// platforms in one process and thousands of runs a minute, SimGrid has one platform a process.
//
// Invariants:
//   1. A link never carries more than its bandwidth.
//   2. Each moving transfer is at its own limit or has a bottleneck: a full link on which nobody moves faster.
//   3. carried(link) is the sum of the bytes that transfers have moved through it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "models/units.h"

namespace headroom {

using LinkId = std::uint32_t;
using TransferId = std::uint64_t;  // never given twice

// The links a transfer goes through, each at most once, and what else bounds it.
struct Route {
  std::vector<LinkId> links;
  Seconds latency;                                             // before the first byte
  BytesPerSecond at_most{std::numeric_limits<double>::max()};  // of one transfer, links apart
};

class Network {
 public:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  LinkId add(std::string name, BytesPerSecond bandwidth);

  // Times are seconds and never go back. A route without links and bound takes its latency only.
  TransferId start(double time, double bytes, Route route);
  TransferId start(double time, Bytes bytes, Route route) {
    return start(time, static_cast<double>(bytes.count()), std::move(route));
  }

  // When advance() next has something to do: a first or a last byte. kNever: nothing is under way.
  double next_change() const;
  // Lets time pass. Transfers that have ended by then are added to `ended`, in order of time, then of start.
  void advance(double time);

  struct Ended {
    TransferId id;
    double time;
  };
  std::vector<Ended> ended;  // since the caller last cleared it

  // What it moves at now; zero before its first and after its last byte.
  BytesPerSecond rate(TransferId id) const;

  std::size_t num_links() const { return links_.size(); }
  const std::string& name(LinkId link) const { return links_[link].name; }
  BytesPerSecond bandwidth(LinkId link) const { return BytesPerSecond{links_[link].bandwidth}; }
  double carried(LinkId link) const { return links_[link].carried; }  // bytes

 private:
  struct Link {
    std::string name;
    double bandwidth;
    double carried = 0;
    // While rates are shared out; nobody in between:
    double left = 0;
    std::size_t users = 0;
  };
  struct Transfer {
    TransferId id = 0;
    Route route;
    double begins = 0;  // moves from then on
    double left = 0;    // bytes
    bool moves = false;
    double rate = 0;  // bytes per second
  };

  void move(double seconds);
  void share();
  double end_of(const Transfer& t) const;

  std::vector<Link> links_;
  std::vector<Transfer> transfers_;  // under way, in order of start
  double now_ = 0;
  TransferId started_ = 0;
};

}  // namespace headroom
