// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include <fmt/core.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"

namespace terway::bench {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kSizeMargin = 1.05;
constexpr double kRatioMargin = 1.25;
constexpr double kFirstMargin = 1.5;  // measured by single calls

double rounded(double value, int digits) {
  const double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}

struct Margin {
  double value;
  double margin;
};
using Figures = std::map<std::string, Margin>;

// "pod_egress translated", "pod_egress established": what is compared.
Figures figures_of(const Json& all) {
  Figures figures;
  for (const auto& [program, of] : all.at("programs").items()) {
    for (const char* size : {"translated_bytes", "machine_bytes", "verified_instructions"}) {
      figures[program + " " + size] = {of.at(size).get<double>(), kSizeMargin};
    }
    for (const auto& [path, cost] : of.at("paths").items()) {
      figures[program + " " + path + ", times the empty program"] = {
          cost.at("ratio").get<double>(), path == "first" ? kFirstMargin : kRatioMargin};
    }
  }
  return figures;
}

}  // namespace

std::string Answer::json() const {
  Json all;
  all["empty_ns"] = rounded(empty_ns, 1);
  for (const ProgramCost& program : programs) {
    Json& one = all["programs"][program.program];
    one = {{"translated_bytes", program.size.translated},
           {"machine_bytes", program.size.machine},
           {"verified_instructions", program.size.verified},
           {"paths", Json::object()}};
    for (const Cost& cost : program.costs) {
      one["paths"][cost.path] = {{"ns", rounded(cost.ns, 1)}, {"ratio", rounded(cost.ratio, 2)}};
    }
  }
  return all.dump(2);
}

std::string Answer::table(Colour colour) const {
  using Align = Table::Align;
  Table table({{"program"},
               {"path"},
               {"ns", Align::Right},
               {"times empty", Align::Right},
               {"translated", Align::Right},
               {"machine", Align::Right},
               {"verified", Align::Right}});
  for (const ProgramCost& program : programs) {
    table.add({{program.program},
               {},
               {},
               {},
               {fmt::format("{} B", program.size.translated)},
               {fmt::format("{} B", program.size.machine)},
               {std::to_string(program.size.verified)}});
    for (const Cost& cost : program.costs) {
      table.add({{program.program, Tone::Faint},
                 {cost.path},
                 {fmt::format("{:.1f}", cost.ns)},
                 {fmt::format("{:.2f}", cost.ratio)},
                 {" "},
                 {" "},
                 {" "}});
    }
  }
  return table.to_string(colour) +
         "\nthe call of an empty program is in every figure; first: with a flow of its own each "
         "time\n";
}

Result<std::vector<std::string>> Answer::worse_than(const std::filesystem::path& recorded) const {
  const std::string text = TRY(read_file(recorded));
  const Json then = Json::parse(text, nullptr, false);
  if (then.is_discarded() || !then.contains("programs")) {
    return Error(Error::Kind::Invalid, recorded.string() + ": no record of programs");
  }
  const Figures before = figures_of(then);
  Figures now = figures_of(Json::parse(json()));
  std::vector<std::string> worse;
  for (const auto& [name, was] : before) {
    const auto found = now.find(name);
    if (found == now.end()) {
      worse.push_back(name + ": recorded, and not there any more");
      continue;
    }
    if (found->second.value > was.value * was.margin) {
      worse.push_back(fmt::format("{}: {}, recorded is {}; up to {:.2f} times that is allowed",
                                  name, found->second.value, was.value, was.margin));
    }
    now.erase(found);
  }
  for (const auto& [name, is] : now) worse.push_back(name + ": not recorded");
  return worse;
}

}  // namespace terway::bench
