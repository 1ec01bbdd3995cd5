// SPDX-License-Identifier: Apache-2.0
#include "datapath/state.h"

#include <fmt/core.h>
#include <linux/neighbour.h>

#include <algorithm>

#include "datapath/exclusive.h"
#include "datapath/names.h"

namespace terway::datapath {

Result<std::uint32_t> Datapath::State::mark_of(int ifindex) {
  const auto known = numbers.find(ifindex);
  if (known != numbers.end()) return node.marks.mark_of(known->second);
  std::set<std::uint32_t> taken;
  for (const auto& [index, number] : numbers) taken.insert(number);
  for (std::uint32_t number = 1; number <= node.marks.most(); ++number) {
    if (taken.contains(number)) continue;
    numbers[ifindex] = number;
    return node.marks.mark_of(number);
  }
  return Error(Error::Kind::Exhausted,
               fmt::format("mark mask {:#x} tells {} NICs apart and all are taken",
                           node.marks.mask(), node.marks.most()));
}

std::uint32_t Datapath::State::mark_of_eni(const std::string& eni_id) const {
  const auto nic = nics.find(eni_id);
  if (nic == nics.end() || nic->second.link.ifindex == 0) return 0;
  const auto number = numbers.find(nic->second.link.ifindex);
  return number == numbers.end() ? 0 : node.marks.mark_of(number->second);
}

// With an ENI of its own: by the primary NIC, what a Service sends elsewhere.
std::uint32_t Datapath::State::mark_of_pod(const PodPlan& pod) const {
  if (pod.mode != model::NetworkMode::Exclusive) return mark_of_eni(pod.eni_id);
  const auto number = primary ? numbers.find(primary->link.ifindex) : numbers.end();
  return number == numbers.end() ? 0 : node.marks.mark_of(number->second);
}

std::vector<NicLayout> Datapath::State::nic_layouts() {
  std::vector<NicLayout> layouts;
  if (primary) {
    if (const auto mark = mark_of(primary->link.ifindex); mark.ok()) {
      layouts.push_back({primary->link.ifindex, *mark, true, primary->routes, {}});
    }
  }
  for (const auto& [id, nic] : nics) {
    if (nic.link.ifindex == 0 || is_exclusive(*this, id)) continue;
    const auto number = numbers.find(nic.link.ifindex);
    if (number == numbers.end()) continue;
    NicLayout layout{nic.link.ifindex, node.marks.mark_of(number->second), false, {}, {}};
    for (const net::Family family : {net::Family::V4, net::Family::V6}) {
      if (enabled(family)) layout.routes.push_back(nic_last_route(nic.link.ifindex, family));
    }
    for (const Gateway& gateway : nic.gateways) {
      // A NIC that is down takes no routes.
      if (!gateway.mac || !nic.link.up()) continue;
      layout.routes.push_back(nic_default_route(nic.link.ifindex, gateway.address));
      layout.neighbours.push_back({nic.link.ifindex, gateway.address, *gateway.mac, NUD_PERMANENT});
    }
    layouts.push_back(std::move(layout));
  }
  // Numbers from before a restart: their rules and chains stay until it is known whose they are.
  for (const auto& [ifindex, number] : numbers) {
    const std::uint32_t mark = node.marks.mark_of(number);
    const bool known = std::any_of(layouts.begin(), layouts.end(),
                                   [&](const NicLayout& layout) { return layout.mark == mark; });
    if (!known) layouts.push_back({ifindex, mark, false, {}, {}});
  }
  return layouts;
}

std::vector<PodLayout> Datapath::State::pod_layouts() const {
  std::vector<PodLayout> layouts;
  for (const auto& [key, pod] : pods) {
    PodLayout layout;
    layout.ifindex = pod.ifindex;
    for (const net::IpAddress& address : pod.plan.addresses) {
      if (enabled(address.family())) layout.addresses.push_back(address);
    }
    if (!pod.adopted) layout.pod_mac = pod_mac_of(key);
    layout.mark = mark_of_pod(pod.plan);
    layouts.push_back(std::move(layout));
  }
  return layouts;
}

void Datapath::State::quieten(int ifindex, std::vector<kernel::Message>& messages) const {
  if (!kernel_ipv6) return;
  kernel::LinkChange quiet;
  quiet.no_ipv6_address = true;
  messages.push_back(kernel::change_link(ifindex, quiet));
}

bool Datapath::State::owned_by_another(const net::IpAddress& address,
                                       const model::AttachmentKey& key) const {
  return std::any_of(pods.begin(), pods.end(), [&](const auto& entry) {
    const auto& addresses = entry.second.plan.addresses;
    return entry.first != key &&
           std::find(addresses.begin(), addresses.end(), address) != addresses.end();
  });
}

}  // namespace terway::datapath
