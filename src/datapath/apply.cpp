// SPDX-License-Identifier: Apache-2.0
// Read, diff, write: the one way in which the node's own state is made, healed and swept.
#include <fmt/core.h>
#include <linux/neighbour.h>

#include <algorithm>
#include <set>

#include "datapath/exclusive.h"
#include "datapath/names.h"
#include "datapath/programs.h"
#include "datapath/state.h"
#include "datapath/takeover.h"

namespace terway::datapath {

namespace {

template <class T>
bool contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// Messages with what each says in a log.
struct Writing {
  std::vector<kernel::Message> messages;
  std::vector<std::uint32_t*> counters;
  std::vector<std::string> what;

  void add(kernel::Message message, std::uint32_t& counter, std::string text) {
    messages.push_back(std::move(message));
    counters.push_back(&counter);
    what.push_back(std::move(text));
  }
};

// What is there already or gone already was changed by somebody else meanwhile: as wanted. Another
// failure (a NIC that went down meanwhile) stops nothing else; the first is kept.
Result<> write(kernel::Socket& socket, Writing& writing, Drift& drift,
               std::optional<Error>& failure) {
  if (writing.messages.empty()) return Ok{};
  auto results = TRY(socket.batch(writing.messages));
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].ok()) {
      ++*writing.counters[i];
      drift.what.push_back(std::move(writing.what[i]));
    } else if (!results[i].is(Error::Kind::Exists) && !results[i].is(Error::Kind::NotFound) &&
               !failure) {
      failure = results[i].take_error();
    }
  }
  return Ok{};
}

// The host ends: found by owner, by name, or by upstream's name; with the MAC that the pod knows.
void match_links(Datapath::State& state, const Actual& actual, Writing& writing, Drift& drift) {
  for (auto& [key, pod] : state.pods) {
    if (!pod.plan.has_host_end()) continue;
    const kernel::Link* link = find_host_end(actual, key, pod.plan.pod);
    pod.ifindex = link == nullptr ? 0 : link->ifindex;
    if (link == nullptr) {
      pod.end.reset();
      drift.what.push_back(fmt::format("pod {}: no host end", pod.plan.pod.to_string()));
      continue;
    }
    pod.host_ifname = link->name;
    pod.adopted = link->name != host_ifname_of(key);
    say_veth_end(state, key, pod, *link);
    kernel::LinkChange change;
    if (link->alias != alias_of(key)) change.alias = alias_of(key);
    if (link->group != kPodGroup) change.group = kPodGroup;
    if (!pod.adopted && link->mac != host_mac_of(key)) change.mac = host_mac_of(key);
    if (!link->up()) change.up = true;
    if (change.alias || change.group || change.mac || change.up) {
      writing.add(kernel::change_link(link->ifindex, change), drift.links,
                  fmt::format("link {}: owner, MAC and state set", link->name));
    }
  }
}

// Host ends of ours whose pod is gone.
void mark_strays(Datapath::State& state, const Actual& actual, Writing& writing, Drift& drift) {
  std::set<int> wanted;
  for (const auto& [key, pod] : state.pods) wanted.insert(pod.ifindex);
  for (const kernel::Link& link : actual.links) {
    if (link.group != kPodGroup || wanted.contains(link.ifindex)) continue;
    kernel::LinkChange change;
    change.group = kDyingGroup;
    writing.add(kernel::change_link(link.ifindex, change), drift.links,
                fmt::format("link {}: nobody's, to be deleted", link.name));
    state.links_marked = true;
  }
}

void diff_rules(const Actual& actual, const Layout& wanted, bool prune, Writing& writing,
                Drift& drift) {
  std::vector<kernel::Rule> seen;
  for (const kernel::Rule& rule : actual.rules) {
    if (rule.protocol != kProtocol) continue;
    const bool extra = !contains(wanted.rules, rule) || contains(seen, rule);
    if (!extra) seen.push_back(rule);
    if (extra && prune) {
      writing.add(kernel::delete_rule(rule), drift.rules, "rule removed: " + rule.to_string());
    }
  }
  for (const kernel::Rule& rule : wanted.rules) {
    if (contains(seen, rule)) continue;
    writing.add(kernel::add_rule(rule), drift.rules, "rule added: " + rule.to_string());
  }
}

void diff_routes(const Actual& actual, const Layout& wanted, bool prune, Writing& writing,
                 Drift& drift) {
  using Place = std::pair<std::uint32_t, net::Prefix>;
  std::set<Place> places;
  for (const kernel::Route& route : wanted.routes) {
    places.insert({route.table, route.destination});
  }
  std::map<Place, std::vector<kernel::Route>> there;
  for (const kernel::Route& route : actual.routes) {
    const Place place{route.table, route.destination};
    there[place].push_back(route);
    if (route.protocol != kProtocol || contains(wanted.routes, route)) continue;
    // In a place that is wanted otherwise it is in the way, whoever is known by now.
    if (prune || places.contains(place)) {
      writing.add(kernel::delete_route(route), drift.routes, "route removed: " + route.to_string());
    }
  }
  for (const kernel::Route& route : wanted.routes) {
    if (contains(there[{route.table, route.destination}], route)) continue;
    writing.add(kernel::replace_route(route), drift.routes, "route set: " + route.to_string());
  }
}

