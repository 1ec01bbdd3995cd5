// SPDX-License-Identifier: Apache-2.0
#include "ebpf/features.h"

#include <doctest/doctest.h>

namespace terway::ebpf {
namespace {

Features with(std::string kernel, std::vector<Feature> all) {
  return {std::move(kernel), std::move(all)};
}

TEST_CASE("a kernel's version is read from its release") {
  CHECK(*version_of("5.10.0-30-amd64") == std::pair(5U, 10U));
  CHECK(*version_of("6.12") == std::pair(6U, 12U));
  CHECK_FALSE(version_of("5"));
  CHECK_FALSE(version_of("mainline"));
  CHECK_FALSE(version_of(""));
}

TEST_CASE("kernels before 5.10 are refused, with the reason") {
  CHECK(with("4.19.0-26-amd64", {}).refusal()->find("4.19.0-26-amd64 is older than 5.10") !=
        std::string::npos);
  CHECK(with("5.9.16", {}).refusal());
  CHECK(with("unheard of", {}).refusal());
  CHECK_FALSE(with("5.10.0", {}).refusal());
  CHECK_FALSE(with("6.1.0", {}).refusal());
}

TEST_CASE("what is required and not there is named; what is merely useful is not") {
  const auto masked = with("6.1.0", {{"tc_programs", true, true, ""},
                                     {"redirect_peer", false, true, ""},
                                     {"ring_buffer", false, true, ""},
                                     {"bpf_lsm", false, false, ""}});
  CHECK(*masked.refusal() == "kernel 6.1.0 lacks redirect_peer, ring_buffer");
}

}  // namespace
}  // namespace terway::ebpf
