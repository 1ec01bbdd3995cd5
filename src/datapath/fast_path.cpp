// SPDX-License-Identifier: Apache-2.0
#include "datapath/fast_path.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "kernel/qdisc.h"

namespace terway::datapath {

namespace {

// Drops and flows that are told, on each CPU: enough to see what goes wrong, too few to be a load.
constexpr std::uint32_t kEventsPerSecond = 200;

constexpr std::uint32_t kZero = 0;

struct Less {
  bool operator()(const abi::prefix_key& a, const abi::prefix_key& b) const {
    return std::memcmp(&a, &b, sizeof(a)) < 0;
  }
};

}  // namespace

FastPath::FastPath(ebpf::Object object) : object_(std::move(object)) {}

Result<> FastPath::recall() {
  TRY(object_.endpoints.for_each([&](const abi::ip_address& address, const abi::endpoint& entry) {
    numbers_.recall(from_abi(address), entry);
  }));
  const auto before = TRY(object_.config.find(kZero));
  if (before) config_ = *before;
  return Ok{};
}

void FastPath::attach_new(int ifindex, ebpf::Program ingress, ebpf::Program egress,
                          std::vector<kernel::Message>& messages) const {
  messages.push_back(kernel::add_clsact(ifindex));
  for (const auto& [hook, program] :
       {std::pair{kernel::Hook::Ingress, ingress}, std::pair{kernel::Hook::Egress, egress}}) {
    messages.push_back(
        kernel::set_filter(ifindex, hook, object_.fd(program), ebpf::to_string(program)));
  }
}

Result<> FastPath::attach(kernel::Socket& socket, std::span<const Attachment> wanted,
                          Drift& drift) const {
  std::vector<kernel::Message> messages;
  std::set<int> prepared;
  for (const Attachment& attachment : wanted) {
    const auto there = TRY(kernel::list_filters(socket, attachment.ifindex, attachment.hook));
    const auto is_right = [&](const kernel::Filter& filter) {
      return filter.ours() && filter.program_id == object_.info(attachment.program).id;
    };
    if (std::any_of(there.begin(), there.end(), is_right)) continue;
    if (there.empty() && prepared.insert(attachment.ifindex).second) {
      auto made = socket.request(kernel::add_clsact(attachment.ifindex));
      if (!made.ok() && !made.is(Error::Kind::Exists)) return made;
    }
    messages.push_back(kernel::set_filter(attachment.ifindex, attachment.hook,
                                          object_.fd(attachment.program),
                                          ebpf::to_string(attachment.program)));
    drift.what.push_back(fmt::format("program {} attached at {} of link {}",
                                     ebpf::to_string(attachment.program),
                                     kernel::to_string(attachment.hook), attachment.ifindex));
    ++drift.programs;
  }
  if (messages.empty()) return Ok{};
  return socket.request_all(messages);
}

Result<> FastPath::detach(kernel::Socket& socket, int ifindex) {
  for (const kernel::Hook hook : {kernel::Hook::Ingress, kernel::Hook::Egress}) {
    const auto there = TRY(kernel::list_filters(socket, ifindex, hook));
    const bool ours = std::any_of(there.begin(), there.end(),
                                  [](const kernel::Filter& filter) { return filter.ours(); });
    if (ours) TRY(socket.request(kernel::delete_filter(ifindex, hook)));
  }
  return Ok{};
}

Result<> FastPath::write_pod(const PodEntry& pod) {
  for (const auto& [address, entry] : lay_out_endpoints({pod}, {}, {})) {
    TRY(object_.endpoints.set(to_abi(address), entry));
  }
  return Ok{};
}

Result<> FastPath::remove_addresses(const std::vector<net::IpAddress>& addresses) {
  for (const net::IpAddress& address : addresses) TRY(object_.endpoints.remove(to_abi(address)));
  return Ok{};
}

Result<> FastPath::write_all(const Endpoints& wanted, const std::vector<net::Prefix>& host_stack,
                             bool prune, Drift& drift) {
  TRY(write_endpoints(wanted, prune, drift));
  TRY(write_host_stack(host_stack, prune, drift));
  // The trie's flag after its entries, so that nothing misses one.
  config_.events_per_second = kEventsPerSecond;
  if (host_stack.empty()) {
    config_.flags &= ~static_cast<std::uint32_t>(abi::CONFIG_HOST_STACK_CIDRS);
  } else {
    config_.flags |= abi::CONFIG_HOST_STACK_CIDRS;
  }
  return write_config(drift);
}

Result<> FastPath::write_endpoints(const Endpoints& wanted, bool prune, Drift& drift) {
  Endpoints there;
  TRY(object_.endpoints.for_each([&](const abi::ip_address& address, const abi::endpoint& entry) {
    there.emplace(from_abi(address), entry);
  }));
  for (const auto& [address, entry] : wanted) {
    const auto found = there.find(address);
    const bool right = found != there.end() && same(found->second, entry);
    if (found != there.end()) there.erase(found);
    if (right) continue;
    TRY(object_.endpoints.set(to_abi(address), entry));
    ++drift.programs;
    drift.what.push_back(fmt::format("endpoint {} written", address.to_string()));
  }
  if (!prune) return Ok{};
  for (const auto& [address, entry] : there) {
    TRY(object_.endpoints.remove(to_abi(address)));
    ++drift.programs;
    drift.what.push_back(fmt::format("endpoint {} removed", address.to_string()));
  }
  return Ok{};
}

Result<> FastPath::write_host_stack(const std::vector<net::Prefix>& prefixes, bool prune,
                                    Drift& drift) {
  std::set<abi::prefix_key, Less> there;
  TRY(object_.host_stack.for_each(
      [&](const abi::prefix_key& key, const std::uint8_t&) { there.insert(key); }));
  for (const net::Prefix& prefix : prefixes) {
    const abi::prefix_key key = to_abi(prefix);
    if (there.erase(key) > 0) continue;
    TRY(object_.host_stack.set(key, 1));
    ++drift.programs;
    drift.what.push_back(fmt::format("host stack CIDR {} written", prefix.to_string()));
  }
  if (!prune) return Ok{};
  for (const abi::prefix_key& key : there) {
    TRY(object_.host_stack.remove(key));
    ++drift.programs;
    drift.what.push_back(
        fmt::format("host stack CIDR at {} removed", from_abi(key.address).to_string()));
  }
  return Ok{};
}

Result<> FastPath::write_config(Drift& drift) {
  const auto there = TRY(object_.config.find(kZero));
  if (there && std::memcmp(&*there, &config_, sizeof(config_)) == 0) return Ok{};
  TRY(object_.config.set(kZero, config_));
  ++drift.programs;
  drift.what.emplace_back("settings of the programs written");
  return Ok{};
}

Result<> FastPath::change_config(const abi::config& config) {
  config_ = config;
  return object_.config.set(kZero, config_);
}

}  // namespace terway::datapath
