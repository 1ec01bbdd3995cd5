// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/views.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace terway::vpcsim {

namespace {

using Json = nlohmann::json;
using Align = Table::Align;

// A member as text; empty when it is not there. Lists are joined by spaces.
std::string text_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return found->dump();
  std::string joined;
  for (const Json& value : *found) {
    if (!joined.empty()) joined += ' ';
    joined += value.is_string() ? value.get<std::string>() : value.dump();
  }
  return joined;
}

std::string count_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() ? std::string() : std::to_string(found->size());
}

Result<Json> parse(std::string_view text, bool list) {
  Json json = Json::parse(text, nullptr, false);
  if (list ? json.is_array() : json.is_object()) return json;
  return Error(Error::Kind::Internal, "the answer has not the form that it should have");
}

Tone tone_of_status(const std::string& status) {
  if (status == "InUse") return Tone::Good;
  return status == "Available" ? Tone::Faint : Tone::Warning;
}

std::string eni_table(const Json& list, Colour colour) {
  Table table({{"ENI"},
               {"TYPE"},
               {"STATUS"},
               {"INSTANCE"},
               {"DEV", Align::Right},
               {"MAC"},
               {"VSWITCH"},
               {"PRIMARY"},
               {"IPV4", Align::Right},
               {"IPV6", Align::Right},
               {"NIC"}});
  for (const Json& eni : list) {
    const std::string status = text_of(eni, "status");
    const bool plugged = eni.value("plugged", false);
    table.add({{text_of(eni, "id")},
               {text_of(eni, "type")},
               {status, tone_of_status(status)},
               {text_of(eni, "instance")},
               {text_of(eni, "device_index")},
               {text_of(eni, "mac")},
               {text_of(eni, "vswitch")},
               {text_of(eni, "primary_address")},
               {count_of(eni, "ipv4")},
               {count_of(eni, "ipv6")},
               {plugged                    ? "there"
                : eni.value("held", false) ? "held"
                                           : ""}});
  }
  return table.to_string(colour);
}

std::string vswitch_table(const Json& list, Colour colour) {
  Table table({{"VSWITCH"}, {"NAME"}, {"ZONE"}, {"CIDR"}, {"IPV6"}, {"FREE", Align::Right}});
  for (const Json& vswitch : list) {
    table.add({{text_of(vswitch, "id")},
               {text_of(vswitch, "name")},
               {text_of(vswitch, "zone")},
               {text_of(vswitch, "cidr")},
               {text_of(vswitch, "ipv6_cidr")},
               {text_of(vswitch, "available")}});
  }
  return table.to_string(colour);
}

std::string instance_table(const Json& list, Colour colour) {
  Table table({{"INSTANCE"}, {"NAME"}, {"TYPE"}, {"ZONE"}, {"ADDRESS"}, {"ENIS", Align::Right}});
  for (const Json& instance : list) {
    table.add(
        {{text_of(instance, "id")},
         {text_of(instance, "name")},
         {text_of(instance, "type")},
         {text_of(instance, "zone")},
         {text_of(instance, "primary_address")},
         {fmt::format("{}/{}", count_of(instance, "enis"), text_of(instance, "eni_quantity"))}});
  }
  return table.to_string(colour);
}

}  // namespace

Result<std::string> world_view(std::string_view text, Colour colour) {
  const Json json = TRY(parse(text, false));
  const Json none = Json::array();
  const auto list = [&](const char* name) -> const Json& {
    const auto found = json.find(name);
    return found == json.end() ? none : *found;
  };
  return fmt::format("region {}\n\n{}\n{}\n{}", text_of(json, "region"),
                     vswitch_table(list("vswitches"), colour),
                     instance_table(list("instances"), colour), eni_table(list("enis"), colour));
}

Result<std::string> enis_view(std::string_view text, Colour colour) {
  return eni_table(TRY(parse(text, true)), colour);
}

