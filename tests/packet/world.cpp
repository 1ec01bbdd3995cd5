// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "kernel/link.h"

namespace terway::test {

namespace {

void copy_mac(std::uint8_t* to, const char* text) {
  std::memcpy(to, packet::mac(text).bytes.data(), 6);
}

int hear(void* heard, void* data, std::size_t size) {
  abi::event event;
  REQUIRE(size == sizeof(event));
  std::memcpy(&event, data, sizeof(event));
  static_cast<std::vector<abi::event>*>(heard)->push_back(event);
  return 0;
}

template <class Value>
std::vector<Value> per_cpu(const bpf_map* map, std::uint32_t key) {
  std::vector<Value> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  REQUIRE(bpf_map__lookup_elem(map, &key, sizeof(key), values.data(), values.size() * sizeof(Value),
                               0) == 0);
  return values;
}

void empty(bpf_map* map, std::size_t key_size) {
  std::array<std::uint8_t, 64> key;
  REQUIRE(key_size <= key.size());
  while (bpf_map__get_next_key(map, nullptr, key.data(), key_size) == 0)
    bpf_map__delete_elem(map, key.data(), key_size, 0);
}

// Both orders of a flow's ends: which is the low one is the programs' business.
std::array<abi::flow_key, 2> flow_keys(const char* source, std::uint16_t source_port,
                                       const char* destination, std::uint16_t destination_port,
                                       std::uint8_t protocol) {
  const abi::flow_key key{key_of(source),
                          key_of(destination),
                          __builtin_bswap16(source_port),
                          __builtin_bswap16(destination_port),
                          protocol,
                          {}};
  const abi::flow_key turned{key.high, key.low, key.high_port, key.low_port, protocol, {}};
  return {key, turned};
}

}  // namespace

abi::ip_address key_of(std::string_view address) {
  abi::ip_address key;
  std::memcpy(&key, packet::address(address).bytes.data(), sizeof(key));
  return key;
}

struct World::Loaded {
  Loaded();
  void make_devices();

