// SPDX-License-Identifier: Apache-2.0
// The guard on a kernel that may not be able to.
#include <doctest/doctest.h>

#include "ebpf/guard.h"
#include "tests/netns/guard/bpf_folder.h"
#include "tests/netns/namespace.h"

namespace terway::ebpf {
namespace {

TEST_CASE("the guard is there, or says why it cannot be and leaves nothing") {
  if (!test::can_run("guard_absent_test")) return;
  const test::BpfFolder folder;
  const auto guard = Guard::open(folder.path() / "guard");
  if (guard.ok()) {
    CHECK(std::filesystem::exists(folder.path() / "guard"));
    return;
  }
  MESSAGE(guard.error().to_string());
  CHECK(guard.is(Error::Kind::Unavailable));
  CHECK(guard.error().message().size() > 20);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "guard"));
}

}  // namespace
}  // namespace terway::ebpf
