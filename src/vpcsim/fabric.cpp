// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/fabric.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "bpf/fabric.skel.h"
#include "bpf/fabric_abi.h"
#include "kernel/link.h"
#include "kernel/netns.h"
#include "kernel/sysctl.h"

namespace terway::vpcsim {

namespace {

namespace abi = fabric_abi;

// In the order of fabric_verdict.
constexpr std::array<std::string_view, abi::FABRIC_VERDICTS> kCounterNames = {
    "forwarded",     "hairpinned",     "answered_arp", "answered_nd",
    "answered_echo", "too_big",        "absorbed",     "spoofed_mac",
    "spoofed_ip",    "spoofed_arp",    "spoofed_nd",   "no_destination",
    "no_neighbour",  "wrong_next_hop", "malformed",    "not_carried"};

constexpr net::Mac kGatewayMac{FABRIC_GATEWAY_MAC};
// Ports carry whatever the NICs do; a limit is the path MTU's business.
constexpr std::uint32_t kPortMtu = 65535;

abi::ip_address to_abi(const net::IpAddress& address) {
  abi::ip_address out;
  std::memcpy(&out, address.bytes.data(), sizeof(out));
  return out;
}

// Without a prefix: one that contains no address but `::`, which nobody asks for.
abi::fabric_prefix to_abi(const std::optional<net::Prefix>& prefix) {
  abi::fabric_prefix out{};
  std::array<std::uint8_t, 16> mask;
  mask.fill(0xff);
  if (prefix) {
    out.network = to_abi(prefix->first());
    const unsigned ones = prefix->length + (prefix->address.is_v4() ? 96U : 0U);
    for (unsigned bit = ones; bit < 128; ++bit)
      mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] & ~(0x80U >> (bit % 8)));
  }
  std::memcpy(&out.mask, mask.data(), mask.size());
  return out;
}

// A namespace without a process; in a thread of its own, for a namespace is a thread's. The kernel
// is to send nothing by itself there: no router solicitations, no multicast reports.
Result<UniqueFd> make_netns() {
  std::optional<Result<UniqueFd>> made;
  std::thread([&made] {
    if (::unshare(CLONE_NEWNET) != 0) {
      made = Error::from_errno(errno, "make the fabric's network namespace");
      return;
    }
    made = kernel::current_netns();
    const auto off = kernel::set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    if (!off.ok() && !off.is(Error::Kind::NotFound)) made = off.error();
  }).join();
  return std::move(*made);
}

}  // namespace

void Fabric::Close::operator()(fabric_bpf* program) const { fabric_bpf::destroy(program); }

Fabric::Fabric(Program program, UniqueFd netns, kernel::Socket socket, kernel::Monitor monitor)
    : program_(std::move(program)),
      netns_(std::move(netns)),
      socket_(std::move(socket)),
      monitor_(std::move(monitor)) {}

Fabric::~Fabric() = default;

Result<std::unique_ptr<Fabric>> Fabric::open() {
  // Errors are returned; libbpf would print them as well.
  ::libbpf_set_print(nullptr);
  Program program(fabric_bpf::open_and_load());
  if (!program) return Error::from_errno(errno, "load the fabric's BPF program");
  UniqueFd netns = TRY(make_netns());
  auto socket = TRY(kernel::Socket::open_in(netns.get(), kernel::Protocol::Route));
  const auto inside = TRY(kernel::InsideNetns::enter(netns.get()));
  auto monitor = TRY(kernel::Monitor::open({.links = true}));
  return std::unique_ptr<Fabric>(
      new Fabric(std::move(program), std::move(netns), std::move(socket), std::move(monitor)));
}

