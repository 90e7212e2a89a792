#include "sim/engine/shared_links.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "sim/config/scenario_derive.h"
#include "sim/network/collectives.h"

namespace headroom {
namespace {

// What one replica may have under way at a time beside its other lines.
enum class Line { kStep, kLoads, kStores };
struct Kind {
  std::vector<Route> SharedTransfers::*routes;
  Line line;
};
constexpr std::array kKinds{
    Kind{&SharedTransfers::swaps_in, Line::kStep},   Kind{&SharedTransfers::swaps_out, Line::kStep},
    Kind{&SharedTransfers::all_reduce, Line::kStep}, Kind{&SharedTransfers::weights, Line::kStep},
    Kind{&SharedTransfers::drives, Line::kStep},     Kind{&SharedTransfers::loads, Line::kLoads},
    Kind{&SharedTransfers::stores, Line::kStores}};

// What is the same for all replicas.
struct Facts {
  HostCopy swap, offload;
  NodeProfile node;
  Seconds all_reduce_latency;
  std::optional<ZeroWeights> zero;  // that each replica streams for itself
};

Facts facts_of(const Scenario& s) {
  const StepTimeOptions step = step_time_options(s);
  Facts facts{swap_copy(s), host_copy(s), node_of(s), {}, {}};
  if (step.all_reduce) facts.all_reduce_latency = step.all_reduce->latency;
  if (s.techniques.zero_offload != ZeroOffload::kNone && s.techniques.zero_shard_size.value_or(s.cluster.replicas) == 1)
    facts.zero = step.zero;
  return facts;
}

// Everything that replica `index` ever sends over links.
SharedTransfers transfers_of(const Scenario& s, const Platform& platform, std::int64_t index, const Facts& facts) {
  SharedTransfers t;
  const std::vector<std::int64_t> gpus = platform.gpus_of(gpus_per_replica(s), index);
  const auto copies = [&](const HostCopy& copy, std::vector<Route>& in, std::vector<Route>& out) {
    if (copy.block.count() == 0) return;
    for (const std::int64_t gpu : gpus) {
      const Place at = platform.gpu(gpu);
      in.push_back(platform.route(platform.host_of(at), at));
      out.push_back(platform.route(at, platform.host_of(at)));
      in.back().at_most = out.back().at_most =
          BytesPerSecond{static_cast<double>(copy.block.count()) / copy.time(1).count()};
    }
  };
  copies(facts.swap, t.swaps_in, t.swaps_out);
  copies(facts.offload, t.loads, t.stores);
  if (gpus.size() > 1) {
    t.all_reduce = collective_round(facts.node, platform, CollectiveKind::kAllReduce, gpus);
    t.all_reduce_latency = facts.all_reduce_latency;
  }
  if (!facts.zero) return t;
  t.zero = facts.zero;
  const bool drives = s.techniques.zero_offload == ZeroOffload::kNvme,
             at_once = drives && facts.zero->prefetch_layers > 0;
  for (const std::int64_t gpu : gpus) {
    const Place at = platform.gpu(gpu);
    t.weights.push_back(platform.route(at_once ? platform.drives_of(at) : platform.host_of(at), at));
    if (drives && !at_once) t.drives.push_back(platform.route(platform.drives_of(at), platform.host_of(at)));
  }
  return t;
}

// What every link may have to carry at once.
class Demand {
 public:
  explicit Demand(const Platform& platform) : platform_(platform), users_(platform.idle().num_links()) {}

  void meets(std::size_t replica, const SharedTransfers& t) {
    for (const Kind& kind : kKinds)
      for (const Route& route : t.*kind.routes)
        for (const LinkId link : route.links) users_[link].by_line[{replica, kind.line}];
  }
  // KV that moves between replicas takes all there is.
  void moves(const Route& route) {
    for (const LinkId link : route.links) users_[link].kv_moves = true;
  }
  // The rates of those who are not alone somewhere.
  void weigh(std::size_t replica, const SharedTransfers& t) {
    for (const Kind& kind : kKinds) {
      const std::vector<Route>& routes = t.*kind.routes;
      const bool meets = std::any_of(routes.begin(), routes.end(), [&](const Route& route) {
        return std::any_of(route.links.begin(), route.links.end(),
                           [&](LinkId l) { return users_[l].by_line.size() > 1; });
      });
      if (!meets) continue;
      const std::vector<BytesPerSecond> rates = platform_.rates_of(routes);
      std::map<LinkId, double> on;
      for (std::size_t i = 0; i < routes.size(); ++i)
        for (const LinkId link : routes[i].links) on[link] += rates[i].rate();
      for (const auto& [link, rate] : on) {
        double& most = users_[link].by_line[{replica, kind.line}];
        most = std::max(most, rate);
      }
    }
  }
  bool full(LinkId link) const {
    double sum = 0;
    for (const auto& [user, rate] : users_[link].by_line) sum += rate;
    return users_[link].by_line.size() > 1 && sum > platform_.idle().bandwidth(link).rate() * (1 + 1e-9);
  }
  bool full(const std::vector<Route>& routes, bool beside_kv_moves) const {
    return std::any_of(routes.begin(), routes.end(), [&](const Route& route) {
      return std::any_of(route.links.begin(), route.links.end(),
                         [&](LinkId l) { return full(l) || (beside_kv_moves && users_[l].kv_moves); });
    });
  }

