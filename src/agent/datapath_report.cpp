// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath_report.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "datapath/endpoints.h"

namespace terway::agent {

namespace cli = rpc::cli;

namespace {

std::string text_of(const net::Mac& mac) { return mac.is_zero() ? "" : mac.to_string(); }

std::string protocol_of(const abi::event& event) {
  switch (ntohs(event.ethertype)) {
    case ETH_P_ARP:
      return "arp";
    case ETH_P_IP:
    case ETH_P_IPV6:
      break;
    default:
      return fmt::format("ethertype {:#06x}", ntohs(event.ethertype));
  }
  switch (event.protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_ICMP:
      return "icmp";
    case IPPROTO_ICMPV6:
      return "icmpv6";
    case IPPROTO_SCTP:
      return "sctp";
    default:
      return fmt::format("protocol {}", event.protocol);
  }
}

// As tcpdump writes them.
std::string tcp_flags_of(unsigned flags) {
  constexpr std::string_view kLetters = "FSRPAU";
  std::string text;
  for (unsigned bit = 0; bit < kLetters.size(); ++bit) {
    if ((flags >> bit & 1U) != 0) text += kLetters[bit];
  }
  return text;
}

}  // namespace

cli::Datapath report_of(const datapath::Inspection& inspection,
                        const datapath::FastPathStatus& status) {
  cli::Datapath report;
  report.setting = to_string(status.mode);
  report.on = status.on;
  report.reason = status.reason;
  report.kernel = status.features.kernel;
  for (const auto& feature : status.features.all) {
    report.features.push_back(
        {std::string(feature.name), feature.there, feature.required, std::string(feature.use)});
  }
  for (const auto& one : inspection.endpoints) {
    report.endpoints.push_back({one.address.to_string(), one.kind, one.mode, one.pod, one.number,
                                one.ifindex, one.eni_ifindex, text_of(one.mac),
                                text_of(one.gateway_mac), one.mtu});
  }
  report.host_stack = inspection.host_stack;
  for (const auto& map : inspection.maps) {
    report.maps.push_back({map.name, map.entries, map.max_entries});
  }
  for (const auto& program : inspection.programs) {
    report.programs.push_back({program.name, program.id, program.tag, program.instructions,
                               program.machine_bytes, program.links});
  }
  for (const auto& one : inspection.attached) {
    report.attachments.push_back({one.link, one.hook, one.program, one.id, one.current});
  }
  for (const auto& count : inspection.counts) {
    report.counts.push_back({count.reason, count.direction, count.packets, count.bytes});
  }
  report.events_lost = inspection.events_lost;
  return report;
}

cli::EventEntry entry_of(const datapath::SeenEvent& seen) {
  const abi::event& event = seen.event;
  cli::EventEntry entry;
  entry.number = seen.number;
  entry.time_s = static_cast<double>(event.time) / 1e9;
  if (event.kind == abi::EVENT_DROP) {
    entry.kind = "drop";
    entry.reason = datapath::drop_name(event.reason);
    entry.text = datapath::drop_text(event.reason);
  } else {
    entry.kind = "flow";
  }
  entry.direction = datapath::direction_name(event.direction);
  entry.pod = seen.pod;
  entry.protocol = protocol_of(event);
  const auto address = [](const abi::ip_address& raw) {
    const net::IpAddress text = datapath::from_abi(raw);
    return text.is_unspecified() ? std::string() : text.to_string();
  };
  entry.source = address(event.source);
  entry.destination = address(event.destination);
  entry.source_port = ntohs(event.source_port);
  entry.destination_port = ntohs(event.destination_port);
  entry.length = event.length;
  entry.ifindex = event.ifindex;
  if (event.protocol == IPPROTO_TCP) entry.tcp_flags = tcp_flags_of(event.tcp_flags);
  return entry;
}

std::string in_short(const datapath::FastPathStatus& status) {
  return status.on ? "on" : "off: " + status.reason;
}

}  // namespace terway::agent
