// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <vector>

namespace terway::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSamples = 3000;
constexpr int kCalls = 20'000;

struct Run {
  double ns = 0;
  std::uint32_t verdict = 0;
};

Result<Run> run(int program, const Input& input, int repeat) {
  __sk_buff context{};
  context.mark = input.mark;
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = input.frame.data();
  options.data_size_in = static_cast<std::uint32_t>(input.frame.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof(context);
  options.repeat = repeat;
  const auto start = Clock::now();
  const int failed = ::bpf_prog_test_run_opts(program, &options);
  const std::chrono::duration<double, std::nano> taken = Clock::now() - start;
  if (failed != 0) return Error::from_errno(-failed, "run a program");
  return Run{taken.count() / repeat, options.retval};
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Result<std::uint32_t> verdict_of(int program, const Input& input) {
  return TRY(run(program, input, 1)).verdict;
}

Result<double> time_repeated(int program, const Input& input) {
  double least = std::numeric_limits<double>::max();
  for (int sample = 0; sample < kSamples; ++sample) {
    least = std::min(least, TRY(run(program, input, kRepeat)).ns);
  }
  return least;
}

Result<double> time_once(int program, int empty, Input input,
                         const std::function<void(Input& input)>& next) {
  std::vector<double> with, without;
  for (int call = 0; call < kCalls; ++call) {
    next(input);
    with.push_back(TRY(run(program, input, 1)).ns);
    without.push_back(TRY(run(empty, input, 1)).ns);
  }
  return median(with) - median(without);
}

Result<Size> size_of(int program) {
  bpf_prog_info info{};
  std::uint32_t length = sizeof(info);
  if (::bpf_obj_get_info_by_fd(program, &info, &length) != 0) {
    return Error::from_errno(errno, "ask about a program");
  }
  return Size{info.xlated_prog_len, info.jited_prog_len, info.verified_insns};
}

}  // namespace terway::bench