Result<> Fabric::plug(const Nic& nic) {
  const UniqueFd node = TRY_WITHIN("plug " + nic.eni_id, kernel::open_netns(nic.netns_path));
  const std::uint64_t inode = TRY(kernel::netns_inode(node.get()));
  if (const auto it = ports_.find(nic.eni_id); it != ports_.end()) {
    if (it->second.node == inode && it->second.mac == nic.mac && is_alive(it->second))
      return set_addresses(it->second, nic.addresses);
    TRY(unplug(nic.eni_id));
  }
  Port port;
  port.ifindex = next_ifindex_++;
  port.vpc = vpc_number(nic.vpc_id);
  port.mac = nic.mac;
  port.node = inode;
  TRY_WITHIN("plug " + nic.eni_id, make_links(nic, port.ifindex, node.get()));
  // Known and filtered before a frame can come: the NIC has no carrier until its port is up.
  const auto made = [&]() -> Result<> {
    TRY(set_port(nic, port));
    TRY(set_addresses(port, nic.addresses));
    TRY(attach(port.ifindex));
    kernel::LinkChange up;
    up.up = true;
    up.alias = nic.eni_id;
    return socket_.request(kernel::change_link(static_cast<int>(port.ifindex), up));
  }();
  if (!made.ok()) {
    (void)pull(nic.eni_id, std::move(port));
    return Error(made.error()).within("plug " + nic.eni_id);
  }
  ports_.emplace(nic.eni_id, std::move(port));
  return Ok{};
}

Result<> Fabric::update_addresses(const std::string& eni_id,
                                  const std::vector<net::IpAddress>& addresses) {
  const auto it = ports_.find(eni_id);
  if (it == ports_.end()) return Error(Error::Kind::NotFound, eni_id + " is not plugged");
  return set_addresses(it->second, addresses);
}

Result<> Fabric::unplug(const std::string& eni_id) {
  const auto node = ports_.extract(eni_id);
  if (node.empty()) return Ok{};
  return pull(eni_id, node.mapped());
}

// A port's number is never used twice, so what the events name cannot be another's by now.
Result<std::vector<std::string>> Fabric::take_lost() {
  const auto batch = TRY(monitor_.read());
  const bool any = batch.lost || std::any_of(batch.events.begin(), batch.events.end(),
                                             [](const auto& event) { return event.removed; });
  std::vector<std::string> lost;
  for (const auto& [eni_id, port] : ports_) {
    if (any && !is_alive(port)) lost.push_back(eni_id);
  }
  return lost;
}

Result<std::vector<NicCounters>> Fabric::counters() {
  std::map<std::string, Counts> totals = retired_;
  for (const auto& [eni_id, port] : ports_) {
    auto& total = totals[eni_id];
    for (const auto& [name, count] : TRY(counts_of(port.ifindex))) total[name] += count;
  }
  std::vector<NicCounters> all;
  all.reserve(totals.size());
  for (auto& [eni_id, total] : totals) all.push_back({eni_id, std::move(total)});
  return all;
}

void Fabric::set_path_mtu(std::uint32_t bytes) { program_->bss->fabric_path_mtu = bytes; }

// A port goes with its NIC, and that with its namespace.
bool Fabric::is_alive(const Port& port) {
  return kernel::get_link(socket_, static_cast<int>(port.ifindex)).ok();
}

// The NIC's name is as asked for, or the first free ethN.
Result<> Fabric::make_links(const Nic& nic, std::uint32_t ifindex, int node) {
  const kernel::VethEnd port{.name = fmt::format("port{}", ifindex),
                             .mac = kGatewayMac,
                             .mtu = kPortMtu,
                             .ifindex = static_cast<int>(ifindex)};
  kernel::VethEnd end{.name = nic.ifname, .mac = nic.mac, .mtu = nic.mtu, .netns = node};
  auto made = socket_.request(kernel::make_veth(port, end));
  if (!made.is(Error::Kind::Exists)) return made;
  end.name = "eth%d";
  return socket_.request(kernel::make_veth(port, end));
}

Result<> Fabric::attach(std::uint32_t ifindex) {
  const auto inside = TRY(kernel::InsideNetns::enter(netns_.get()));
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_INGRESS;
  if (const int failed = ::bpf_tc_hook_create(&hook); failed != 0)
    return Error::from_errno(-failed, "add clsact to a port");
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.prog_fd = bpf_program__fd(program_->progs.fabric_ingress);
  options.handle = 1;
  options.priority = 1;
  if (const int failed = ::bpf_tc_attach(&hook, &options); failed != 0)
    return Error::from_errno(-failed, "attach the program to a port");
  return Ok{};
}

