// The only door to SimGrid. Processes are its actors, each on a host; a wait is a condition variable with a deadline.
//
// SimGrid allows one engine and one sealed platform per process of the operating system: later clocks live on the hosts
// of the first, and their time goes on from where the last one ended (origin_).
#include <memory>
#include <optional>
#include <simgrid/s4u.hpp>
#include <vector>

#include "sim/engine/clock.h"

namespace headroom {
namespace {

namespace sg = simgrid::s4u;

struct Platform {
  sg::Engine engine;
  std::vector<sg::Host*> hosts;

  explicit Platform(std::size_t places) : engine(argc(), argv()) {
    sg::NetZone* world = sg::create_full_zone("world");
    for (std::size_t i = 0; i < places; ++i) hosts.push_back(world->create_host("host" + std::to_string(i), 1e9));
    world->seal();
  }
  // Processes beyond the first run's share hosts; a host is only a place here.
  sg::Host* host(std::size_t i) const { return hosts[i % hosts.size()]; }

  static Platform& of_this_process(std::size_t places) {
    static Platform platform(places);
    return platform;
  }

 private:
  // Small stacks, and silence: what goes wrong is reported by exception.
  static inline std::string words_[] = {"headroom", "--cfg=contexts/stack-size:256", "--log=root.thresh:critical"};
  static inline char* pointers_[] = {words_[0].data(), words_[1].data(), words_[2].data(), nullptr};
  static inline int count_ = 3;
  static int* argc() { return &count_; }
  static char** argv() { return pointers_; }
};

class SimgridClock final : public Clock {
 public:
  explicit SimgridClock(std::size_t places) : platform_(Platform::of_this_process(places)) {}

  ProcessId add(const std::string& name, std::function<void()> body) override {
    const ProcessId id = woken_.size();
    woken_.push_back(sg::ConditionVariable::create());
    sg::Actor::create(name, platform_.host(id), [this, id, body = std::move(body)] {
      const std::unique_lock<sg::Mutex> turn(*mutex_);
      running_ = id;
      body();
    });
    return id;
  }

  void run() override {
    origin_ = sg::Engine::get_clock();
    platform_.engine.run();
  }

  double now() const override { return sg::Engine::get_clock() - origin_; }

  void wait_until(double time) override {
    if (time <= now()) return;
    const ProcessId self = running_;
    std::unique_lock<sg::Mutex> turn(*mutex_, std::adopt_lock);
    if (time == kNever) {
      woken_[self]->wait(turn);
    } else {
      woken_[self]->wait_until(turn, origin_ + time);
    }
    turn.release();  // the body's own lock goes on
    running_ = self;
  }

  void wake(ProcessId process) override { woken_[process]->notify_all(); }

 private:
  Platform& platform_;
  double origin_ = 0;
  sg::MutexPtr mutex_ = sg::Mutex::create();  // held by the process whose turn it is
  std::vector<sg::ConditionVariablePtr> woken_;
  ProcessId running_ = 0;
};

}  // namespace
}  // namespace headroom

extern "C" headroom::Clock* headroom_simgrid_clock(std::size_t places) {
  static std::optional<headroom::SimgridClock> clock;
  return &clock.emplace(places);
}