Result<std::string> calls_view(std::string_view text, Colour colour) {
  const Json json = TRY(parse(text, false));
  Table counts({{"ACTION"}, {"CALLS", Align::Right}, {"FAILED", Align::Right}, {"CODES"}});
  const Json by_action = json.value("counts", Json::object());
  for (const auto& [action, count] : by_action.items()) {
    std::string codes;
    const Json by_code = count.value("by_code", Json::object());
    for (const auto& [code, times] : by_code.items()) {
      if (!codes.empty()) codes += ' ';
      codes += fmt::format("{}×{}", code, times.dump());
    }
    counts.add({{action}, {text_of(count, "total")}, {text_of(count, "failed")}, {codes}});
  }
  Table latest({{"SEQ", Align::Right},
                {"TIME"},
                {"ACTION"},
                {"INSTANCE"},
                {"ENI"},
                {"STATUS", Align::Right},
                {"CODE"},
                {"FAULTS"}});
  const Json calls = json.value("calls", Json::array());
  constexpr std::size_t kShown = 40;
  for (std::size_t i = calls.size() > kShown ? calls.size() - kShown : 0; i < calls.size(); ++i) {
    const std::string code = text_of(calls[i], "code");
    latest.add({{text_of(calls[i], "sequence")},
                {text_of(calls[i], "time")},
                {text_of(calls[i], "action")},
                {text_of(calls[i], "instance")},
                {text_of(calls[i], "eni")},
                {text_of(calls[i], "status")},
                {code, Tone::Bad},
                {text_of(calls[i], "faults"), Tone::Warning}});
  }
  return counts.to_string(colour) + "\n" + latest.to_string(colour);
}

Result<std::string> faults_view(std::string_view text, Colour colour) {
  const Json list = TRY(parse(text, true));
  Table table({{"ID", Align::Right},
               {"KIND"},
               {"MATCHES"},
               {"LEFT", Align::Right},
               {"STRUCK", Align::Right},
               {"HOW"}});
  const auto named = [](const Json& fault, std::initializer_list<const char*> names) {
    std::string text_so_far;
    for (const char* name : names) {
      const std::string value = text_of(fault, name);
      if (value.empty()) continue;
      if (!text_so_far.empty()) text_so_far += ' ';
      text_so_far += fmt::format("{}={}", name, value);
    }
    return text_so_far;
  };
  for (const Json& fault : list) {
    table.add({{text_of(fault, "id")},
               {text_of(fault, "kind")},
               {named(fault, {"action", "instance", "eni", "vswitch", "probability"})},
               {text_of(fault, "left")},
               {text_of(fault, "struck")},
               {named(fault, {"delay_ms", "status", "code", "message", "limit", "address"})}});
  }
  return table.to_string(colour);
}

Result<std::string> counters_view(std::string_view text, Colour colour) {
  const Json json = TRY(parse(text, false));
  Table table({{"ENI"}, {"WHAT"}, {"FRAMES", Align::Right}});
  for (const auto& [eni, counters] : json.items()) {
    for (const auto& [name, frames] : counters.items()) {
      if (frames == 0) continue;
      const bool bad = name.starts_with("spoofed_");
      table.add({{eni}, {name, bad ? Tone::Bad : Tone::Plain}, {frames.dump()}});
    }
  }
  return table.to_string(colour);
}

Result<std::string> settings_view(std::string_view text, Colour colour) {
  const Json json = TRY(parse(text, false));
  Table table({{"SETTING"}, {"VALUE", Align::Right}});
  for (const auto& [name, value] : json.items()) {
    if (!value.is_object()) {
      table.add({{name}, {value.dump()}});
      continue;
    }
    for (const auto& [key, inner] : value.items()) table.add({{name + "." + key}, {inner.dump()}});
  }
  return table.to_string(colour);
}

std::string to_json_object(const std::vector<std::pair<std::string, std::string>>& members) {
  Json json = Json::object();
  for (const auto& [name, value] : members) {
    if (value.empty()) continue;
    const Json parsed = Json::parse(value, nullptr, false);
    const Json as_is = parsed.is_number() || parsed.is_boolean() ? parsed : Json(value);
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) {
      json[name] = as_is;
    } else {
      json[name.substr(0, dot)][name.substr(dot + 1)] = as_is;
    }
  }
  return json.dump();
}

}  // namespace terway::vpcsim