 private:
  struct Users {
    std::map<std::pair<std::size_t, Line>, double> by_line;  // bytes per second
    bool kv_moves = false;
  };
  const Platform& platform_;
  std::vector<Users> users_;
};

}  // namespace

bool SharedTransfers::any() const {
  return std::any_of(kKinds.begin(), kKinds.end(), [&](const Kind& kind) { return !(this->*kind.routes).empty(); });
}

bool may_share_links(const Scenario& s) {
  if (s.cluster.pipeline_parallel_size > 1) return false;
  const bool copies = s.engine.kv_offloading_size.count() > 0 || s.engine.swap_space.count() > 0 ||
                      s.techniques.zero_offload != ZeroOffload::kNone;
  return s.cluster.replicas > 1 ? copies || s.cluster.tensor_parallel_size > 1
                                : copies && (s.cluster.tensor_parallel_size > 1 || s.techniques.zero_stage == 3);
}

std::vector<SharedTransfers> shared_transfers(const Scenario& s, const Platform& platform) {
  if (s.cluster.pipeline_parallel_size > 1) return {};
  const auto replicas = static_cast<std::size_t>(s.cluster.replicas);
  const Facts facts = facts_of(s);
  std::vector<SharedTransfers> all;
  Demand demand(platform);
  for (std::size_t i = 0; i < replicas; ++i) {
    all.push_back(transfers_of(s, platform, static_cast<std::int64_t>(i), facts));
    if (!all.back().any()) return {};  // all are alike
    demand.meets(i, all.back());
  }
  // A layer's KV leaves when the layer is known to end.
  if (s.engine.kv_transfer == KvTransferMode::kPushLayerwise)
    for (std::int64_t i = 0; i < s.cluster.prefill_replicas; ++i) all[static_cast<std::size_t>(i)].all_reduce.clear();
  const std::int64_t width = s.cluster.tensor_parallel_size;
  for (std::int64_t from = 0; from < s.cluster.prefill_replicas; ++from)
    for (std::int64_t to = s.cluster.prefill_replicas; to < s.cluster.replicas; ++to)
      for (std::int64_t rank = 0; rank < width; ++rank) {
        const auto gpu = [&](std::int64_t r) {
          return platform.gpu(platform.gpus_of(width, r)[static_cast<std::size_t>(rank)]);
        };
        demand.moves(platform.route(gpu(from), gpu(to)));
      }
  for (std::size_t i = 0; i < replicas; ++i) demand.weigh(i, all[i]);
  bool any = false;
  for (SharedTransfers& t : all) {
    for (const Kind& kind : kKinds)
      if (!demand.full(t.*kind.routes, kind.routes != &SharedTransfers::all_reduce)) (t.*kind.routes).clear();
    if (!t.weights.empty() || !t.drives.empty()) {  // one after the other, or neither
      SharedTransfers whole = transfers_of(s, platform, static_cast<std::int64_t>(&t - all.data()), facts);
      t.weights = std::move(whole.weights);
      t.drives = std::move(whole.drives);
    }
    any = any || t.any();
  }
  return any ? all : std::vector<SharedTransfers>{};
}

StepScript script_of(const SharedTransfers& shared, const StepTimeModel::Work& w, Seconds idle, double swapped,
                     bool inwards, std::int64_t ranks) {
  StepScript script;
  std::vector<FlowUnit>& units = script.units;
  double layers = w.compute_of_layers.count(), after = w.compute_after.count();
  const std::vector<Route>& swaps = inwards ? shared.swaps_in : shared.swaps_out;
  if (swapped > 0 && !swaps.empty()) {  // before the step computes
    units.push_back(FlowUnit{&swaps, swapped, 0, 0});
  } else {
    layers += w.swapping.count();
  }
  const bool streams = !shared.weights.empty(), reduces = !shared.all_reduce.empty() && w.all_reduce_bytes > 0;
  if (streams || !reduces) layers += w.reducing.count();
  if (streams) {
    const ZeroWeights& zero = *shared.zero;
    script.ahead = static_cast<std::size_t>(zero.prefetch_layers);
    const auto bring = [&](double bytes, double compute) {
      if (bytes > 0 && !shared.drives.empty()) units.push_back(FlowUnit{&shared.drives, bytes, 0, 0});
      units.push_back(FlowUnit{bytes > 0 ? &shared.weights : nullptr, bytes, 0, compute});
    };
    bring(zero.first_bytes, 0);
    for (std::int64_t i = 0; i < zero.layers; ++i) bring(zero.layer_bytes, layers / static_cast<double>(zero.layers));
    bring(zero.head_bytes, after);
    return script;
  }
  // What waits for weights on links of its own does so in closed form.
  after += (idle - w.compute_of_layers - w.compute_after - w.swapping - w.reducing).count();
  if (!reduces) {
    units.push_back(FlowUnit{nullptr, 0, 0, layers + after});
    return script;
  }
  const auto n = static_cast<double>(ranks), parts = static_cast<double>(w.all_reduces);
  const FlowUnit reduce{&shared.all_reduce, 2 * (n - 1) / n * w.all_reduce_bytes, shared.all_reduce_latency.count(),
                        layers / parts};
  units.push_back(FlowUnit{nullptr, 0, 0, layers / parts});
  units.insert(units.end(), static_cast<std::size_t>(w.all_reduces), reduce);
  units.back().compute = after;
  return script;
}

}  // namespace headroom
