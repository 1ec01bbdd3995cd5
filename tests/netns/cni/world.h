// SPDX-License-Identifier: Apache-2.0
// A place for the CNI tests: a network, mount and IPC of their own, and programs that are run in
// it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace terway::test {

// Moves the calling thread (doctest's) into a network and a mount namespace of its own, once, with
// an empty /run and an empty /var/lib/cni, so that nothing of the tests is left on the machine.
// False, with a SKIP line, where that is not allowed.
bool can_run(const char* test);

struct Run {
  int status = -1;  // exit status; 128 + signal
  std::string out;
  std::string err;
  double millis = 0;
};

using Variables = std::map<std::string, std::string>;

// Runs a program to its end.
Run run(const std::vector<std::string>& command, const Variables& environment = {},
        const std::string& input = "");
// Runs a command line that has to succeed, and returns what it printed.
std::string must_run(const std::string& shell);

// The plugin under test with CNI_* set for a pod; `more` overrides.
Run run_plugin(const std::string& verb, const std::string& config, const Variables& more = {});

// A directory that is gone with the test.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A named network namespace, gone with the test.
class PodNetns {
 public:
  explicit PodNetns(std::string name);
  ~PodNetns();
  PodNetns(const PodNetns&) = delete;
  PodNetns& operator=(const PodNetns&) = delete;
  const std::string& name() const { return name_; }
  std::string path() const { return "/run/netns/" + name_; }

 private:
  std::string name_;
};

}  // namespace terway::test