  Namespace node;
  std::unique_ptr<datapath_bpf, decltype(&datapath_bpf::destroy)> programs;
  std::unique_ptr<test_sender_bpf, decltype(&test_sender_bpf::destroy)> sender;
  std::vector<abi::event> heard;
  std::unique_ptr<ring_buffer, decltype(&ring_buffer__free)> ring;
};

World::Loaded::Loaded()
    : programs(datapath_bpf::open(), &datapath_bpf::destroy),
      sender(test_sender_bpf::open(), &test_sender_bpf::destroy),
      ring(nullptr, &ring_buffer__free) {
  REQUIRE(programs);
  REQUIRE(sender);
  // As many as a node may need take a second to make.
  REQUIRE(bpf_map__set_max_entries(programs->maps.flows, 4096) == 0);
  REQUIRE(datapath_bpf::load(programs.get()) == 0);
  REQUIRE(bpf_map__reuse_fd(sender->maps.sender, bpf_map__fd(programs->maps.sender)) == 0);
  REQUIRE(test_sender_bpf::load(sender.get()) == 0);
  ring.reset(ring_buffer__new(bpf_map__fd(programs->maps.events), hear, &heard, nullptr));
  REQUIRE(ring);
  make_devices();
}

void World::Loaded::make_devices() {
  auto socket = node.route_socket();
  int other = 54100;
  const auto add = [&](Device ifindex, const char* mac) {
    ++other;
    const kernel::VethEnd end{.name = "d" + std::to_string(ifindex),
                              .mac = packet::mac(mac),
                              .ifindex = static_cast<int>(ifindex)};
    kernel::VethEnd far;
    far.name = "d" + std::to_string(other);
    far.ifindex = other;
    must(socket.request(kernel::make_veth(end, far)), "make a device");
  };
  for (const Device end : {kHostEndA, kHostEndB, kPeer}) add(end, kMacHostEnd);
  add(kEni, kMacEni);
  add(kParent, kMacParent);
  add(kNic, kMacNic);
  add(kShaper, kMacHostEnd);
}

World::World()
    : loaded_([]() -> Loaded& {
        static Loaded loaded;
        return loaded;
      }()),
      programs_(loaded_.programs.get()) {
  empty(programs_->maps.flows, sizeof(abi::flow_key));
  empty(programs_->maps.fragments, sizeof(abi::fragment_key));
  events();
  lost_ = events_lost();
  const std::uint32_t zero = 0;
  const std::vector<abi::event_budget> fresh(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  REQUIRE(bpf_map__update_elem(programs_->maps.events_budget, &zero, sizeof(zero), fresh.data(),
                               fresh.size() * sizeof(fresh[0]), BPF_ANY) == 0);
  counts_ = counts();
  abi::config config{};
  config.flags = abi::CONFIG_SENDERS | abi::CONFIG_HOST_STACK_CIDRS;
  config.events_per_second = 1000000;
  config.stack_ifindex = kStack;
  config.turn_mark = kTurnMark;
  copy_mac(config.stack_mac, kMacStack);
  set(config);
  add_pods(kV4, true);
  add_pods(kV6, false);
  const std::uint8_t there = 1;
  for (const auto& [network, length] : {std::pair("172.16.0.0", 96 + 12), {"2001:db8:5::", 48}}) {
    const abi::prefix_key key{static_cast<std::uint32_t>(length), key_of(network)};
    REQUIRE(bpf_map__update_elem(programs_->maps.host_stack, &key, sizeof(key), &there,
                                 sizeof(there), BPF_ANY) == 0);
  }
}

void World::add_pods(const Addresses& family, bool v4) {
  abi::endpoint pod{};
  pod.kind = abi::ENDPOINT_POD;
  pod.mode = abi::MODE_VETH;
  pod.mtu = 1500;
  copy_mac(pod.eni_mac, kMacEni);
  copy_mac(pod.gateway_mac, kGateway);
  pod.eni_ifindex = kEni;
  pod.pod = 1;
  pod.ifindex = kHostEndA;
  copy_mac(pod.mac, kMacA);
  set(family.a, pod);
  pod.pod = 2;
  pod.ifindex = kHostEndB;
  copy_mac(pod.mac, kMacB);
  set(family.b, pod);

  pod.mode = abi::MODE_IPVLAN;
  pod.ifindex = pod.eni_ifindex = kParent;
  copy_mac(pod.mac, kMacParent);
  copy_mac(pod.eni_mac, kMacParent);
  pod.pod = 3;
  pod.netns = kNetnsI;
  set(family.i, pod);
  pod.pod = 4;
  pod.netns = kNetnsJ;
  set(family.j, pod);

  pod.mode = abi::MODE_EXCLUSIVE;
  pod.netns = 0;
  pod.pod = 5;
  pod.ifindex = pod.eni_ifindex = kNic;
  copy_mac(pod.mac, kMacNic);
  pod.peer_ifindex = kPeer;
  pod.peer_inner_ifindex = kPeerInner;
  copy_mac(pod.peer_mac, kMacPeer);
  set(family.x, pod);

  abi::endpoint other{};
  other.kind = abi::ENDPOINT_HOST;
  set(family.node, other);
  if (v4) set("169.254.20.10", other);
  other.kind = abi::ENDPOINT_BLOCKED;
  set(family.blocked, other);
}

Outcome World::run(bpf_program* program, Device at, const Bytes& frame, const __sk_buff& context) {
  const auto before = counts_;
  std::array<std::uint8_t, 4096> out{};
  auto in_context = context;
  in_context.ifindex = at;
  __sk_buff out_context{};
  bpf_test_run_opts run{};
  run.sz = sizeof(run);
  run.data_in = frame.data();
  run.data_size_in = static_cast<__u32>(frame.size());
  run.data_out = out.data();
  run.data_size_out = static_cast<__u32>(out.size());
  run.ctx_in = &in_context;
  run.ctx_size_in = sizeof(in_context);
  run.ctx_out = &out_context;
  run.ctx_size_out = sizeof(out_context);
  run.repeat = 1;
  const int failed =
      loaded_.node.run([&] { return bpf_prog_test_run_opts(bpf_program__fd(program), &run); });
  CAPTURE(std::strerror(-failed));
  REQUIRE(failed == 0);
  Outcome outcome;
  outcome.action = static_cast<int>(run.retval);
  outcome.mark = out_context.mark;
  outcome.priority = out_context.priority;
  outcome.frame.assign(out.begin(), out.begin() + run.data_size_out);
  const auto after = counts_ = counts();
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (after[i].packets == before[i].packets) continue;
    CHECK_FALSE(outcome.reason.has_value());
    outcome.reason = static_cast<abi::drop_reason>(i / abi::DIRECTIONS);
    outcome.direction = static_cast<abi::direction>(i % abi::DIRECTIONS);
    outcome.counted = {after[i].packets - before[i].packets, after[i].bytes - before[i].bytes};
  }
  return outcome;
}

Outcome World::run_as(std::uint32_t netns, bpf_program* program, Device at, const Packet& frame) {
  const std::uint32_t zero = 0;
  const int under_test = bpf_program__fd(program);
  REQUIRE(bpf_map__update_elem(loaded_.sender->maps.under_test, &zero, sizeof(zero), &under_test,
                               sizeof(under_test), BPF_ANY) == 0);
  loaded_.sender->bss->test_netns = netns;
  return run(loaded_.sender->progs.note_sender, at, frame);
}

World::Counts World::counts() const {
  Counts all;
  constexpr std::uint32_t kReasons = abi::DROP_REASON_COUNT;
  for (std::uint32_t key = 0; key < kReasons * abi::DIRECTIONS; ++key) {
    abi::count total{};
    for (const auto& count : per_cpu<abi::count>(programs_->maps.counts, key)) {
      total.packets += count.packets;
      total.bytes += count.bytes;
    }
    all.push_back(total);
  }
  return all;
}

abi::endpoint World::endpoint(std::string_view address) const {
  const auto key = key_of(address);
  abi::endpoint endpoint{};
  REQUIRE(bpf_map__lookup_elem(programs_->maps.endpoints, &key, sizeof(key), &endpoint,
                               sizeof(endpoint), 0) == 0);
  return endpoint;
}

void World::set(std::string_view address, const abi::endpoint& endpoint) {
  const auto key = key_of(address);
  REQUIRE(bpf_map__update_elem(programs_->maps.endpoints, &key, sizeof(key), &endpoint,
                               sizeof(endpoint), BPF_ANY) == 0);
}

abi::config World::config() const {
  const std::uint32_t zero = 0;
  abi::config config{};
  REQUIRE(bpf_map__lookup_elem(programs_->maps.config, &zero, sizeof(zero), &config, sizeof(config),
                               0) == 0);
  return config;
}

void World::set(const abi::config& config) {
  const std::uint32_t zero = 0;
  REQUIRE(bpf_map__update_elem(programs_->maps.config, &zero, sizeof(zero), &config, sizeof(config),
                               BPF_ANY) == 0);
}

std::optional<abi::flow> World::flow(const char* source, std::uint16_t source_port,
                                     const char* destination, std::uint16_t destination_port,
                                     std::uint8_t protocol) const {
  for (const auto& key : flow_keys(source, source_port, destination, destination_port, protocol)) {
    abi::flow flow{};
    if (bpf_map__lookup_elem(programs_->maps.flows, &key, sizeof(key), &flow, sizeof(flow), 0) == 0)
      return flow;
  }
  return std::nullopt;
}

void World::set_flow(const char* source, std::uint16_t source_port, const char* destination,
                     std::uint16_t destination_port, std::uint8_t protocol, const abi::flow& flow) {
  for (const auto& key : flow_keys(source, source_port, destination, destination_port, protocol))
    if (bpf_map__update_elem(programs_->maps.flows, &key, sizeof(key), &flow, sizeof(flow),
                             BPF_EXIST) == 0)
      return;
  FAIL("no such flow");
}

std::vector<abi::event> World::events() {
  ring_buffer__consume(loaded_.ring.get());
  return std::exchange(loaded_.heard, {});
}

std::uint64_t World::events_lost() const {
  std::uint64_t total = 0;
  for (const auto lost : per_cpu<std::uint64_t>(programs_->maps.events_lost, 0)) total += lost;
  return total - lost_;
}

}  // namespace terway::test
