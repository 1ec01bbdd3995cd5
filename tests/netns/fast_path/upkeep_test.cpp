// SPDX-License-Identifier: Apache-2.0
// What others change is put right, and a restart changes nothing.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "bpf/abi.h"
#include "datapath/endpoints.h"
#include "datapath/flows.h"
#include "datapath/migrate.h"
#include "ebpf/bpffs.h"
#include "kernel/filter.h"
#include "kernel/link.h"
#include "kernel/qdisc.h"
#include "tests/netns/fast_path/fast_node.h"

namespace terway::datapath {
namespace {

using namespace test;

std::vector<kernel::Filter> filters_of(const FastNode& fast, const std::string& link) {
  auto socket = fast.node.node.route_socket();
  const int ifindex = must(kernel::get_link(socket, link)).ifindex;
  auto filters = must(kernel::list_filters(socket, ifindex, kernel::Hook::Ingress));
  for (auto& filter : must(kernel::list_filters(socket, ifindex, kernel::Hook::Egress))) {
    filters.push_back(std::move(filter));
  }
  return filters;
}

std::string host_end(const Pod& pod) { return host_ifname_of(pod.plan.key); }

TEST_CASE("a second resync changes nothing") {
  if (!can_load("second resync")) return;
  FastNode fast;
  fast.add_pod(11, "eni-1");
  fast.add_pod(12, "eni-2");
  fast.resync();
  const Drift drift = fast.resync();
  CHECK(drift.total() == 0);
  CHECK(drift.what.empty());
}

TEST_CASE("filters, qdiscs and entries that somebody removes are put back and counted") {
  if (!can_load("put back")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  fast.resync();
  const auto before = filters_of(fast, host_end(pod));
  REQUIRE(before.size() == 2);

  shell(fast.node.node, "tc filter del dev " + host_end(pod) + " ingress");
  CHECK(fast.heal().programs == 1);
  shell(fast.node.node, "tc qdisc del dev " + host_end(pod) + " clsact");
  CHECK(fast.heal().programs == 2);
  CHECK(filters_of(fast, host_end(pod)) == before);
  const auto on_eni = filters_of(fast, "eth1");
  shell(fast.node.node, "tc qdisc del dev eth1 clsact");
  CHECK(fast.heal().programs == 2);
  CHECK(filters_of(fast, "eth1") == on_eni);

  const abi::ip_address address = to_abi(ip("10.2.0.11"));
  must(fast.map("endpoints").remove(&address));
  CHECK(fast.resync().programs == 1);
  const Echo outside(fast.node.outside, kPort);
  CHECK(ask_tcp(pod.ns, ip(kOutside), kPort) == "10.2.0.11");
}

TEST_CASE("a filter of somebody else's stays") {
  if (!can_load("foreign filter")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  shell(fast.node.node, "tc filter add dev " + host_end(pod) +
                            " ingress protocol all prio 7 matchall action ok 2>/dev/null || "
                            "tc filter add dev " +
                            host_end(pod) + " ingress protocol all prio 7 u32 match u32 0 0");
  const auto before = filters_of(fast, host_end(pod)).size();
  fast.resync();
  CHECK(filters_of(fast, host_end(pod)).size() == before);
}

// A connection that is held open.
class Talk {
 public:
  Talk(const Namespace& from, const char* to) {
    from.run([&] {
      fd_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in far{};
      far.sin_family = AF_INET;
      far.sin_port = htons(kPort);
      ::inet_pton(AF_INET, to, &far.sin_addr);
      REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&far), sizeof(far)) == 0);
    });
  }
  // Sends and receives a few bytes, through the listener's `peer`.
  bool goes_on(int peer) {
    std::array<char, 4> bytes{'p', 'i', 'n', 'g'};
    return exchange(fd_.get(), peer, bytes) && exchange(peer, fd_.get(), bytes);
  }
  int fd() const { return fd_.get(); }

  static constexpr std::uint16_t kPort = 7100;

