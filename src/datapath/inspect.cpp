// SPDX-License-Identifier: Apache-2.0
#include "datapath/inspect.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "datapath/state.h"

namespace terway::datapath {

namespace {

struct Reason {
  std::string name;
  std::string_view text;
};

const std::vector<Reason>& reasons() {
  static const std::vector<Reason> kReasons = [] {
    std::vector<Reason> all = {{"", "passed"}};
#define TERWAY_REASON(name, text) all.push_back({#name, text});
    DROP_REASONS(TERWAY_REASON)
#undef TERWAY_REASON
    for (Reason& reason : all) {
      std::transform(reason.name.begin(), reason.name.end(), reason.name.begin(),
                     [](unsigned char letter) { return std::tolower(letter); });
    }
    return all;
  }();
  return kReasons;
}

std::string_view kind_name(unsigned kind) {
  switch (kind) {
    case abi::ENDPOINT_POD:
      return "pod";
    case abi::ENDPOINT_HOST:
      return "host";
    case abi::ENDPOINT_BLOCKED:
      return "blocked";
    default:
      return "?";
  }
}

std::string_view mode_name(unsigned mode) {
  switch (mode) {
    case abi::MODE_VETH:
      return "veth";
    case abi::MODE_IPVLAN:
      return "ipvlan";
    case abi::MODE_EXCLUSIVE:
      return "exclusive";
    default:
      return "";
  }
}

net::Mac mac_of(const std::uint8_t (&bytes)[6]) {
  net::Mac mac;
  std::copy(std::begin(bytes), std::end(bytes), mac.bytes.begin());
  return mac;
}

std::string name_of(const PodPlan& plan) {
  return plan.pod.name.empty() ? plan.key.to_string() : plan.pod.to_string();
}

// The pods' names by their numbers.
std::map<std::uint32_t, std::string> names(const Datapath::State& state) {
  std::map<std::uint32_t, std::string> names;
  for (const auto& [key, number] : state.fast_path->numbers().all()) {
    const auto pod = state.pods.find(key);
    if (pod != state.pods.end()) names[number] = name_of(pod->second.plan);
  }
  return names;
}

Result<> read_endpoints(const Datapath::State& state, Inspection& inspection) {
  const auto pods = names(state);
  return state.fast_path->object().endpoints.for_each(
      [&](const abi::ip_address& address, const abi::endpoint& entry) {
        Inspection::Endpoint endpoint;
        endpoint.address = from_abi(address);
        endpoint.kind = kind_name(entry.kind);
        if (entry.kind == abi::ENDPOINT_POD) {
          endpoint.mode = mode_name(entry.mode);
          endpoint.number = entry.pod;
          const auto pod = pods.find(entry.pod);
          if (pod != pods.end()) endpoint.pod = pod->second;
          endpoint.ifindex = static_cast<int>(entry.ifindex);
          endpoint.eni_ifindex = static_cast<int>(entry.eni_ifindex);
          endpoint.mac = mac_of(entry.mac);
          endpoint.gateway_mac = mac_of(entry.gateway_mac);
          endpoint.mtu = entry.mtu;
        }
        inspection.endpoints.push_back(std::move(endpoint));
      });
}

void read_maps(const Datapath::State& state, Inspection& inspection) {
  const ebpf::Object& object = state.fast_path->object();
  for (const auto& [name, info] : object.maps()) {
    Inspection::MapFill fill{name, 0, info.max_entries};
    if (name == "endpoints") {
      fill.entries = static_cast<std::uint32_t>(inspection.endpoints.size());
    } else if (name == "host_stack") {
      fill.entries = static_cast<std::uint32_t>(inspection.host_stack.size());
    } else if (name == "flows") {
      fill.entries = state.sweeper.flows();
    } else {
      continue;  // of one size, or short-lived
    }
    inspection.maps.push_back(std::move(fill));
  }
}

Result<> read_attached(Datapath::State& state, Inspection& inspection) {
  for (const kernel::Link& link : TRY(kernel::list_links(state.route))) {
    for (const kernel::Hook hook : {kernel::Hook::Ingress, kernel::Hook::Egress}) {
      auto filters = kernel::list_filters(state.route, link.ifindex, hook);
      if (!filters.ok()) continue;  // the link went meanwhile
      for (const kernel::Filter& filter : *filters) {
        if (!filter.ours()) continue;
        Inspection::Attached attached{link.name, std::string(to_string(hook)), filter.name,
                                      filter.program_id, false};
        for (Inspection::Program& program : inspection.programs) {
          if (program.name != filter.name) continue;
          attached.current = program.id == filter.program_id;
          program.links += attached.current ? 1 : 0;
        }
        inspection.attached.push_back(std::move(attached));
      }
    }
  }
  return Ok{};
}

Result<> read_counts(const ebpf::Object& object, Inspection& inspection) {
  std::vector<abi::count> each(object.counts.value_bytes() / sizeof(abi::count));
  for (std::uint32_t reason = 0; reason < abi::DROP_REASON_COUNT; ++reason) {
    for (std::uint32_t direction = 0; direction < abi::DIRECTIONS; ++direction) {
      const std::uint32_t key = reason * abi::DIRECTIONS + direction;
      if (!TRY(object.counts.lookup(&key, each.data()))) continue;
      Inspection::Count sum{std::string(drop_name(reason)), std::string(direction_name(direction)),
                            0, 0};
      for (const abi::count& count : each) {
        sum.packets += count.packets;
        sum.bytes += count.bytes;
      }
      inspection.counts.push_back(std::move(sum));
    }
  }
  std::vector<std::uint64_t> lost(object.events_lost.value_bytes() / sizeof(std::uint64_t));
  const std::uint32_t zero = 0;
  if (TRY(object.events_lost.lookup(&zero, lost.data()))) {
    for (const std::uint64_t one : lost) inspection.events_lost += one;
  }
  return Ok{};
}

}  // namespace

std::string_view drop_name(unsigned reason) {
  return reason < reasons().size() ? std::string_view(reasons()[reason].name) : "?";
}
std::string_view drop_text(unsigned reason) {
  return reason < reasons().size() ? reasons()[reason].text : "?";
}
std::string_view direction_name(unsigned direction) {
  return direction == abi::DIRECTION_EGRESS ? "egress" : "ingress";
}

Result<Inspection> Datapath::inspect(InspectLinks links) {
  Inspection inspection;
  if (!state_->fast_path) return inspection;
  const ebpf::Object& object = state_->fast_path->object();
  TRY(read_endpoints(*state_, inspection));
  TRY(object.host_stack.for_each([&](const abi::prefix_key& key, const std::uint8_t&) {
    const net::IpAddress address = from_abi(key.address);
    const unsigned length = key.length - (address.is_v4() && key.length >= 96 ? 96U : 0U);
    inspection.host_stack.push_back(
        net::Prefix{address, static_cast<std::uint8_t>(length)}.to_string());
  }));
  read_maps(*state_, inspection);
  for (std::size_t i = 0; i < ebpf::kPrograms; ++i) {
    const auto program = static_cast<ebpf::Program>(i);
    const ebpf::ProgramInfo& info = object.info(program);
    inspection.programs.push_back({std::string(ebpf::to_string(program)), info.id, info.tag_text(),
                                   info.instructions, info.machine_bytes, 0});
  }
  if (links == InspectLinks::Yes) TRY(read_attached(*state_, inspection));
  TRY(read_counts(object, inspection));
  return inspection;
}

void Datapath::keep_events() {
  State& state = *state_;
  if (!state.events) return;
  constexpr std::size_t kMost = 4096;
  std::map<std::uint32_t, std::string> pods;
  (void)state.events->drain([&](const abi::event& event) {
    if (pods.empty()) pods = names(state);
    const auto pod = pods.find(event.pod);
    state.seen.push_back({++state.last_seen, event, pod == pods.end() ? "" : pod->second});
    if (state.seen.size() > kMost) state.seen.pop_front();
  });
}

std::vector<SeenEvent> Datapath::events_after(std::uint64_t number) const {
  std::vector<SeenEvent> events;
  for (const SeenEvent& event : state_->seen) {
    if (event.number > number) events.push_back(event);
  }
  return events;
}

std::uint64_t Datapath::last_event() const { return state_->last_seen; }

Result<> Datapath::watch_flows(bool on) {
  if (!state_->fast_path) return Ok{};
  abi::config config = state_->fast_path->config();
  const std::uint32_t before = config.flags;
  if (on) {
    config.flags |= abi::CONFIG_WATCH_FLOWS;
  } else {
    config.flags &= ~static_cast<std::uint32_t>(abi::CONFIG_WATCH_FLOWS);
  }
  if (config.flags == before) return Ok{};
  return state_->fast_path->change_config(config);
}

Result<bool> Datapath::sweep_flows() {
  if (!state_->fast_path) return false;
  const auto slice = TRY(state_->sweeper.sweep(state_->fast_path->object(), {}));
  return !slice.round_ended;
}

}  // namespace terway::datapath
