// SPDX-License-Identifier: Apache-2.0
// View of the fast path.
#include <fmt/core.h>

#include "cli/text.h"
#include "cli/views.h"

namespace terway::cli {

namespace {

using Align = Table::Align;

std::string features_of(const rpc::cli::Datapath& datapath, bool there) {
  std::string text;
  for (const auto& feature : datapath.features) {
    if (feature.there == there) text += (text.empty() ? "" : " ") + feature.name;
  }
  return text.empty() ? "nothing" : text;
}

std::string endpoints(const rpc::cli::Datapath& datapath, Colour colour) {
  Table table({{"ADDRESS"},
               {"KIND"},
               {"POD"},
               {"MODE"},
               {"NUMBER", Align::Right},
               {"LINK", Align::Right},
               {"ENI", Align::Right},
               {"MAC"},
               {"GATEWAY"}});
  for (const auto& one : datapath.endpoints) {
    const bool pod = one.kind == "pod";
    const auto number = [&](std::int64_t value) { return pod ? std::to_string(value) : ""; };
    table.add({{one.address},
               {one.kind},
               {one.pod},
               {one.mode},
               {number(one.number)},
               {number(one.ifindex)},
               {pod && one.eni_ifindex == 0 ? "none" : number(one.eni_ifindex),
                pod && one.eni_ifindex == 0 ? Tone::Bad : Tone::Plain},
               {one.mac},
               {one.gateway_mac}});
  }
  return table.empty() ? "" : section("Endpoints", colour) + table.to_string(colour);
}

std::string maps_and_programs(const rpc::cli::Datapath& datapath, Colour colour) {
  Table maps({{"MAP"}, {"ENTRIES", Align::Right}, {"OF", Align::Right}});
  for (const auto& map : datapath.maps) {
    const bool full = map.entries >= map.max_entries / 10 * 9;
    maps.add({{map.name},
              {std::to_string(map.entries), full ? Tone::Warning : Tone::Plain},
              {std::to_string(map.max_entries)}});
  }
  Table programs({{"PROGRAM"},
                  {"ID", Align::Right},
                  {"TAG"},
                  {"INSTRUCTIONS", Align::Right},
                  {"BYTES", Align::Right},
                  {"HOOKS", Align::Right}});
  for (const auto& program : datapath.programs) {
    programs.add({{program.name},
                  {std::to_string(program.id)},
                  {program.tag},
                  {std::to_string(program.instructions)},
                  {std::to_string(program.machine_bytes)},
                  {std::to_string(program.links)}});
  }
  Table attachments({{"LINK"}, {"HOOK"}, {"PROGRAM"}, {"STATE"}});
  for (const auto& one : datapath.attachments) {
    attachments.add(
        {{one.link},
         {one.hook},
         {one.program},
         {one.current ? "current" : "another build's", one.current ? Tone::Good : Tone::Warning}});
  }
  std::string out;
  if (!maps.empty()) out += section("Maps", colour) + maps.to_string(colour);
  if (!programs.empty()) out += section("Programs", colour) + programs.to_string(colour);
  if (!attachments.empty()) out += section("Attachments", colour) + attachments.to_string(colour);
  return out;
}

std::string counts(const rpc::cli::Datapath& datapath, Colour colour) {
  Table table(
      {{"PACKETS", Align::Right}, {"BYTES", Align::Right}, {"DIRECTION"}, {"WHAT BECAME OF THEM"}});
  for (const auto& count : datapath.counts) {
    if (count.packets == 0) continue;
    table.add({{std::to_string(count.packets)},
               {std::to_string(count.bytes)},
               {count.direction},
               {count.reason.empty() ? "passed" : "dropped: " + count.reason,
                count.reason.empty() ? Tone::Good : Tone::Warning}});
  }
  return table.empty() ? "" : section("Packets", colour) + table.to_string(colour);
}

}  // namespace

std::string view(const rpc::cli::Datapath& datapath, Colour colour) {
  std::string out =
      pairs({{"Fast path", datapath.on ? Table::Cell{"on", Tone::Good}
                                       : Table::Cell{"off: " + datapath.reason, Tone::Warning}},
             {"Setting", {datapath.setting}},
             {"Kernel", {datapath.kernel}},
             {"It has", {features_of(datapath, true)}},
             {"It lacks", {features_of(datapath, false)}},
             {"By the host's stack", {joined(datapath.host_stack)}},
             {"Events not told", {std::to_string(datapath.events_lost)}}},
            colour);
  out += endpoints(datapath, colour);
  out += maps_and_programs(datapath, colour);
  out += counts(datapath, colour);
  return out;
}

}  // namespace terway::cli
