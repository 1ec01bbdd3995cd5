// SPDX-License-Identifier: Apache-2.0
#include "config/reader.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>

namespace terway::config {

namespace {

constexpr std::size_t kShownBytes = 80;

std::string whole_number(std::int64_t least, std::int64_t most) {
  return fmt::format("a whole number from {} to {}", least, most);
}

std::optional<std::int64_t> integer_of(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  return std::nullopt;
}

// A clean string list; nullopt when anything in it is no non-empty string.
std::optional<std::vector<std::string>> strings_of(const Json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const auto& item : value) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty()) return std::nullopt;
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double nanos;
  };
  // Longer names first: "m" is the beginning of "ms".
  constexpr Unit kUnits[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                             {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (text == "0") return Duration::zero();
  double total = 0;
  bool any = false;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0 || std::signbit(number)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* unit = nullptr;
    for (const auto& candidate : kUnits) {
      if (text.starts_with(candidate.name)) {
        unit = &candidate;
        break;
      }
    }
    if (unit == nullptr) return std::nullopt;
    text.remove_prefix(unit->name.size());
    total += number * unit->nanos;
    any = true;
    if (!(total < 9e18)) return std::nullopt;
  }
  if (!any) return std::nullopt;
  return Duration(static_cast<Duration::rep>(total));
}

std::string Reader::quoted(std::string_view text) { return fmt::format("\"{}\"", text); }

void Reader::refuse(std::string_view allowed) {
  std::string value = secret_ ? "the value (not shown)"
                              : value_.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (value.size() > kShownBytes) value = value.substr(0, kShownBytes) + "…";
  problems_.push_back(fmt::format("{}: {} is not allowed: {}", key_, value, allowed));
}

void Reader::text(std::string& into) {
  if (!value_.is_string()) return refuse("a string");
  into = value_.get<std::string>();
}

void Reader::path(std::string& into) {
  if (!value_.is_string() || !value_.get_ref<const std::string&>().starts_with('/')) {
    return refuse("an absolute path");
  }
  into = value_.get<std::string>();
}

void Reader::url(std::string& into) {
  const auto* text = value_.is_string() ? &value_.get_ref<const std::string&>() : nullptr;
  if (text == nullptr ||
      (!text->empty() && !text->starts_with("http://") && !text->starts_with("https://"))) {
    return refuse("a URL that starts with http:// or https://");
  }
  into = *text;
}

void Reader::flag(bool& into) {
  if (!value_.is_boolean()) return refuse("true or false");
  into = value_.get<bool>();
}

void Reader::number(std::uint32_t& into, std::uint32_t least, std::uint32_t most) {
  const auto number = integer_of(value_);
  if (!number || *number < least || *number > most) return refuse(whole_number(least, most));
  into = static_cast<std::uint32_t>(*number);
}

void Reader::number(std::int32_t& into, std::int32_t least, std::int32_t most) {
  const auto number = integer_of(value_);
  if (!number || *number < least || *number > most) return refuse(whole_number(least, most));
  into = static_cast<std::int32_t>(*number);
}

void Reader::real(double& into, double least, double most) {
  double number = std::nan("");
  if (value_.is_number()) {
    number = value_.get<double>();
  } else if (value_.is_string()) {
    const auto& text = value_.get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) number = std::nan("");
  }
  if (!(number >= least && number <= most)) {
    return refuse(fmt::format("a number from {} to {}", least, most));
  }
  into = number;
}

void Reader::duration(Duration& into, Duration least, Duration most) {
  using std::chrono::seconds;
  std::optional<Duration> found;
  if (const auto number = integer_of(value_); number && *number >= 0 && *number < 1'000'000'000) {
    found = seconds(*number);
  } else if (value_.is_string()) {
    found = parse_duration(value_.get_ref<const std::string&>());
  }
  if (!found || *found < least || *found > most) {
    const auto in_seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
    return refuse(fmt::format("a duration from {}s to {}s, as in \"90s\" or \"10m\"",
                              in_seconds(least), in_seconds(most)));
  }
  into = *found;
}

void Reader::texts(std::vector<std::string>& into, std::size_t most) {
  const auto texts = strings_of(value_);
  if (!texts || texts->size() > most) {
    return refuse(fmt::format("a list of at most {} strings", most));
  }
  into = *texts;
}

void Reader::tags(model::Tags& into) {
  model::Tags tags;
  if (!value_.is_object()) return refuse("an object of string values");
  for (const auto& [name, value] : value_.items()) {
    // ECS: a key has 1 to 128 bytes, a value up to 128.
    if (!value.is_string() || name.empty() || name.size() > 128 ||
        value.get_ref<const std::string&>().size() > 128) {
      return refuse("an object of string values, keys and values of at most 128 bytes");
    }
    tags[name] = value.get<std::string>();
  }
  into = tags;
}

void Reader::macs(std::vector<net::Mac>& into) {
  const auto texts = strings_of(value_);
  std::vector<net::Mac> macs;
  for (const auto& text : texts.value_or(std::vector<std::string>{})) {
    const auto mac = net::Mac::parse(text);
    if (mac) macs.push_back(*mac);
  }
  if (!texts || macs.size() != texts->size()) {
    return refuse("a list of MAC addresses, as in [\"00:16:3e:12:34:56\"]");
  }
  into = macs;
}

void Reader::prefixes(std::vector<net::Prefix>& into) {
  std::vector<net::Prefix> prefixes;
  bool good = value_.is_string();
  if (good) {
    std::string_view rest = value_.get_ref<const std::string&>();
    while (good && !rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const auto prefix = net::Prefix::parse(rest.substr(0, comma));
      good = prefix && *prefix == prefix->network();
      if (good) prefixes.push_back(*prefix);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  if (!good) return refuse("networks separated by commas, as in \"172.21.0.0/20,fd00::/112\"");
  into = prefixes;
}

void Reader::vswitches(std::map<std::string, std::vector<std::string>>& into) {
  std::map<std::string, std::vector<std::string>> zones;
  bool good = value_.is_object();
  if (good) {
    for (const auto& [zone, list] : value_.items()) {
      const auto ids = strings_of(list);
      good = good && ids.has_value() && !zone.empty();
      zones[zone] = ids.value_or(std::vector<std::string>{});
    }
  }
  if (!good) {
    return refuse("vSwitches by zone, as in {\"cn-hangzhou-h\": [\"vsw-1\", \"vsw-2\"]}");
  }
  into = zones;
}

void Reader::limits(std::map<std::string, std::uint32_t>& into) {
  std::map<std::string, std::uint32_t> limits;
  bool good = value_.is_object();
  if (good) {
    for (const auto& [action, limit] : value_.items()) {
      const auto number = integer_of(limit);
      good = good && number && *number >= 1 && *number <= 100'000;
      if (good) limits[action] = static_cast<std::uint32_t>(*number);
    }
  }
  if (!good) {
    return refuse(
        "calls per minute by action, each from 1 to 100000, as in "
        "{\"AssignPrivateIpAddresses\": 400}");
  }
  into = limits;
}

bool Reader::is_off() const {
  return value_ == false || value_ == 0 ||
         (value_.is_string() && value_.get_ref<const std::string&>().empty()) || value_ == "0" ||
         value_ == "false" || ((value_.is_array() || value_.is_object()) && value_.empty());
}

void Reader::absent_feature(std::string_view feature) {
  if (is_off()) return;
  refuse(fmt::format("{} is not in this version of terwayd; remove the key or switch it off",
                     feature));
}

void Reader::no_effect(std::string_view why) {
  warnings_.push_back(fmt::format("{}: has no effect: {}", key_, why));
}

}  // namespace terway::config
