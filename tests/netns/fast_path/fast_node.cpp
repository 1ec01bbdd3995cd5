// SPDX-License-Identifier: Apache-2.0
#include "tests/netns/fast_path/fast_node.h"

#include <stdlib.h>
#include <sys/mount.h>

#include <sstream>

#include "bpf/abi.h"
#include "ebpf/bpffs.h"
#include "ebpf/features.h"

namespace terway::test {

bool can_load(const char* test) {
  if (!can_run(test)) return false;
  const auto refusal = ebpf::probe_features().refusal();
  if (refusal) std::printf("SKIP: test %s: %s\n", test, refusal->c_str());
  return !refusal;
}

Bpffs::Bpffs() {
  std::string name = "/tmp/terway-test-bpf-XXXXXX";
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  path_ = name;
  must(ebpf::mount_bpffs(path_), "mount a BPF file system");
}

Bpffs::~Bpffs() {
  ::umount2(path_.c_str(), MNT_DETACH);
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

FastNode::FastNode() {
  REQUIRE(datapath->fast_path().on);
  resync();
}

datapath::Settings FastNode::settings() const {
  datapath::Settings settings = Node::settings();
  settings.fast_path = datapath::FastPathMode::Bpf;
  settings.bpffs = bpffs.path();
  settings.host_stack_cidrs = {*net::Prefix::parse("10.99.0.0/24"),
                               *net::Prefix::parse("fd99::/64")};
  return settings;
}

std::unique_ptr<datapath::Datapath> FastNode::open() const {
  return node.node.run(
      [&] { return must(datapath::Datapath::open(settings()), "open the datapath"); });
}

Pod& FastNode::add_pod(unsigned n, const std::string& eni_id) {
  pods.push_back(node.add_pod(*datapath, n, eni_id));
  return *pods.back();
}

datapath::Desired FastNode::desired() const {
  datapath::Desired desired;
  desired.enis = {node.eni("eni-1"), node.eni("eni-2")};
  for (const auto& pod : pods) desired.pods.push_back(pod->plan);
  return desired;
}

datapath::Drift FastNode::resync() {
  return node.node.run([&] { return must(datapath->resync(desired(), true), "resync"); });
}

datapath::Drift FastNode::heal() {
  REQUIRE(wait_for_event(node, *datapath));
  return resync();
}

long FastNode::forwarded() const {
  std::istringstream text(output_of(node.node, "cat /proc/net/snmp /proc/net/snmp6"));
  std::string names, values;
  long sum = 0;
  while (std::getline(text, names)) {
    if (names.starts_with("Ip:") && std::getline(text, values)) {
      std::istringstream name_words(names), value_words(values);
      std::string name, value;
      while (name_words >> name && value_words >> value) {
        if (name == "ForwDatagrams") sum += std::stol(value);
      }
    } else if (names.starts_with("Ip6OutForwDatagrams")) {
      sum += std::stol(names.substr(names.find_last_of(" \t")));
    }
  }
  return sum;
}

ebpf::RawMap FastNode::map(const std::string& name) const {
  UniqueFd fd =
      must(ebpf::open_pinned(bpffs.path() / "terway" / ("v" + std::to_string(TERWAY_ABI)) / name));
  return must(ebpf::RawMap::from(std::move(fd)));
}

std::uint64_t FastNode::drops(unsigned reason, unsigned direction) const {
  const ebpf::RawMap counts = map("counts");
  std::vector<abi::count> each(counts.value_bytes() / sizeof(abi::count));
  const std::uint32_t key = reason * abi::DIRECTIONS + direction;
  REQUIRE(must(counts.lookup(&key, each.data())));
  std::uint64_t sum = 0;
  for (const abi::count& count : each) sum += count.packets;
  return sum;
}

}  // namespace terway::test
