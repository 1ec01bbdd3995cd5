// SPDX-License-Identifier: Apache-2.0
// A node with a primary NIC and two ENIs, a VPC that drops what is spoofed, and a host outside; all
// namespaces of the test's own. Packets are really sent.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "datapath/datapath.h"
#include "tests/netns/namespace.h"

namespace terway::test {

net::IpAddress ip(std::string_view text);

// Runs a shell command inside; the test fails when the command does.
void shell(const Namespace& ns, const std::string& command);
// What the command prints.
std::string output_of(const Namespace& ns, const std::string& command);

// Answers UDP and TCP on one port of every address, both families, with the peer's address as text.
class Echo {
 public:
  Echo(const Namespace& ns, std::uint16_t port);
  ~Echo();

 private:
  void serve();
  std::vector<UniqueFd> sockets_;
  UniqueFd stop_;
  std::thread thread_;
};

// The answer, or nullopt within two seconds (and after retries of what may be lost).
std::optional<std::string> ask_tcp(const Namespace& from, const net::IpAddress& to,
                                   std::uint16_t port);
std::optional<std::string> ask_udp(const Namespace& from, const net::IpAddress& to,
                                   std::uint16_t port);
// ICMP echo through a raw socket.
bool ping(const Namespace& from, const net::IpAddress& to);
// TCP, UDP and ICMP; the far side must see `as`.
void check_reach(const Namespace& from, const std::string& to, const std::string& as);

inline constexpr std::uint16_t kPort = 7000;
inline const char* kNodeAddress = "10.1.0.10";
inline const char* kNodeAddress6 = "fd01::10";
inline const char* kOutside = "10.77.0.2";
inline const char* kOutside6 = "fd77::2";

struct Pod {
  Namespace ns;
  datapath::PodPlan plan;
  std::unique_ptr<Echo> echo;
};

// 10.1.0.10 (fd01::10) on eth0; ENIs eni-1 and eni-2 share a vSwitch: gateways 10.2.0.253 and
// fd02::253 on both. The VPC knows by which NIC each address is reached, and refuses it from any
// other.
class Node {
 public:
  explicit Node(bool with_enis = true);

  void attach_eni(const std::string& id);
  datapath::EniPlan eni(const std::string& id) const;
  static datapath::Settings settings();
  // Polls until the ENI is usable.
  datapath::EniNic bring_up(datapath::Datapath& datapath, const std::string& id);
  // As the VPC does when an address is assigned to an ENI.
  void assign(const net::IpAddress& address, const std::string& eni_id);

  std::unique_ptr<datapath::Datapath> open();
  // A pod plan with 10.2.0.<n> and fd02::<n>, assigned to the ENI, in a namespace of its own.
  std::unique_ptr<Pod> make_pod(unsigned n, const std::string& eni_id);
  // The same, wired, with an echo server.
  std::unique_ptr<Pod> add_pod(datapath::Datapath& datapath, unsigned n, const std::string& eni_id);

  // Services of pod 12 that the node's stack translates: a NodePort at its own addresses, and a
  // load balancer's address that the VPC delivers through eni-1.
  void translate_services();
  // They answer the host outside, and so does the pod without a Service in the way.
  void check_services() const;

  // Packets that the VPC dropped because of their source.
  long spoofed() const;

  Namespace node, vpc, outside;
};

// Runs drain_events() until it says that a resync is due; false after five seconds.
bool wait_for_event(const Node& node, datapath::Datapath& datapath);

}  // namespace terway::test