 private:
  static bool exchange(int from, int to, std::array<char, 4>& bytes) {
    if (::send(from, bytes.data(), bytes.size(), MSG_NOSIGNAL) != 4) return false;
    pollfd waiting{to, POLLIN, 0};
    if (::poll(&waiting, 1, 5000) != 1) return false;
    return ::recv(to, bytes.data(), bytes.size(), MSG_WAITALL) == 4;
  }
  UniqueFd fd_;
};

class Listener {
 public:
  explicit Listener(const Namespace& in) {
    in.run([&] {
      fd_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int on = 1;
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
      sockaddr_in own{};
      own.sin_family = AF_INET;
      own.sin_port = htons(Talk::kPort);
      REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&own), sizeof(own)) == 0);
      REQUIRE(::listen(fd_.get(), 64) == 0);
    });
  }
  UniqueFd take() { return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  UniqueFd fd_;
};

TEST_CASE("connections go on while the daemon ends and starts, and nothing is touched") {
  if (!can_load("restart")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  fast.resync();
  Listener listener(fast.node.outside);
  Talk talk(pod.ns, kOutside);
  const UniqueFd peer = listener.take();
  CHECK(talk.goes_on(peer.get()));
  const auto before = filters_of(fast, host_end(pod));
  const auto on_eni = filters_of(fast, "eth1");
  const long forwarded = fast.forwarded();

  fast.datapath.reset();
  CHECK(talk.goes_on(peer.get()));
  fast.datapath = fast.open();
  CHECK(talk.goes_on(peer.get()));
  // First without knowing whether all is known, then as always.
  const auto drift = fast.node.node.run(
      [&] { return must(fast.datapath->resync(fast.desired(), false), "resync"); });
  CHECK(drift.total() == 0);
  CHECK(fast.resync().total() == 0);
  CHECK(talk.goes_on(peer.get()));
  CHECK(filters_of(fast, host_end(pod)) == before);
  CHECK(filters_of(fast, "eth1") == on_eni);
  CHECK(fast.forwarded() == forwarded);
}

TEST_CASE("programs come and go by the setting, under connections") {
  if (!can_load("switch")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  Listener listener(fast.node.outside);
  Talk talk(pod.ns, kOutside);
  const UniqueFd peer = listener.take();
  CHECK(talk.goes_on(peer.get()));
  auto off = fast.settings();
  off.fast_path = FastPathMode::Stack;
  fast.datapath = fast.node.node.run([&] { return must(Datapath::open(off)); });
  fast.resync();
  CHECK(filters_of(fast, host_end(pod)).empty());
  CHECK(filters_of(fast, "eth1").empty());
  CHECK_FALSE(std::filesystem::exists(fast.bpffs.path() / "terway" / "v1"));
  CHECK(talk.goes_on(peer.get()));
  fast.datapath = fast.open();
  fast.resync();
  CHECK(filters_of(fast, host_end(pod)).size() == 2);
  CHECK(talk.goes_on(peer.get()));
  const Echo outside(fast.node.outside, kPort);
  const long before = fast.forwarded();
  CHECK(ask_tcp(pod.ns, ip(kOutside), kPort) == "10.2.0.11");
  CHECK(fast.forwarded() == before);
}

TEST_CASE("a removed pod's entries go at once, and its flows before its address is used again") {
  if (!can_load("removal")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  const Echo outside(fast.node.outside, kPort);
  CHECK(ask_tcp(pod.ns, ip(kOutside), kPort) == "10.2.0.11");
  const auto flows_of_pod = [&] {
    unsigned found = 0;
    must(fast.map("flows").for_each([&](const void* key, const void*) {
      abi::flow_key flow;
      std::memcpy(&flow, key, sizeof(flow));
      const auto own = ip("10.2.0.11");
      if (from_abi(flow.low) == own || from_abi(flow.high) == own) ++found;
    }));
    return found;
  };
  CHECK(flows_of_pod() > 0);
  fast.node.node.run([&] { must(fast.datapath->remove_pod(pod.plan)); });
  const abi::ip_address address = to_abi(ip("10.2.0.11"));
  abi::endpoint entry;
  CHECK_FALSE(must(fast.map("endpoints").lookup(&address, &entry)));
  fast.node.node.run([&] { must(fast.datapath->delete_marked_links()); });
  CHECK(flows_of_pod() == 0);
}

// As a daemon of another version leaves it: a map of flows with other values.
void leave_other_version(const FastNode& fast, unsigned abi, std::uint32_t value_size) {
  const auto folder = fast.bpffs.path() / "terway" / ("v" + std::to_string(abi));
  std::filesystem::create_directories(folder);
  const std::string command =
      "bpftool map create " + (folder / "flows").string() + " type lru_hash key " +
      std::to_string(sizeof(abi::flow_key)) + " value " + std::to_string(value_size) +
      " entries 64 name flows && bpftool map create " + (folder / "endpoints").string() +
      " type hash key 16 value 8 entries 64 name endpoints";
  shell(fast.node.node, command);
  UniqueFd fd = must(ebpf::open_pinned(folder / "flows"));
  const auto map = must(ebpf::RawMap::from(std::move(fd)));
  abi::flow_key key{};
  key.low = to_abi(ip("10.2.0.250"));
  key.high = to_abi(ip(kOutside));
  key.low_port = static_cast<std::uint16_t>(abi);
  key.protocol = IPPROTO_TCP;
  std::vector<std::uint8_t> value(value_size, 0);
  value[0] = abi::FLOW_REPLIED | abi::FLOW_BY_STACK;
  must(map.update(&key, value.data()));
}

TEST_CASE("flows of an older and of a newer version's maps are taken over, the rest is dropped") {
  if (!can_load("migration")) return;
  FastNode fast;
  fast.datapath.reset();
  leave_other_version(fast, 0, 8);
  leave_other_version(fast, 7, 24);
  fast.datapath = fast.open();
  fast.resync();
  std::vector<std::uint32_t> flags;
  must(fast.map("flows").for_each([&](const void* key, const void* value) {
    abi::flow_key flow;
    abi::flow state;
    std::memcpy(&flow, key, sizeof(flow));
    std::memcpy(&state, value, sizeof(state));
    if (from_abi(flow.low) == ip("10.2.0.250")) flags.push_back(state.flags);
  }));
  CHECK(flags == std::vector<std::uint32_t>(2, abi::FLOW_REPLIED | abi::FLOW_BY_STACK));
  CHECK_FALSE(std::filesystem::exists(fast.bpffs.path() / "terway" / "v0"));
  CHECK_FALSE(std::filesystem::exists(fast.bpffs.path() / "terway" / "v7"));
  CHECK(fast.resync().total() == 0);
}

TEST_CASE("a build with other programs replaces them in place, maps and flows stay") {
  if (!can_load("replace programs")) return;
  FastNode fast;
  Pod& pod = fast.add_pod(11, "eni-1");
  fast.resync();
  const std::uint32_t flows = fast.map("flows").info().id;
  // As another build would leave it: other programs under the same names.
  const auto folder = fast.bpffs.path() / "terway" / "v1";
  std::filesystem::remove(folder / "build");
  std::filesystem::rename(folder / "programs" / "eni_egress", folder / "programs" / "pod_egress");
  const auto before = filters_of(fast, host_end(pod));
  Listener listener(fast.node.outside);
  Talk talk(pod.ns, kOutside);
  const UniqueFd peer = listener.take();
  fast.datapath = fast.open();
  CHECK(talk.goes_on(peer.get()));
  CHECK(fast.resync().programs > 0);
  CHECK(talk.goes_on(peer.get()));
  const auto after = filters_of(fast, host_end(pod));
  REQUIRE(after.size() == 2);
  CHECK(after[0].program_id != before[0].program_id);
  CHECK(after[1].program_id == before[1].program_id);
  CHECK(fast.map("flows").info().id == flows);
  CHECK(fast.resync().total() == 0);
}

}  // namespace
}  // namespace terway::datapath
