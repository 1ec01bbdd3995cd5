// SPDX-License-Identifier: Apache-2.0
#include "cases.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "bpf/abi.h"
#include "bpf/datapath.skel.h"
#include "bpf/floor.skel.h"

namespace terway::bench {

namespace {

using packet::Packet;

// Every device is the loopback interface, and the pods' MAC is the ENI's: a packet that is carried
// once may be carried again.
constexpr std::uint32_t kDevice = 1;
constexpr auto kMac = "02:00:00:00:00:0a";
constexpr auto kGateway = "ee:ff:ff:ff:ff:ff";

constexpr auto kVeth = "10.0.0.10";
constexpr auto kNeighbour = "10.0.0.11";  // on the same node
constexpr auto kIpvlan = "10.0.0.20";
constexpr auto kExclusive = "10.0.0.30";
constexpr auto kRemote = "10.0.1.20";
constexpr auto kNobody = "10.0.0.99";

constexpr std::uint8_t kSyn = 0x02, kAck = 0x10;
constexpr std::uint16_t kClientPort = 40000, kServerPort = 80;
constexpr std::size_t kSourcePortAt = 14 + 20, kTcpFlagsAt = 14 + 20 + 13;

Packet frame(const char* source, const char* destination) {
  return Packet::from(kMac).to(kMac).ip(source, destination).hops(255);
}
packet::Bytes request(const char* source, const char* destination, std::uint8_t flags) {
  return frame(source, destination)
      .tcp(kClientPort, kServerPort)
      .payload(1)
      .set(kTcpFlagsAt, flags)
      .bytes();
}
packet::Bytes response(const char* source, const char* destination, std::uint8_t flags) {
  return frame(source, destination)
      .tcp(kServerPort, kClientPort)
      .payload(1)
      .set(kTcpFlagsAt, flags)
      .bytes();
}

abi::ip_address key_of(const char* text) {
  abi::ip_address key;
  std::memcpy(&key, packet::address(text).bytes.data(), sizeof(key));
  return key;
}

void copy_mac(std::uint8_t* to, const char* text) {
  std::memcpy(to, packet::mac(text).bytes.data(), 6);
}

template <class Key, class Value>
Result<> write(const bpf_map* map, const Key& key, const Value& value) {
  const int failed = bpf_map__update_elem(map, &key, sizeof(key), &value, sizeof(value), BPF_ANY);
  if (failed == 0) return Ok{};
  return Error::from_errno(-failed, std::string("write the map ") + bpf_map__name(map));
}

}  // namespace

Programs::Programs()
    : datapath_(datapath_bpf::open(), &datapath_bpf::destroy),
      floor_(floor_bpf::open(), &floor_bpf::destroy) {}
Programs::Programs(Programs&&) noexcept = default;
Programs::~Programs() = default;

Result<Programs> Programs::load() {
  Programs programs;
  if (!programs.datapath_ || !programs.floor_) {
    return Error::from_errno(errno, "open the programs");
  }
  for (const int failed :
       {datapath_bpf::load(programs.datapath_.get()), floor_bpf::load(programs.floor_.get())}) {
    if (failed != 0) return Error::from_errno(-failed, "load the programs (needs root)");
  }
  TRY(programs.write_maps());
  return programs;
}

Result<> Programs::write_maps() {
  const auto& maps = datapath_->maps;
  abi::config config{};
  config.flags = abi::CONFIG_SENDERS;
  config.stack_ifindex = kDevice;
  config.turn_mark = 0x1234abcd;
  TRY(write(maps.config, std::uint32_t{0}, config));
  abi::endpoint pod{};
  pod.kind = abi::ENDPOINT_POD;
  pod.mtu = 1500;
  pod.ifindex = pod.eni_ifindex = kDevice;
  pod.netns = 1;
  copy_mac(pod.mac, kMac);
  copy_mac(pod.eni_mac, kMac);
  copy_mac(pod.gateway_mac, kGateway);
  const std::array<std::pair<const char*, abi::endpoint_mode>, 4> pods = {
      {{kVeth, abi::MODE_VETH},
       {kNeighbour, abi::MODE_VETH},
       {kIpvlan, abi::MODE_IPVLAN},
       {kExclusive, abi::MODE_EXCLUSIVE}}};
  for (const auto& [address, mode] : pods) {
    ++pod.pod;
    pod.mode = static_cast<std::uint8_t>(mode);
    TRY(write(maps.endpoints, key_of(address), pod));
  }
  return Ok{};
}

Result<> Programs::forget_flows() const {
  const int map = bpf_map__fd(datapath_->maps.flows);
  for (abi::flow_key key{}; ::bpf_map_get_next_key(map, nullptr, &key) == 0;) {
    if (::bpf_map_delete_elem(map, &key) != 0) return Error::from_errno(errno, "forget a flow");
  }
  return Ok{};
}

int Programs::empty() const { return bpf_program__fd(floor_->progs.floor_empty); }

std::vector<Programs::Named> Programs::all() const {
  std::vector<Named> all;
  for (const bpf_object* object : {floor_->obj, datapath_->obj}) {
    const bpf_program* program = nullptr;
    while ((program = bpf_object__next_program(object, const_cast<bpf_program*>(program))) !=
           nullptr) {
      all.push_back({bpf_program__name(program), bpf_program__fd(program)});
    }
  }
  return all;
}

std::vector<Case> Programs::cases() const {
  std::vector<Case> cases;
  const auto add = [&](const bpf_program* program, const char* path, packet::Bytes bytes,
                       int verdict) {
    cases.push_back({bpf_program__name(program),
                     path,
                     bpf_program__fd(program),
                     {std::move(bytes)},
                     static_cast<std::uint32_t>(verdict)});
  };
  const auto opened_by = [&](const bpf_program* program, packet::Bytes bytes) {
    cases.back().opener_fd = bpf_program__fd(program);
    cases.back().opener = {std::move(bytes)};
  };
  // What a pod asks and what it answers, and what it is asked and answered: each way of a flow,
  // which either begins.
  const auto from_pod = [&](const bpf_program* out, const bpf_program* in, const char* pod,
                            int passed) {
    add(out, "first", request(pod, kRemote, kSyn), passed);
    cases.back().port_at = kSourcePortAt;
    add(out, "established", request(pod, kRemote, kAck), passed);
    opened_by(out, request(pod, kRemote, kSyn));
    cases.back().marks = passed == TC_ACT_REDIRECT;
    add(out, "reply", response(pod, kRemote, kAck), passed);
    opened_by(in, request(kRemote, pod, kSyn));
    cases.back().marks = passed == TC_ACT_REDIRECT;
  };
  const auto to_pod = [&](const bpf_program* out, const bpf_program* in, const char* pod,
                          int passed) {
    add(in, "first", request(kRemote, pod, kSyn), passed);
    cases.back().port_at = kSourcePortAt;
    add(in, "established", request(kRemote, pod, kAck), passed);
    opened_by(in, request(kRemote, pod, kSyn));
    add(in, "reply", response(kRemote, pod, kAck), passed);
    opened_by(out, request(pod, kRemote, kSyn));
  };
  const auto& floor = floor_->progs;
  add(floor.floor_empty, "empty", request(kVeth, kRemote, kAck), TC_ACT_UNSPEC);
  add(floor.floor_leave, "redirect", request(kVeth, kRemote, kAck), TC_ACT_REDIRECT);
  add(floor.floor_enter, "redirect", request(kRemote, kVeth, kAck), TC_ACT_REDIRECT);
  const auto& p = datapath_->progs;
  from_pod(p.pod_egress, p.eni_ingress, kVeth, TC_ACT_REDIRECT);
  add(p.pod_egress, "to neighbour", request(kVeth, kNeighbour, kAck), TC_ACT_REDIRECT);
  opened_by(p.pod_egress, request(kVeth, kNeighbour, kSyn));
  add(p.pod_egress, "drop", request(kNobody, kRemote, kAck), TC_ACT_SHOT);
  to_pod(p.pod_egress, p.eni_ingress, kVeth, TC_ACT_REDIRECT);
  add(p.eni_ingress, "drop", request(kRemote, kNobody, kAck), TC_ACT_SHOT);
  add(p.eni_egress, "judged", request(kVeth, kRemote, kAck), TC_ACT_OK);
  cases.back().input.mark = MARK_JUDGED;
  from_pod(p.eni_egress, p.pod_ingress, kVeth, TC_ACT_OK);
  to_pod(p.eni_egress, p.pod_ingress, kVeth, TC_ACT_OK);
  add(p.pod_ingress, "drop", request(kRemote, kNobody, kAck), TC_ACT_SHOT);
  // As the host sends it: that a slave did, ipvlan's own transmission alone tells.
  from_pod(p.ipvlan_egress, p.ipvlan_ingress, kIpvlan, TC_ACT_OK);
  to_pod(p.ipvlan_egress, p.ipvlan_ingress, kIpvlan, TC_ACT_OK);
  cases.back().verdict = TC_ACT_REDIRECT;  // the reply goes back to the host
  add(p.ipvlan_ingress, "drop", request(kRemote, kNobody, kAck), TC_ACT_SHOT);
  from_pod(p.exclusive_egress, p.exclusive_ingress, kExclusive, TC_ACT_OK);
  add(p.exclusive_egress, "drop", request(kNobody, kRemote, kAck), TC_ACT_SHOT);
  to_pod(p.exclusive_egress, p.exclusive_ingress, kExclusive, TC_ACT_OK);
  add(p.exclusive_ingress, "drop", request(kRemote, kNobody, kAck), TC_ACT_SHOT);
  return cases;
}

}  // namespace terway::bench
