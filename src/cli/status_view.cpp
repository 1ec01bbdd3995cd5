// SPDX-License-Identifier: Apache-2.0
// Views of the node as a whole: status, pods, what it was told and what the metadata service says.
#include <fmt/core.h>

#include "cli/text.h"
#include "cli/views.h"

namespace terway::cli {
namespace {

using Align = Table::Align;

Tone tone_of_cloud(std::string_view cloud) {
  if (cloud == "in-sync") return Tone::Good;
  return cloud.starts_with("failing") ? Tone::Bad : Tone::Warning;
}

Tone tone_of_attachment(std::string_view state) {
  return state == "Wired" ? Tone::Good : Tone::Warning;
}

std::string lines(std::string_view title, const std::vector<std::string>& texts, Colour colour) {
  if (texts.empty()) return "";
  std::string out = section(title, colour);
  for (const std::string& text : texts) out += painted(text, Tone::Warning, colour) + "\n";
  return out;
}

}  // namespace

std::string view(const rpc::cli::Status& status, Colour colour) {
  std::string drift;
  for (const auto& [kind, count] : status.drift) {
    if (count > 0) drift += fmt::format("{}{} {}", drift.empty() ? "" : ", ", count, kind);
  }
  std::string out = pairs(
      {
          {"Node", {status.node}},
          {"State", status.ready ? Table::Cell{"ready", Tone::Good}
                                 : Table::Cell{"not ready: " + status.reason, Tone::Bad}},
          {"Cloud", {status.cloud, tone_of_cloud(status.cloud)}},
          {"Instance", {fmt::format("{} ({})", status.instance_id, status.instance_type)}},
          {"Zone", {fmt::format("{} of {}", status.zone, status.region)}},
          {"Mode",
           {fmt::format("{} ENIs, {}, {}", status.daemon_mode, status.datapath, status.ip_stack)}},
          {"Fast path",
           {status.fast_path.empty() ? "not known" : status.fast_path,
            status.fast_path == "on" ? Tone::Good : Tone::Warning}},
          {"Pods", {fmt::format("{}", status.pods)}},
          {"Put right", {drift.empty() ? "nothing" : drift}},
          {"Version", {status.version}},
          {"Up", {fmt::format("{} (since {})", duration(status.uptime_s), status.started)}},
          {"Boot", {status.boot_id, Tone::Faint}},
      },
      colour);

  if (!status.pools.empty()) out += section("Addresses", colour) + view(status.pools, colour);

  Table notices({{"LAST SEEN"}, {"TIMES", Align::Right}, {"KIND"}, {"SUBJECT"}, {"MESSAGE"}});
  for (const rpc::cli::NoticeEntry& notice : status.notices) {
    notices.add({{notice.last_seen},
                 {std::to_string(notice.count)},
                 {notice.kind, Tone::Warning},
                 {notice.subject},
                 {notice.message}});
  }
  if (!notices.empty()) out += section("Notices", colour) + notices.to_string(colour);
  return out;
}

std::string view(const rpc::cli::Pods& pods, Colour colour) {
  Table table({{"NAMESPACE"},
               {"NAME"},
               {"ADDRESSES"},
               {"STATE"},
               {"ENI"},
               {"HOST NIC"},
               {"CONTAINER"},
               {"SINCE"}});
  for (const rpc::cli::PodEntry& pod : pods.pods) {
    table.add({{pod.namespace_},
               {pod.name},
               {joined(pod.addresses)},
               {pod.state, tone_of_attachment(pod.state)},
               {pod.eni_id},
               {pod.host_ifname},
               {short_id(pod.container_id), Tone::Faint},
               {pod.created, Tone::Faint}});
  }
  return table.empty() ? "no pods\n" : table.to_string(colour);
}

std::string view(const rpc::cli::Bandwidth& limits, Colour colour) {
  return pairs({{"Pod", {limits.pod}},
                {"Container", {limits.container_id}},
                {"Interface", {limits.ifname}},
                {"Egress", {limits.egress}},
                {"Ingress", {limits.ingress}}},
               colour);
}

std::string view(const rpc::cli::Metadata& metadata, Colour colour) {
  std::string out = pairs({{"Instance", {metadata.instance_id}},
                           {"Type", {metadata.instance_type}},
                           {"Region", {metadata.region_id}},
                           {"Zone", {metadata.zone_id}},
                           {"VPC", {metadata.vpc_id}},
                           {"vSwitch", {metadata.vswitch_id}},
                           {"MAC", {metadata.mac}}},
                          colour);
  Table nics({{"MAC"}, {"ENI"}, {"PRIMARY ADDRESS"}, {"VSWITCH"}, {"ADDRESSES"}});
  for (const rpc::cli::MetadataNic& nic : metadata.nics) {
    nics.add({{nic.mac},
              {nic.eni_id},
              {nic.primary_address},
              {nic.vswitch_id},
              {joined(nic.addresses)}});
  }
  return nics.empty() ? out : out + "\n" + nics.to_string(colour);
}

std::string view(const rpc::cli::Config& config, Colour colour) {
  std::string out = pairs({{"File", {config.path}}, {"Loaded", {config.loaded}}}, colour) + "\n";
  Table table({{"KEY"}, {"VALUE"}, {"SOURCE"}});
  for (const rpc::cli::ConfigEntry& entry : config.entries) {
    const Tone tone = entry.source == "default" ? Tone::Faint : Tone::Plain;
    table.add({{entry.key, tone}, {entry.value, tone}, {entry.source, tone}});
  }
  out += table.to_string(colour);
  out += lines("Warnings", config.warnings, colour);
  out += lines("Changed in the file, in force only after a restart", config.restart_needed, colour);
  return out;
}

}  // namespace terway::cli
