// SPDX-License-Identifier: Apache-2.0
// How long does each program take for a packet, by what becomes of it?
// bench_programs [--json] [--check FILE]
// --check compares with a record (bench/programs/last.json, the output of --json) and fails when
// something became dearer or larger. Times themselves are not compared.
#include <fmt/core.h>
#include <unistd.h>

#include <string_view>

#include "answer.h"
#include "cases.h"

namespace terway::bench {

namespace {

void next_port(Input& input, std::size_t port_at) {
  if (++input.frame[port_at + 1] == 0) ++input.frame[port_at];
}

Result<double> time(const Case& one, int empty, double empty_ns) {
  if (one.opener_fd >= 0) TRY(verdict_of(one.opener_fd, one.opener));
  const std::uint32_t verdict = TRY(verdict_of(one.fd, one.input));
  if (verdict != one.verdict) {
    return Error(Error::Kind::Internal,
                 fmt::format("the verdict is {}, expected is {}", static_cast<int>(verdict),
                             static_cast<int>(one.verdict)));
  }
  if (one.port_at == 0) {
    const double ns = TRY(time_repeated(one.fd, one.input));
    return one.marks ? 2 * ns - empty_ns : ns;
  }
  const auto next = [&](Input& input) { next_port(input, one.port_at); };
  return empty_ns + TRY(time_once(one.fd, empty, one.input, next));
}

Result<Answer> run() {
  const Programs programs = TRY(Programs::load());
  Answer answer;
  answer.empty_ns = TRY(time_repeated(programs.empty(), programs.cases().front().input));
  for (const auto& [name, fd] : programs.all()) {
    ProgramCost cost{name, TRY(size_of(fd)), {}};
    for (const Case& one : programs.cases()) {
      if (one.program != name) continue;
      TRY(programs.forget_flows());
      const double ns =
          TRY_WITHIN(one.program + ", " + one.path, time(one, programs.empty(), answer.empty_ns));
      cost.costs.push_back({one.path, ns, ns / answer.empty_ns});
    }
    answer.programs.push_back(std::move(cost));
  }
  return answer;
}

int check(const Answer& answer, const char* recorded) {
  const auto worse = answer.worse_than(recorded);
  if (!worse.ok()) {
    fmt::print(stderr, "bench_programs: {}\n", worse.error().to_string());
    return 1;
  }
  for (const std::string& line : *worse) fmt::print(stderr, "bench_programs: {}\n", line);
  if (worse->empty()) return 0;
  fmt::print(stderr,
             "bench_programs: if this is meant, record it: ./dev bench programs --json >{}\n",
             recorded);
  return 1;
}

}  // namespace

}  // namespace terway::bench

int main(int argc, char** argv) {
  using namespace terway::bench;
  bool json = false;
  const char* recorded = nullptr;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      json = true;
    } else if (argument == "--check" && i + 1 < argc) {
      recorded = argv[++i];
    } else {
      fmt::print(stderr, "usage: bench_programs [--json] [--check FILE]\n");
      return 2;
    }
  }
  const auto answer = run();
  if (!answer.ok()) {
    fmt::print(stderr, "bench_programs: {}\n", answer.error().to_string());
    return 1;
  }
  fmt::print("{}\n", json ? answer->json() : answer->table(terway::colour_for(STDOUT_FILENO)));
  return recorded != nullptr ? check(*answer, recorded) : 0;
}
