// SPDX-License-Identifier: Apache-2.0
// Views of addresses: ENIs, the pool, the journal, the address map.
#include <fmt/core.h>

#include "cli/text.h"
#include "cli/views.h"

namespace terway::cli {
namespace {

using Align = Table::Align;

Tone tone_of_eni(const rpc::cli::EniEntry& eni) {
  if (eni.state == "Ready") return Tone::Good;
  return eni.failures > 0 ? Tone::Bad : Tone::Warning;
}

Tone tone_of_address(std::string_view state) {
  if (state == "Held") return Tone::Good;
  if (state == "Suspect") return Tone::Bad;
  return state == "Idle" ? Tone::Plain : Tone::Warning;
}

std::size_t held(const rpc::cli::EniEntry& eni) {
  std::size_t count = 0;
  for (const rpc::cli::AddressEntry& address : eni.addresses) count += address.state == "Held";
  return count;
}

std::string table_of(const std::vector<rpc::cli::EniEntry>& enis, Colour colour) {
  Table table({{"ENI"},
               {"STATE"},
               {"FOR", Align::Right},
               {"HELD/ALL", Align::Right},
               {"NIC"},
               {"TABLE", Align::Right},
               {"MAC"},
               {"VSWITCH"},
               {"GATEWAY"},
               {"LAST ERROR"}});
  for (const rpc::cli::EniEntry& eni : enis) {
    table.add({{eni.id.empty() ? eni.key : eni.id},
               {eni.state, tone_of_eni(eni)},
               {duration(eni.age_s)},
               {fmt::format("{}/{}", held(eni), eni.addresses.size())},
               {eni.ifname},
               {eni.table == 0 ? "" : std::to_string(eni.table)},
               {eni.mac},
               {eni.vswitch_id},
               {eni.gateway},
               {eni.last_error, Tone::Bad}});
  }
  return table.to_string(colour);
}

std::string table_of(const std::vector<rpc::cli::OperationEntry>& operations, Colour colour) {
  Table table({{"OPERATION", Align::Right},
               {"KIND"},
               {"ENI"},
               {"VSWITCH"},
               {"IPV4", Align::Right},
               {"IPV6", Align::Right},
               {"ADDRESSES"},
               {"CLIENT TOKEN"}});
  for (const rpc::cli::OperationEntry& operation : operations) {
    table.add({{std::to_string(operation.id)},
               {operation.kind},
               {operation.eni_id},
               {operation.vswitch_id},
               {std::to_string(operation.ipv4_count)},
               {std::to_string(operation.ipv6_count)},
               {joined(operation.addresses)},
               {operation.client_token, Tone::Faint}});
  }
  return table.to_string(colour);
}

Table::Cell mark(bool known) {
  return known ? Table::Cell{"yes"} : Table::Cell{"no", Tone::Warning};
}

}  // namespace

std::string view(const rpc::cli::Enis& enis, Colour colour) {
  return enis.enis.empty() ? "no ENIs\n" : table_of(enis.enis, colour);
}

std::string view(const rpc::cli::EniEntry& eni, Colour colour) {
  std::string out = pairs(
      {
          {"ENI", {eni.id}},
          {"State", {fmt::format("{} for {}", eni.state, duration(eni.age_s)), tone_of_eni(eni)}},
          {"MAC", {eni.mac}},
          {"NIC",
           {eni.ifname.empty()
                ? ""
                : fmt::format("{} (index {}, MTU {})", eni.ifname, eni.ifindex, eni.mtu)}},
          {"Table", {eni.table == 0 ? "" : std::to_string(eni.table)}},
          {"vSwitch", {eni.vswitch_id}},
          {"Gateway",
           {eni.gateway_mac.empty() ? eni.gateway
                                    : fmt::format("{} at {}", eni.gateway, eni.gateway_mac)}},
          {"Primary address", {eni.primary_address}},
          {"Failures", {std::to_string(eni.failures)}},
          {"Last error", {eni.last_error, Tone::Bad}},
      },
      colour);
  Table table({{"ADDRESS"},
               {"STATE"},
               {"FOR", Align::Right},
               {"LEFT", Align::Right},
               {"POD"},
               {"CONTAINER"},
               {"STICKY"}});
  for (const rpc::cli::AddressEntry& address : eni.addresses) {
    table.add({{address.address},
               {address.state, tone_of_address(address.state)},
               {duration(address.age_s)},
               {address.until_s > 0 ? duration(address.until_s) : ""},
               {address.pod},
               {short_id(address.container_id), Tone::Faint},
               {address.sticky ? "yes" : ""}});
  }
  return table.empty() ? out : out + "\n" + table.to_string(colour);
}

std::string view(const std::vector<rpc::cli::PoolCounts>& pools, Colour colour) {
  Table counts({{"FAMILY"},
                {"CAPACITY", Align::Right},
                {"TOTAL", Align::Right},
                {"HELD", Align::Right},
                {"IDLE", Align::Right},
                {"COOLING", Align::Right},
                {"RELEASING", Align::Right},
                {"SUSPECT", Align::Right},
                {"WAITING", Align::Right}});
  for (const rpc::cli::PoolCounts& count : pools) {
    counts.add({{count.family},
                {std::to_string(count.capacity)},
                {std::to_string(count.total)},
                {std::to_string(count.held)},
                {std::to_string(count.idle)},
                {std::to_string(count.cooling)},
                {std::to_string(count.releasing)},
                {std::to_string(count.suspect), count.suspect > 0 ? Tone::Bad : Tone::Plain},
                {std::to_string(count.waiting), count.waiting > 0 ? Tone::Warning : Tone::Plain}});
  }
  return counts.to_string(colour);
}

std::string view(const rpc::cli::Pool& pool, Colour colour) {
  std::string out = view(pool.pools, colour) + "\n";
  out += pairs(
      {{"Idle addresses kept", {fmt::format("{} to {}", pool.min_pool_size, pool.max_pool_size)}},
       {"ENIs for pods", {fmt::format("at most {}", pool.max_enis)}},
       {"Addresses per ENI",
        {fmt::format("{} IPv4, {} IPv6", pool.ipv4_per_eni, pool.ipv6_per_eni)}},
       {"Cool-down", {duration(pool.cool_down_s)}}},
      colour);
  if (!pool.operations.empty()) {
    out += section("Calls of the cloud under way", colour) + table_of(pool.operations, colour);
  }
  Table waiting({{"POD"}, {"CONTAINER"}, {"WAITS FOR", Align::Right}});
  for (const rpc::cli::WaitingEntry& entry : pool.waiting) {
    waiting.add({{entry.pod},
                 {short_id(entry.container_id), Tone::Faint},
                 {duration(entry.waited_s), Tone::Warning}});
  }
  if (!waiting.empty()) out += section("Waiting pods", colour) + waiting.to_string(colour);
  return out;
}

std::string view(const rpc::cli::Journal& journal, Colour colour) {
  std::string out = pairs({{"File", {journal.path}},
                           {"Schema", {std::to_string(journal.schema_version)}},
                           {"Size", {fmt::format("{} bytes", journal.size_bytes)}},
                           {"Boot", {journal.boot_id}}},
                          colour);
  if (!journal.attachments.empty()) {
    out += section("Attachments", colour) + view(rpc::cli::Pods{journal.attachments}, colour);
  }
  if (!journal.enis.empty()) out += section("ENIs", colour) + table_of(journal.enis, colour);
  if (!journal.operations.empty()) {
    out += section("Operations begun", colour) + table_of(journal.operations, colour);
  }
  return out;
}

std::string view(const rpc::cli::Mapping& mapping, Colour colour) {
  Table table({{"STATUS"},
               {"ADDRESS"},
               {"ENI"},
               {"POD"},
               {"CONTAINER"},
               {"JOURNAL"},
               {"KERNEL"},
               {"CLOUD"}});
  for (const rpc::cli::MappingEntry& entry : mapping.entries) {
    table.add({{entry.status, entry.status == "ok" ? Tone::Good : Tone::Bad},
               {entry.address},
               {entry.eni_id},
               {entry.pod},
               {short_id(entry.container_id), Tone::Faint},
               mark(entry.in_journal),
               // A route leads only to what a pod holds.
               entry.container_id.empty() ? Table::Cell{} : mark(entry.in_kernel),
               mark(entry.in_cloud)});
  }
  std::string out = table.empty() ? "no addresses\n" : table.to_string(colour);
  out += mapping.consistent
             ? painted("\njournal, kernel and cloud agree\n", Tone::Good, colour)
             : painted("\njournal, kernel and cloud disagree (see STATUS)\n", Tone::Bad, colour);
  return out;
}

}  // namespace terway::cli
