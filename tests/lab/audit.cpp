// SPDX-License-Identifier: Apache-2.0
// The invariant of the whole: cloud = journal = kernel = pods, no address with two owners, no frame
// that the fabric had to drop as spoofed. Each of the four is asked by itself.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <map>
#include <set>

#include "cluster.h"
#include "kernel/link.h"
#include "kernel/netns.h"
#include "kernel/route.h"

namespace terway::test {

namespace {

using Complaints = std::vector<std::string>;

// One node's address -> who has it: a container, or what stands in its place.
using Owners = std::map<std::string, std::string>;

Owners pods_of(const std::vector<lab::PodOnNode>& pods, const std::string& node,
               Complaints& complaints) {
  Owners owners;
  for (const lab::PodOnNode& pod : pods) {
    if (pod.node != node) continue;
    for (const net::IpAddress& address : pod.sandbox.addresses) {
      const auto [had, fresh] = owners.emplace(address.to_string(), pod.sandbox.container_id);
      if (!fresh) complaints.push_back(fmt::format("two pods have {}", address.to_string()));
    }
  }
  return owners;
}

struct JournalView {
  Owners held;
  std::set<std::string> all;
};

JournalView journal_of(Cluster& cluster, const std::string& node, Complaints& complaints) {
  JournalView view;
  const auto journal = cluster.ask<rpc::cli::Journal>(node, rpc::cli::kJournalPath);
  for (const auto& eni : journal.enis) {
    for (const auto& address : eni.addresses) {
      if (!view.all.insert(address.address).second) {
        complaints.push_back(fmt::format("{}: the journal has {} twice", node, address.address));
      }
      if (address.state == "Held") view.held[address.address] = address.container_id;
      if (address.state == "Suspect" || address.state == "Releasing") {
        complaints.push_back(fmt::format("{}: {} is {}", node, address.address, address.state));
      }
    }
    if (eni.state != "Ready") {
      complaints.push_back(fmt::format("{}: ENI {} is {}", node, eni.id, eni.state));
    }
  }
  for (const auto& operation : journal.operations) {
    complaints.push_back(fmt::format("{}: {} is under way", node, operation.kind));
  }
  for (const auto& attachment : journal.attachments) {
    if (attachment.state != "Wired") {
      complaints.push_back(fmt::format("{}: {}/{} is {}", node, attachment.namespace_,
                                       attachment.name, attachment.state));
    }
  }
  return view;
}

// Addresses with a route to a pod's host link.
std::set<std::string> kernel_of(Cluster& cluster, const std::string& node, Complaints& complaints) {
  std::set<std::string> routed;
  const auto inside = lab::Node::open(
      {cluster.name(), node, cluster.lab().paths().run(), cluster.lab().paths().disk(node)});
  REQUIRE(inside.ok());
  const auto netns = kernel::open_netns(inside->netns_path());
  REQUIRE(netns.ok());
  auto socket = kernel::Socket::open_in(netns->get(), kernel::Protocol::Route);
  REQUIRE(socket.ok());
  std::set<int> host_links;
  const auto links = kernel::list_links(*socket);
  REQUIRE(links.ok());
  for (const kernel::Link& link : *links) {
    if (link.name.starts_with("cali")) host_links.insert(link.ifindex);
  }
  std::set<int> used;
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    const auto routes = kernel::list_routes(*socket, family);
    REQUIRE(routes.ok());
    for (const kernel::Route& route : *routes) {
      if (!host_links.contains(route.oif) || route.table == kernel::kLocalTable) continue;
      if (route.destination.length != route.destination.address.full_length()) continue;
      used.insert(route.oif);
      if (!routed.insert(route.destination.address.to_string()).second) {
        complaints.push_back(
            fmt::format("{}: two routes to {}", node, route.destination.to_string()));
      }
    }
  }
  if (used.size() != host_links.size()) {
    complaints.push_back(
        fmt::format("{}: {} host links, {} with a route", node, host_links.size(), used.size()));
  }
  return routed;
}

std::set<std::string> cloud_of(const std::vector<lab::EniOfNode>& enis, const std::string& node,
                               const std::string& stack) {
  std::set<std::string> addresses;
  for (const lab::EniOfNode& eni : enis) {
    if (eni.node == node && eni.type == "Secondary") {
      addresses.insert(eni.addresses.begin(), eni.addresses.end());
    }
  }
  // An ENI has an IPv4 address in any case; without IPv4 pods it is nobody's.
  if (stack == "ipv6") {
    std::erase_if(addresses, [](const auto& a) { return a.find(':') == std::string::npos; });
  }
  return addresses;
}

void compare(const std::string& node, const char* here, const std::set<std::string>& a,
             const char* there, const std::set<std::string>& b, Complaints& complaints) {
  for (const std::string& address : a) {
    if (!b.contains(address)) {
      complaints.push_back(
          fmt::format("{}: {} is in the {}, not in the {}", node, address, here, there));
    }
  }
  for (const std::string& address : b) {
    if (!a.contains(address)) {
      complaints.push_back(
          fmt::format("{}: {} is in the {}, not in the {}", node, address, there, here));
    }
  }
}

std::set<std::string> keys_of(const Owners& owners) {
  std::set<std::string> keys;
  for (const auto& [address, owner] : owners) keys.insert(address);
  return keys;
}

void audit_node(Cluster& cluster, const std::string& node,
                const std::vector<lab::PodOnNode>& all_pods,
                const std::vector<lab::EniOfNode>& enis, Complaints& complaints) {
  const Owners pods = pods_of(all_pods, node, complaints);
  const JournalView journal = journal_of(cluster, node, complaints);
  for (const auto& [address, container] : pods) {
    const auto held = journal.held.find(address);
    if (held != journal.held.end() && held->second != container) {
      complaints.push_back(fmt::format("{}: {} is {}'s, the journal says {}'s", node, address,
                                       container, held->second));
    }
  }
  compare(node, "pods", keys_of(pods), "journal", keys_of(journal.held), complaints);
  compare(node, "pods", keys_of(pods), "kernel", kernel_of(cluster, node, complaints), complaints);
  compare(node, "journal", journal.all, "cloud", cloud_of(enis, node, cluster.lab().state().stack),
          complaints);
}

}  // namespace

std::vector<std::string> audit(Cluster& cluster) {
  Complaints complaints;
  const auto pods = cluster.lab().pods();
  REQUIRE_MESSAGE(pods.ok(), pods.error().message());
  const auto enis = cluster.lab().enis();
  REQUIRE_MESSAGE(enis.ok(), enis.error().message());
  std::set<std::string> everywhere;
  for (const lab::PodOnNode& pod : *pods) {
    for (const net::IpAddress& address : pod.sandbox.addresses) {
      if (!everywhere.insert(address.to_string()).second) {
        complaints.push_back(fmt::format("two pods of the cluster have {}", address.to_string()));
      }
    }
  }
  for (const lab::EniOfNode& eni : *enis) {
    if (eni.node.empty()) complaints.push_back(fmt::format("{} is attached to nothing", eni.id));
  }
  for (const lab::Machine& machine : cluster.lab().state().machines) {
    if (!machine.outside) audit_node(cluster, machine.name, *pods, *enis, complaints);
  }
  const auto drops = cluster.lab().drops();
  REQUIRE(drops.ok());
  for (const auto& [where, count] : *drops) {
    if (where.find("spoofed") != std::string::npos) {
      complaints.push_back(fmt::format("the fabric dropped {} frames: {}", count, where));
    }
  }
  return complaints;
}

}  // namespace terway::test
