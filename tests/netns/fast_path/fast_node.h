// SPDX-License-Identifier: Apache-2.0
// The node of tests/netns/datapath with programs, pinned in a BPF file system of the test's own.
#pragma once

#include <filesystem>

#include "datapath/datapath.h"
#include "ebpf/map.h"
#include "tests/netns/datapath/node.h"

namespace terway::test {

// False, with a line that says why, where programs cannot be loaded.
bool can_load(const char* test);

class Bpffs {
 public:
  Bpffs();
  ~Bpffs();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct FastNode {
  Bpffs bpffs;
  Node node;
  std::unique_ptr<datapath::Datapath> datapath = open();
  datapath::EniNic nic1 = node.bring_up(*datapath, "eni-1");
  datapath::EniNic nic2 = node.bring_up(*datapath, "eni-2");
  std::vector<std::unique_ptr<Pod>> pods;

  FastNode();
  datapath::Settings settings() const;
  // As after a restart of the daemon.
  std::unique_ptr<datapath::Datapath> open() const;
  Pod& add_pod(unsigned n, const std::string& eni_id);
  datapath::Desired desired() const;
  datapath::Drift resync();
  // Waits for an event, then puts right; what that changed.
  datapath::Drift heal();

  // Packets that the node's own stack forwarded, both families.
  long forwarded() const;
  // A pinned map, by its file's name.
  ebpf::RawMap map(const std::string& name) const;
  // Drops by reason (enum drop_reason) and direction, of all CPUs.
  std::uint64_t drops(unsigned reason, unsigned direction) const;
};

}  // namespace terway::test