Result<> Fabric::set_port(const Nic& nic, const Port& port) {
  abi::fabric_port value{};
  value.vpc = port.vpc;
  std::copy(nic.mac.bytes.begin(), nic.mac.bytes.end(), value.mac);
  value.vswitch_v4 = to_abi(std::optional(nic.vswitch_cidr));
  value.vswitch_v6 = to_abi(nic.vswitch_ipv6_cidr);
  value.gateway_v4 = to_abi(nic.gateway);
  if (nic.gateway_ipv6) value.gateway_v6 = to_abi(*nic.gateway_ipv6);
  const int failed = bpf_map__update_elem(program_->maps.fabric_ports, &port.ifindex,
                                          sizeof(port.ifindex), &value, sizeof(value), BPF_ANY);
  if (failed != 0) return Error::from_errno(-failed, "write the map of ports");
  return Ok{};
}

// New ones are taken over from whichever port had them; old ones are dropped only where they are
// still this port's. port.addresses is what is in the map, also after a failure halfway.
Result<> Fabric::set_addresses(Port& port, const std::vector<net::IpAddress>& addresses) {
  abi::fabric_owner owner{port.ifindex, {}, {}};
  std::copy(port.mac.bytes.begin(), port.mac.bytes.end(), owner.mac);
  auto* map = program_->maps.fabric_owners;
  std::vector<net::IpAddress> before = std::exchange(port.addresses, {});
  for (const auto& address : addresses) {
    const abi::fabric_owner_key key{port.vpc, to_abi(address)};
    const int failed = bpf_map__update_elem(map, &key, sizeof(key), &owner, sizeof(owner), BPF_ANY);
    port.addresses.push_back(address);
    if (failed != 0) {
      port.addresses.insert(port.addresses.end(), before.begin(), before.end());
      return Error::from_errno(-failed, "give " + address.to_string());
    }
  }
  for (const auto& address : before) {
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
      drop_address(port, address);
  }
  return Ok{};
}

void Fabric::drop_address(const Port& port, const net::IpAddress& address) {
  const abi::fabric_owner_key key{port.vpc, to_abi(address)};
  abi::fabric_owner now{};
  auto* map = program_->maps.fabric_owners;
  const bool ours = bpf_map__lookup_elem(map, &key, sizeof(key), &now, sizeof(now), 0) == 0 &&
                    now.port == port.ifindex;
  if (ours) bpf_map__delete_elem(map, &key, sizeof(key), 0);
}

// What a half-made port has not got is not missed.
Result<> Fabric::pull(const std::string& eni_id, Port port) {
  auto taken = set_addresses(port, {});
  auto gone = socket_.request(kernel::delete_link(static_cast<int>(port.ifindex)));
  if (const auto last = counts_of(port.ifindex); last.ok()) {
    for (const auto& [name, count] : *last) retired_[eni_id][name] += count;
  }
  bpf_map__delete_elem(program_->maps.fabric_ports, &port.ifindex, sizeof(port.ifindex), 0);
  if (!gone.ok() && !gone.is(Error::Kind::NotFound)) return gone;
  return taken;
}

Result<Fabric::Counts> Fabric::counts_of(std::uint32_t ifindex) const {
  abi::fabric_port port{};
  const int failed = bpf_map__lookup_elem(program_->maps.fabric_ports, &ifindex, sizeof(ifindex),
                                          &port, sizeof(port), 0);
  if (failed != 0) return Error::from_errno(-failed, "read a port's counters");
  Counts counts;
  for (std::size_t i = 0; i < kCounterNames.size(); ++i)
    counts.emplace(kCounterNames[i], port.counts[i].packets);
  return counts;
}

std::uint32_t Fabric::vpc_number(const std::string& vpc_id) {
  return vpcs_.emplace(vpc_id, vpcs_.size() + 1).first->second;
}

}  // namespace terway::vpcsim
