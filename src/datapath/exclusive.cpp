// SPDX-License-Identifier: Apache-2.0
#include "datapath/exclusive.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "datapath/exclusive_inside.h"
#include "kernel/netns.h"

namespace terway::datapath {

namespace {

constexpr std::string_view kNicAlias = "terway-nic:";
// In pods NICs have numbers from here on: each its own on the node, for their programs know pods by
// them, and out of the way of what else is in a pod's namespace.
constexpr int kNicNumbers = 540'000'000;
constexpr int kMostLinks = 1'000'000;
constexpr const char* kAnyName = "eth%d";

const WiredPod* pod_of(const Datapath::State& state, const std::string& eni_id) {
  for (const auto& [key, pod] : state.pods) {
    if (pod.plan.eni_id == eni_id && pod.plan.mode == model::NetworkMode::Exclusive) return &pod;
  }
  return nullptr;
}

// By MAC; by its alias where the pod has changed that.
std::optional<kernel::Link> pick_nic(const std::vector<kernel::Link>& links, const net::Mac& mac) {
  const std::string suffix = "/" + mac.to_string();
  const kernel::Link* marked = nullptr;
  for (const kernel::Link& link : links) {
    if (link.stacked()) continue;
    if (link.mac == mac) return link;
    if (link.alias.starts_with(kNicAlias) && link.alias.ends_with(suffix)) marked = &link;
  }
  return marked == nullptr ? std::nullopt : std::optional(*marked);
}

// Empty where none is known.
std::string own_name_of(const kernel::Link& link) {
  const std::string_view alias = link.alias;
  if (!alias.starts_with(kNicAlias)) return "";
  return std::string(alias.substr(kNicAlias.size(), alias.rfind('/') - kNicAlias.size()));
}

Result<> learn_gateways(kernel::Socket& inner, Nic& nic, int ifindex) {
  for (Gateway& gateway : nic.gateways) {
    if (gateway.mac) continue;
    for (const auto& known :
         TRY(kernel::list_neighbours(inner, gateway.address.family(), ifindex))) {
      if (known.address == gateway.address && known.permanent()) gateway.mac = known.mac;
    }
  }
  return Ok{};
}

// Out of the namespace, under its own name where that is free.
Result<> move_home(kernel::Socket& inner, const kernel::Link& link, const net::Mac& mac) {
  const UniqueFd home = TRY(kernel::current_netns());
  kernel::LinkChange move;
  move.netns = home.get();
  const std::string own = own_name_of(link);
  move.name = own.empty() ? kAnyName : own;
  std::vector<kernel::Message> messages;
  if (link.mac != mac) {
    kernel::LinkChange down;
    down.up = false;
    messages.push_back(kernel::change_link(link.ifindex, down));
    kernel::LinkChange restore;
    restore.mac = mac;
    messages.push_back(kernel::change_link(link.ifindex, restore));
  }
  messages.push_back(kernel::change_link(link.ifindex, move));
  auto moved = inner.request_all(messages);
  if (!moved.is(Error::Kind::Exists)) return moved;
  move.name = kAnyName;
  return inner.request(kernel::change_link(link.ifindex, move));
}

}  // namespace

Result<std::optional<kernel::Link>> find_nic_in(kernel::Socket& socket, const net::Mac& mac) {
  return pick_nic(TRY(kernel::list_links(socket)), mac);
}

Result<std::optional<InnerLinks>> find_inner(kernel::Socket& inner, const net::Mac& mac) {
  auto nic = TRY(find_nic_in(inner, mac));
  if (!nic) return std::optional<InnerLinks>();
  InnerLinks links{std::move(*nic), std::nullopt};
  auto peer = kernel::get_link(inner, kPeerIfname);
  if (!peer.ok() && !peer.is(Error::Kind::NotFound)) return peer.take_error();
  if (peer.ok()) links.peer = std::move(*peer);
  return std::optional<InnerLinks>(std::move(links));
}

Result<UniqueFd> open_netns_of(const PodPlan& pod) {
  if (pod.netns_path.empty()) {
    return Error(Error::Kind::Unavailable,
                 fmt::format("the namespace of pod {} is not known", pod.key.to_string()));
  }
  auto opened = kernel::open_netns(pod.netns_path);
  if (opened.ok()) {
    if (pod.netns_inode != 0 && TRY(kernel::netns_inode(opened->get())) != pod.netns_inode) {
      return Error(Error::Kind::NotFound, pod.netns_path + " is another namespace by now");
    }
    return opened;
  }
  if (opened.is(Error::Kind::Invalid))
    return Error(Error::Kind::NotFound, opened.error().message());
  std::error_code ignored;
  const auto folder = std::filesystem::path(pod.netns_path).parent_path();
  if (opened.is(Error::Kind::NotFound) && !std::filesystem::is_directory(folder, ignored)) {
    return Error(Error::Kind::Unavailable, folder.string() + " cannot be seen from here");
  }
  return opened;
}

bool is_exclusive(const Datapath::State& state, const std::string& eni_id) {
  for (const auto& [key, pod] : state.pods) {
    if (pod.plan.eni_id == eni_id) return pod.plan.mode == model::NetworkMode::Exclusive;
  }
  return state.node.exclusive;
}

std::string nic_alias(std::string_view own_name, const net::Mac& mac) {
  return fmt::format("{}{}/{}", kNicAlias, own_name, mac.to_string());
}

bool knows_gateways(const Nic& nic) {
  return !nic.gateways.empty() &&
         std::all_of(nic.gateways.begin(), nic.gateways.end(),
                     [](const Gateway& gateway) { return gateway.mac.has_value(); });
}

Result<bool> is_in_its_pod(Datapath::State& state, Nic& nic) {
  const WiredPod* pod = pod_of(state, nic.plan.eni_id);
  if (pod == nullptr) return false;
  if (nic.away && knows_gateways(nic)) return true;
  const auto netns = open_netns_of(pod->plan);
  if (netns.is(Error::Kind::NotFound)) return false;
  nic.away = true;
  // Where it cannot be looked for, it is where it was put.
  if (!netns.ok()) return true;
  auto inner = TRY(kernel::Socket::open_in(netns->get(), kernel::Protocol::Route));
  const auto link = TRY(find_nic_in(inner, nic.plan.mac));
  nic.away = link.has_value();
  if (link) TRY(learn_gateways(inner, nic, link->ifindex));
  return nic.away;
}

Result<> restore_mac(Datapath::State& state, const Nic& nic,
                     const std::vector<kernel::Link>& links) {
  const auto link = pick_nic(links, nic.plan.mac);
  if (!link || link->mac == nic.plan.mac) return Ok{};
  kernel::LinkChange change;
  change.mac = nic.plan.mac;
  return state.route.request(kernel::change_link(link->ifindex, change));
}

Result<> put_away(Datapath::State& state, Nic& nic, Drift& drift) {
  // A socket that listens on a link that leaves would be told of it for ever.
  for (Gateway& gateway : nic.gateways) gateway.probe.reset();
  std::vector<kernel::Message> messages;
  const std::string own = own_name_of(nic.link);
  kernel::LinkChange change;
  if (nic.link.up()) change.up = false;
  if (nic.link.alias.starts_with(kNicAlias)) change.alias = "";
  if (change.up || change.alias) messages.push_back(kernel::change_link(nic.link.ifindex, change));
  if (!own.empty() && own != nic.link.name && !kernel::get_link(state.route, own).ok()) {
    kernel::LinkChange rename;
    rename.name = own;
    messages.push_back(kernel::change_link(nic.link.ifindex, rename));
  }
  if (messages.empty()) return Ok{};
  TRY(state.route.request_all(messages));
  nic.link = TRY(kernel::get_link(state.route, nic.link.ifindex));
  ++drift.links;
  drift.what.push_back(fmt::format("link {}: down, waits for a pod", nic.link.name));
  return Ok{};
}

Result<> enter_exclusive(Datapath::State& state, WiredPod& pod, int netns) {
  const PodPlan& plan = pod.plan;
  Nic& nic = state.nics.at(plan.eni_id);
  const auto link = TRY(find_nic_in(state.route, nic.plan.mac));
  if (!link) {
    return Error(Error::Kind::Unavailable, fmt::format("ENI {}: no NIC with MAC {} in the node yet",
                                                       plan.eni_id, nic.plan.mac.to_string()));
  }
  nic.link = *link;
  Drift drift;
  TRY(put_away(state, nic, drift));
  TRY(kernel::number_netns(state.route, netns));
  const auto inside = TRY(kernel::InsideNetns::enter(netns));
  auto inner = TRY(kernel::Socket::open(kernel::Protocol::Route));
  if (kernel::get_link(inner, plan.key.ifname).ok()) {
    return Error(
        Error::Kind::Exists,
        fmt::format("the namespace has an interface {} that is not ours", plan.key.ifname));
  }
  kernel::LinkChange mark;
  mark.alias = nic_alias(nic.link.name, nic.plan.mac);
  kernel::LinkChange move;
  move.netns = netns;
  move.name = plan.key.ifname;
  move.new_ifindex = kNicNumbers + nic.link.ifindex % kMostLinks;
  std::vector<kernel::Message> messages;
  messages.push_back(kernel::change_link(nic.link.ifindex, mark));
  messages.push_back(kernel::change_link(nic.link.ifindex, move));
  nic.away = true;
  nic.link = {};
  TRY(state.route.request_all(messages));
  TRY(set_inner_sysctls(plan));
  auto links = TRY(find_inner(inner, nic.plan.mac));
  if (!links || (plan.host_peer && !links->peer)) {
    return Error(Error::Kind::Unavailable, "what was put there is gone");
  }
  if (!plan.host_peer) links->peer.reset();
  messages.clear();
  TRY(prepare_programs(state, pod, nic, *links, messages));
  return write_inside(state, plan, nic, *links, inner, std::move(messages));
}

Result<> bring_home(Datapath::State& state, const PodPlan& pod, int netns) {
  const auto found = state.nics.find(pod.eni_id);
  Nic* nic = found == state.nics.end() ? nullptr : &found->second;
  const net::Mac mac = nic == nullptr ? pod.nic_mac : nic->plan.mac;
  if (mac.is_zero()) return Ok{};
  auto link = TRY(find_nic_in(state.route, mac));
  std::optional<Error> unseen;
  if (!link) {
    auto by_path = open_netns_of(pod);
    if (by_path.is(Error::Kind::Unavailable)) unseen = by_path.error();
    for (const int inside : {netns, by_path.ok() ? by_path->get() : -1}) {
      if (inside < 0 || link) continue;
      auto inner = TRY(kernel::Socket::open_in(inside, kernel::Protocol::Route));
      const auto there = TRY(find_nic_in(inner, mac));
      unseen.reset();
      if (!there) continue;
      if (nic != nullptr) TRY(learn_gateways(inner, *nic, there->ifindex));
      TRY_WITHIN("take the NIC out of the pod's namespace", move_home(inner, *there, mac));
      link = TRY(find_nic_in(state.route, mac));
    }
  }
  if (nic == nullptr) return Ok{};
  if (!link) {
    if (unseen) return std::move(*unseen).within(fmt::format("NIC of ENI {}", pod.eni_id));
    nic->away = false;
    nic->ready = false;
    nic->link = {};
    return Ok{};
  }
  nic->away = false;
  nic->link = *link;
  nic->ready = knows_gateways(*nic);
  TRY(restore_mac(state, *nic, {*link}));
  Drift drift;
  return put_away(state, *nic, drift);
}

}  // namespace terway::datapath
