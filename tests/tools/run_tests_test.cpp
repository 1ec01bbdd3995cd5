// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/tools/tool.h"

namespace terway::tools {
namespace {

// What a doctest binary prints, by a shell script in its place.
struct Binaries : Tree {
  Binaries() { run("cp -r " TOOLS_FOLDER " " + path().string() + "/tools"); }
  void add(const std::string& name, const std::string& script) const {
    write_program("build/release/tests/unit/" + name, "#!/bin/sh\n" + script);
  }
  Outcome run_all(const std::string& environment = "CI= TERWAY_CI=") const {
    return run("cd " + path().string() + " && " + environment +
               " tools/run-tests build/release/tests/unit/*");
  }
};

std::string summary(int passed, int failed, int skipped) {
  return "echo '[doctest] test cases: " + std::to_string(passed + failed) + " | " +
         std::to_string(passed) + " passed | " + std::to_string(failed) + " failed | " +
         std::to_string(skipped) + " skipped'\n";
}

TEST_CASE("counts are added up, and the last line has them") {
  const Binaries binaries;
  binaries.add("one_test", summary(3, 0, 0));
  binaries.add("two_test", summary(4, 0, 0));
  const Outcome outcome = binaries.run_all();
  CHECK(outcome.status == 0);
  CHECK_MESSAGE(outcome.output.ends_with("\n7 passed, 0 failed, 0 skipped\n"), outcome.output);
}

TEST_CASE("a failed case fails the run and shows the output") {
  const Binaries binaries;
  binaries.add("one_test", "echo 'here is why'\n" + summary(3, 1, 0) + "exit 1\n");
  const Outcome outcome = binaries.run_all();
  CHECK(outcome.status == 1);
  CHECK(outcome.says("here is why"));
  CHECK(outcome.output.ends_with("\n3 passed, 1 failed, 0 skipped\n"));
}

TEST_CASE("a crash before the summary is a failure") {
  const Binaries binaries;
  binaries.add("one_test", "kill -SEGV $$\n");
  const Outcome outcome = binaries.run_all();
  CHECK(outcome.status == 1);
  CHECK_MESSAGE(outcome.output.ends_with("\n0 passed, 1 failed, 0 skipped\n"), outcome.output);
}

TEST_CASE("a leak that is reported after a green summary is a failure") {
  const Binaries binaries;
  binaries.add("one_test", summary(3, 0, 0) + "exit 23\n");
  const Outcome outcome = binaries.run_all();
  CHECK(outcome.status == 1);
  CHECK(outcome.says("ended with status 23 after its summary"));
  CHECK(outcome.output.ends_with("\n3 passed, 1 failed, 0 skipped\n"));
}

TEST_CASE("a binary that hangs is ended and is a failure") {
  const Binaries binaries;
  binaries.add("one_test", "exec sleep 600\n");
  const Outcome outcome = binaries.run_all("TERWAY_TEST_TIMEOUT=1");
  CHECK(outcome.status == 1);
  CHECK(outcome.says("did not end within 1 s"));
}

TEST_CASE("a skipped case is told with its reason, and fails the run in CI only") {
  const Binaries binaries;
  binaries.add("one_test", "echo 'SKIP: needs IPVLAN: this kernel has none'\n" + summary(3, 0, 0));
  const Outcome outcome = binaries.run_all();
  CHECK(outcome.status == 0);
  CHECK(outcome.says("needs IPVLAN: this kernel has none"));
  CHECK(outcome.output.ends_with("\n2 passed, 0 failed, 1 skipped\n"));
  CHECK(binaries.run_all("CI=1").status == 1);
}

// Guests by a script in the place of tools/vm/run: `tests KERNEL FOLDER BINARY…`.
struct Guests : Binaries {
  explicit Guests(const std::string& script) {
    add("one_test", summary(1, 0, 0));
    add("two_test", summary(1, 0, 0));
    write_program("tools/vm/run", "#!/bin/sh\nmkdir -p \"$3\"; cd \"$3\"\n" + script);
  }
  Outcome run_in(const std::string& kernels) const {
    return run("cd " + path().string() +
               " && CI= TERWAY_CI= tools/run-tests build/release/tests/unit/one_test@" + kernels +
               " build/release/tests/unit/two_test@" + kernels);
  }
};

TEST_CASE("binaries in guests are reported and counted like any other, by the guest's kernel") {
  const Guests guests("for name in one_test two_test; do\n  echo 1.0 >$name.start\n  " +
                      summary(2, 0, 0).insert(summary(2, 0, 0).size() - 1, " >$name.log") +
                      "  echo '0 3.5' >$name.end\ndone\n");
  const Outcome outcome = guests.run_in("6.1");
  CHECK(outcome.status == 0);
  CHECK_MESSAGE(outcome.says("release/vm-6.1/two_test"), outcome.output);
  CHECK(outcome.says("2.5 s"));
  CHECK(outcome.output.ends_with("\n4 passed, 0 failed, 0 skipped\n"));
}

TEST_CASE("a guest that dies is a failure of the test that it ran") {
  const Guests guests("for name in one_test two_test; do\n  echo 1.0 >$name.start\n  " +
                      summary(1, 0, 0).insert(summary(1, 0, 0).size() - 1, " >$name.log") +
                      "  echo '0 2.0' >$name.end\ndone\n"
                      "echo 'Kernel panic' >two_test.log\n"
                      "echo '255 2.0 was running when the guest ended' >two_test.end\n");
  const Outcome outcome = guests.run_in("5.10");
  CHECK(outcome.status == 1);
  CHECK(outcome.says("Kernel panic"));
  CHECK(outcome.says("two_test was running when the guest ended"));
  CHECK(outcome.output.ends_with("\n1 passed, 1 failed, 0 skipped\n"));
}

TEST_CASE("a guest that cannot be had fails each of its tests, with the reason") {
  const Guests guests("echo 'no kernel' >&2; exit 1\n");
  const Outcome outcome = guests.run_in("6.12");
  CHECK(outcome.status == 1);
  CHECK(outcome.says("no kernel"));
  CHECK(outcome.output.ends_with("\n0 passed, 2 failed, 0 skipped\n"));
}

TEST_CASE("a run of no test is a failure") {
  const Binaries binaries;
  binaries.add("one_test", summary(0, 0, 0));
  CHECK(binaries.run_all().status == 1);
}

}  // namespace
}  // namespace terway::tools
