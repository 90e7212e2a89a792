#include "sim/network/network.h"

#include <algorithm>
#include <utility>

namespace headroom {
namespace {

constexpr double kInstant = 1e-9;  // seconds; ends within it are the same end

}  // namespace

LinkId Network::add(std::string name, BytesPerSecond bandwidth) {
  links_.push_back(Link{std::move(name), bandwidth.rate()});
  return static_cast<LinkId>(links_.size() - 1);
}

TransferId Network::start(double time, double bytes, Route route) {
  advance(time);
  Transfer t;
  t.id = started_++;
  t.begins = time + route.latency.count();
  t.route = std::move(route);
  t.left = bytes;
  t.moves = t.begins <= time;
  transfers_.push_back(std::move(t));
  if (transfers_.back().moves) share();
  return transfers_.back().id;
}

double Network::end_of(const Transfer& t) const {
  if (!t.moves) return t.begins;
  return t.left <= 0 ? now_ : now_ + t.left / t.rate;
}

double Network::next_change() const {
  double next = kNever;
  for (const Transfer& t : transfers_) next = std::min(next, end_of(t));
  return next;
}

void Network::move(double seconds) {
  for (Transfer& t : transfers_) {
    if (!t.moves) continue;
    const double bytes = std::min(t.left, t.rate * seconds);
    t.left -= bytes;
    for (const LinkId link : t.route.links) links_[link].carried += bytes;
  }
}

void Network::advance(double time) {
  for (double next = next_change(); next <= time && next != kNever; next = next_change()) {
    for (Transfer& t : transfers_) {
      if (!t.moves || end_of(t) > next + kInstant) continue;
      for (const LinkId link : t.route.links) links_[link].carried += t.left;
      t.left = 0;
      ended.push_back(Ended{t.id, next});
    }
    std::erase_if(transfers_, [](const Transfer& t) { return t.moves && t.left == 0; });
    move(next - now_);
    now_ = next;
    for (Transfer& t : transfers_) t.moves = t.moves || t.begins <= next + kInstant;
    share();
  }
  if (time > now_ && time != kNever) {
    move(time - now_);
    now_ = time;
  }
}

// Progressive filling: the tightest link, or the tightest bound of one transfer, sets the rates of those it holds back.
void Network::share() {
  std::vector<LinkId> used;
  std::vector<Transfer*> open;
  for (Transfer& t : transfers_) {
    if (!t.moves) continue;
    open.push_back(&t);
    for (const LinkId link : t.route.links)
      if (links_[link].users++ == 0) {
        links_[link].left = links_[link].bandwidth;
        used.push_back(link);
      }
  }
  while (!open.empty()) {
    double level = std::numeric_limits<double>::max();
    for (const LinkId link : used)
      if (links_[link].users > 0) level = std::min(level, links_[link].left / static_cast<double>(links_[link].users));
    for (const Transfer* t : open) level = std::min(level, t->route.at_most.rate());
    const auto held = [&](const Transfer& t) {
      if (t.route.at_most.rate() <= level) return true;
      return std::any_of(t.route.links.begin(), t.route.links.end(), [&](LinkId link) {
        return links_[link].left <= level * static_cast<double>(links_[link].users) * (1 + 1e-12);
      });
    };
    // Who is held back is decided before any of them takes its share.
    const auto rest = std::stable_partition(open.begin(), open.end(), [&](const Transfer* t) { return held(*t); });
    for (auto it = open.begin(); it != rest; ++it) {
      (*it)->rate = level;
      for (const LinkId link : (*it)->route.links) {
        links_[link].left = std::max(0.0, links_[link].left - level);
        --links_[link].users;
      }
    }
    open.erase(open.begin(), rest);
  }
}

BytesPerSecond Network::rate(TransferId id) const {
  const auto at = std::lower_bound(transfers_.begin(), transfers_.end(), id,
                                   [](const Transfer& t, TransferId wanted) { return t.id < wanted; });
  return BytesPerSecond{at == transfers_.end() || at->id != id ? 0 : at->rate};
}

}  // namespace headroom
