// SPDX-License-Identifier: Apache-2.0
// What does a packet's way between two pods cost, beside the bare way between two NICs?
// bench_datapath [--json] [--rounds N] [--paths a,b]
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <random>
#include <sstream>
#include <string_view>

#include "answer.h"
#include "path.h"
#include "scratch.h"

namespace terway::bench {

namespace {

struct Options {
  bool json = false;
  unsigned rounds = 15;  // a quiet moment for each path, in about six minutes
  std::vector<std::string> paths = path_names();
};

void tell(const std::string& what) {
  static const auto kStart = std::chrono::steady_clock::now();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - kStart;
  fmt::print(stderr, "[{:5.1f} s] {}\n", passed.count(), what);
}

Result<std::uint64_t> forwarded(const Path& path) {
  std::uint64_t sum = 0;
  for (const Node& node : path.nodes.node) sum += TRY(forwarded(node.ns));
  return sum;
}

// The packets counted by the IP stacks say whether the path is what it claims; a figure of another
// path under its name would be worse than none.
Result<> verify(const Path& path, double forwards) {
  if (std::abs(forwards - path.forwards) <= 0.02 * path.forwards + 0.01) return Ok{};
  return Error(
      Error::Kind::Internal,
      fmt::format("the nodes forwarded {:.2f} packets for each round trip; {} are expected",
                  forwards, path.forwards));
}

Result<Figures> measure(const Path& path, const Pace& pace) {
  Figures figures;
  const std::uint64_t before = TRY(forwarded(path));
  const Latency rr = TRY_WITHIN("round trips", request_response(path.ends, pace));
  const std::uint64_t after = TRY(forwarded(path));
  figures.rr_us = rr.p50_us;
  figures.forwarded = static_cast<double>(after - before) / static_cast<double>(rr.count);
  TRY(verify(path, figures.forwarded));
  figures.crr_us = TRY_WITHIN("connections", connect_request_response(path.ends, pace)).p50_us;
  figures.stream_gbps = TRY_WITHIN("stream", stream(path.ends, pace));
  return figures;
}

Result<Answer> run(const Options& options) {
  Answer answer;
  answer.rounds = options.rounds;
  // The last one: the first does more of the machine's housekeeping.
  answer.cpu = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1;
  tell("attaching");
  answer.attaching = TRY_WITHIN("attaching", measure_attaching());
  std::vector<Path> paths;
  tell("host");
  paths.push_back(TRY_WITHIN("host", make_host()));
  for (const std::string& name : options.paths) {
    tell(name);
    paths.push_back(TRY_WITHIN(name, make_path(name)));
  }
  std::vector<Figures> best(paths.size());
  std::vector<std::size_t> order(paths.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937 random(1);  // NOLINT(cert-msc*): any order will do
  for (unsigned round = 1; round <= options.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
      best[i].keep_best(TRY_WITHIN(paths[i].name, measure(paths[i], {answer.cpu})));
    }
    tell(fmt::format("round {} of {}", round, options.rounds));
  }
  answer.host = best[0];
  for (std::size_t i = 1; i < paths.size(); ++i) {
    const bool floor = paths[i].name.ends_with("floor");
    answer.rows.push_back({paths[i].name, floor, best[i]});
  }
  return answer;
}

[[noreturn]] void usage(const std::string& what) {
  std::string names;
  for (const std::string& name : path_names()) names += " " + name;
  fmt::print(stderr,
             "bench_datapath: {}\nusage: bench_datapath [--json] [--rounds N] [--paths a,b]\n"
             "paths:{}\n",
             what, names);
  std::exit(2);  // NOLINT(concurrency-mt-unsafe): one thread so far
}

std::vector<std::string> paths_of(const std::string& list) {
  std::vector<std::string> paths;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) {
    const auto& known = path_names();
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      usage("there is no path " + word);
    }
    paths.push_back(word);
  }
  return paths;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--rounds" && i + 1 < argc) {
      options.rounds = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
      if (options.rounds == 0) usage("--rounds: a number from 1 is needed");
    } else if (argument == "--paths" && i + 1 < argc) {
      options.paths = paths_of(argv[++i]);
    } else {
      usage(fmt::format("unknown argument {}", argument));
    }
  }
  return options;
}

}  // namespace

}  // namespace terway::bench

int main(int argc, char** argv) {
  using namespace terway::bench;
  const Options options = parse(argc, argv);
  const auto ready = make_scratch();
  const auto answer = ready.ok() ? run(options) : ready.error();
  if (!answer.ok()) {
    fmt::print(stderr, "bench_datapath: {}\n", answer.error().to_string());
    return 1;
  }
  fmt::print("{}\n",
             options.json ? answer->json() : answer->table(terway::colour_for(STDOUT_FILENO)));
  return 0;
}
