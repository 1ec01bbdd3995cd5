// SPDX-License-Identifier: Apache-2.0
// How exactly do bandwidth limits hold, and what do they cost in waiting?
// bench_bandwidth [--json] [--seconds N] [--rates 10M,1G]
#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <vector>

#include "../datapath/path.h"
#include "../datapath/scratch.h"
#include "base/table.h"
#include "datapath/shape.h"
#include "flow.h"
#include "model/bandwidth.h"

namespace terway::bench {

namespace {

struct Options {
  bool json = false;
  unsigned seconds = 5;
  std::vector<std::uint64_t> rates = {1'000'000, 10'000'000, 100'000'000, 1'000'000'000,
                                      5'000'000'000};
};

struct Row {
  std::string path, direction, protocol;
  std::uint64_t rate = 0;
  double ratio = 0;  // L2 bytes that arrived over those that the rate allows
  double rtt_ms = 0;
};

struct Burst {
  std::string path, direction;
  std::uint64_t rate = 0;
  double bytes = 0;    // more than the rate allows, from a standing start
  double allowed = 0;  // the bucket
};

struct Answer {
  std::vector<Row> rows;
  std::vector<Burst> bursts;
};

constexpr double kTolerance = 0.02;

Result<> limit(const Path& path, std::size_t node, const model::Bandwidth& bandwidth) {
  const auto inside = TRY(path.nodes.node[node].ns.enter());
  TRY(path.datapaths[node]->set_bandwidth({fmt::format("{:064x}", 1), "eth0"}, bandwidth));
  return Ok{};
}

// What the first node's pod may send, or the second's may receive.
Result<> limit(const Path& path, bool egress, std::uint64_t rate) {
  TRY(limit(path, 0, {egress ? rate : 0, 0}));
  return limit(path, 1, {0, egress ? 0 : rate});
}

Result<> measure(const Path& path, const Options& options, Answer& answer) {
  const Between between{path.ends.client, path.ends.server, path.ends.address};
  for (const bool egress : {true, false}) {
    const std::string direction = egress ? "egress" : "ingress";
    for (const std::uint64_t rate : options.rates) {
      TRY(limit(path, egress, rate));
      const double bytes = static_cast<double>(rate) / 8;
      const double excess = TRY(measure_burst(between, bytes, std::chrono::milliseconds(500)));
      answer.bursts.push_back({path.name, direction, rate, excess,
                               static_cast<double>(datapath::shape_of(rate, 1500).burst)});
      for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp}) {
        const Arrived arrived =
            TRY(measure_flow(between, protocol, 1.5 * bytes, std::chrono::seconds(1),
                             std::chrono::seconds(options.seconds)));
        answer.rows.push_back({path.name, direction, protocol == Protocol::Tcp ? "tcp" : "udp",
                               rate, arrived.bytes_per_second / bytes, arrived.rtt_ms});
        fmt::print(stderr, "{} {} {} {}: {:.4f}\n", path.name, direction,
                   answer.rows.back().protocol, model::rate_text(rate), answer.rows.back().ratio);
      }
    }
  }
  return Ok{};
}

std::string as_json(const Answer& answer, const Options& options) {
  nlohmann::ordered_json json;
  json["seconds"] = options.seconds;
  json["rows"] = nlohmann::ordered_json::array();
  for (const Row& row : answer.rows) {
    json["rows"].push_back({{"path", row.path},
                            {"direction", row.direction},
                            {"protocol", row.protocol},
                            {"rate", row.rate},
                            {"ratio", std::round(row.ratio * 1e4) / 1e4},
                            {"rtt_ms", std::round(row.rtt_ms * 1e2) / 1e2}});
  }
  json["start"] = nlohmann::ordered_json::array();
  for (const Burst& burst : answer.bursts) {
    json["start"].push_back({{"path", burst.path},
                             {"direction", burst.direction},
                             {"rate", burst.rate},
                             {"burst_bytes", std::round(burst.bytes)},
                             {"bucket_bytes", burst.allowed}});
  }
  return json.dump(1);
}

std::string as_text(const Answer& answer) {
  const Colour colour = Colour::Off;
  Table rows({{"PATH"}, {"DIRECTION"}, {"PROTOCOL"}, {"RATE"}, {"OF IT"}, {"RTT ms"}});
  for (const Row& row : answer.rows) {
    const bool held = std::abs(row.ratio - 1) <= kTolerance;
    rows.add({{row.path},
              {row.direction},
              {row.protocol},
              {model::rate_text(row.rate)},
              {fmt::format("{:.2f} %{}", row.ratio * 100, held ? "" : " !")},
              {row.rtt_ms == 0 ? "" : fmt::format("{:.1f}", row.rtt_ms)}});
  }
  Table bursts({{"PATH"}, {"DIRECTION"}, {"RATE"}, {"BURST AT THE START"}, {"BUCKET"}});
  for (const Burst& burst : answer.bursts) {
    bursts.add({{burst.path},
                {burst.direction},
                {model::rate_text(burst.rate)},
                {fmt::format("{:.0f} B", burst.bytes)},
                {fmt::format("{:.0f} B", burst.allowed)}});
  }
  return rows.to_string(colour) + "\n" + bursts.to_string(colour);
}

Result<Answer> run(const Options& options) {
  TRY(make_scratch());
  Answer answer;
  for (const auto& [name, wiring] :
       {std::pair{"veth", Wiring::FastPath}, std::pair{"veth-stack", Wiring::Stack}}) {
    const Path path = TRY(make_terway(name, 1, wiring));
    TRY_WITHIN(name, measure(path, options, answer));
  }
  return answer;
}

std::optional<Options> options_from(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--json") {
      options.json = true;
    } else if (word == "--seconds" && i + 1 < argc) {
      const std::string_view seconds = argv[++i];
      const auto [end, fault] =
          std::from_chars(seconds.data(), seconds.data() + seconds.size(), options.seconds);
      if (fault != std::errc() || end != seconds.data() + seconds.size()) return std::nullopt;
    } else if (word == "--rates" && i + 1 < argc) {
      options.rates.clear();
      std::istringstream list(argv[++i]);
      for (std::string one; std::getline(list, one, ',');) {
        const auto rate = model::parse_rate(one);
        if (!rate.ok() || *rate == 0) return std::nullopt;
        options.rates.push_back(*rate);
      }
    } else {
      return std::nullopt;
    }
  }
  if (options.seconds == 0 || options.rates.empty()) return std::nullopt;
  return options;
}

}  // namespace

}  // namespace terway::bench

int main(int argc, char** argv) {
  using namespace terway::bench;
  const auto options = options_from(argc, argv);
  if (!options) {
    fmt::print(stderr, "bench_bandwidth [--json] [--seconds N] [--rates 10M,1G]\n");
    return 2;
  }
  const auto answer = run(*options);
  if (!answer.ok()) {
    fmt::print(stderr, "bench_bandwidth: {}\n", answer.error().to_string());
    return 1;
  }
  fmt::print("{}\n", options->json ? as_json(*answer, *options) : as_text(*answer));
  return 0;
}