void diff_neighbours(const Actual& actual, const Layout& wanted, Writing& writing, Drift& drift) {
  std::map<std::pair<int, net::IpAddress>, kernel::Neighbour> there;
  for (const auto& neighbour : actual.neighbours) {
    there[{neighbour.ifindex, neighbour.address}] = neighbour;
  }
  for (const auto& neighbour : wanted.neighbours) {
    const auto found = there.find({neighbour.ifindex, neighbour.address});
    if (found != there.end() && found->second.mac == neighbour.mac && found->second.permanent()) {
      continue;
    }
    writing.add(kernel::set_neighbour(neighbour.ifindex, neighbour.address, neighbour.mac),
                drift.neighbours,
                fmt::format("neighbour {} is {}", neighbour.address.to_string(),
                            neighbour.mac.to_string()));
  }
}

bool same_chains(const kernel::nft::TableState& actual, const kernel::nft::Table& wanted) {
  if (actual.chains.size() != wanted.chains.size()) return false;
  for (const auto& chain : wanted.chains) {
    kernel::nft::TableState::ChainState expected{chain.name, {}};
    for (const auto& rule : chain.rules) {
      expected.rule_marks.push_back(kernel::nft::rule_mark(rule));
    }
    if (!contains(actual.chains, expected)) return false;
  }
  return true;
}

// Element by element where the rules are as they should be; else the whole table at once.
Result<> write_table(Datapath::State& state, const Actual& actual, kernel::nft::Table wanted,
                     bool prune, Drift& drift) {
  const auto actual_elements = [&](const std::string& map) {
    std::vector<kernel::nft::Element> elements;
    if (!actual.table) return elements;
    for (const auto& found : actual.table->maps) {
      if (found.name == map) elements = found.elements;
    }
    std::sort(elements.begin(), elements.end());
    return elements;
  };
  std::set<std::string> chains;
  for (const auto& chain : wanted.chains) chains.insert(chain.name);
  std::vector<kernel::nft::MapChange> changes;
  std::uint32_t changed = 0;
  for (auto& map : wanted.maps) {
    std::sort(map.elements.begin(), map.elements.end());
    kernel::nft::MapChange change{map.name, {}, {}};
    const auto there = actual_elements(map.name);
    std::set_difference(map.elements.begin(), map.elements.end(), there.begin(), there.end(),
                        std::back_inserter(change.add));
    std::set_difference(there.begin(), there.end(), map.elements.begin(), map.elements.end(),
                        std::back_inserter(change.remove));
    if (!prune) {
      // Keep what we do not know of, except where its key is given out anew.
      const auto is_stranger = [&](const kernel::nft::Element& element) {
        return chains.contains(element.chain) &&
               std::none_of(map.elements.begin(), map.elements.end(),
                            [&](const auto& own) { return own.key == element.key; });
      };
      std::vector<kernel::nft::Element> strangers;
      std::copy_if(change.remove.begin(), change.remove.end(), std::back_inserter(strangers),
                   is_stranger);
      std::erase_if(change.remove, is_stranger);
      map.elements.insert(map.elements.end(), strangers.begin(), strangers.end());
    }
    changed += static_cast<std::uint32_t>(change.add.size() + change.remove.size());
    if (!change.add.empty() || !change.remove.empty()) changes.push_back(std::move(change));
  }
  const bool chains_differ = !actual.table || actual.table->maps.size() != wanted.maps.size() ||
                             !same_chains(*actual.table, wanted);
  if (!chains_differ && changed == 0) return Ok{};
  drift.marks += std::max(changed, 1U);
  if (chains_differ) {
    drift.what.push_back("nftables table terway written anew");
    return kernel::nft::replace_table(state.netfilter, wanted);
  }
  drift.what.push_back(fmt::format("nftables table terway: {} elements changed", changed));
  return kernel::nft::change_maps(state.netfilter, wanted.name, changes);
}

}  // namespace

Result<> apply(Datapath::State& state, bool prune, Drift& drift) {
  const Actual actual =
      TRY(read_actual(state.route, state.netfilter, state.node.ipv4, state.node.ipv6));
  state.primary = find_primary(actual, state.nics);
  state.upstream_rules = upstream_rules(actual);
  Writing links;
  match_links(state, actual, links, drift);
  if (prune) mark_strays(state, actual, links, drift);
  for (auto& [id, nic] : state.nics) {
    const kernel::Link* link = actual.find_link(nic.link.ifindex);
    if (link != nullptr) nic.link = *link;
  }
  std::optional<Error> failure;
  TRY(write(state.route, links, drift, failure));

  const Layout wanted = lay_out(state.node, state.nic_layouts(), state.pod_layouts());
  // Routes before the rules that lead to them, rules before the marks that use them.
  Writing writing;
  diff_neighbours(actual, wanted, writing, drift);
  diff_routes(actual, wanted, prune, writing, drift);
  diff_rules(actual, wanted, prune, writing, drift);
  TRY(write(state.route, writing, drift, failure));
  TRY(write_table(state, actual, wanted.table, prune, drift));
  Writing leftovers;
  if (prune) {
    for (auto& [message, text] : sweep_upstream(actual, state)) {
      const bool link = text.starts_with("link");
      leftovers.add(std::move(message), link ? drift.links : drift.rules, std::move(text));
    }
  }
  TRY(write(state.route, leftovers, drift, failure));
  TRY(look_into_pods(state, drift));
  TRY(apply_fast_path(state, actual, prune, drift));
  if (failure) return std::move(*failure);
  return Ok{};
}

}  // namespace terway::datapath
