// SPDX-License-Identifier: Apache-2.0
#include "attach.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "path.h"

namespace terway::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kPods = 300;

Result<double> timed_add(const Node& node, datapath::Datapath& datapath, unsigned n,
                         std::vector<Namespace>& pods) {
  pods.push_back(TRY(Namespace::make()));
  const auto inside = TRY(node.ns.enter());
  const auto plan = pod_plan(node, n);
  const auto start = Clock::now();
  TRY(datapath.add_pod(plan, pods.back().descriptor()));
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Result<Attaching> measure_attaching() {
  const Nodes nodes = TRY(make_nodes());
  const auto stack = TRY(open_datapath("attaching", nodes.node[0], Wiring::Stack));
  const auto fast_path = TRY(open_datapath("attaching", nodes.node[1], Wiring::FastPath));
  std::vector<Namespace> pods;
  std::vector<double> without, with;
  for (unsigned n = 1; n <= kPods; ++n) {
    without.push_back(TRY(timed_add(nodes.node[0], *stack, n, pods)));
    with.push_back(TRY(timed_add(nodes.node[1], *fast_path, n, pods)));
  }
  return Attaching{median(without), median(with)};
}

}  // namespace terway::bench
