// SPDX-License-Identifier: Apache-2.0
// The packets that are measured: a program, what becomes of the packet there, and the packets that
// must have come before it.
#pragma once

#include <linux/bpf.h>

#include <memory>
#include <string>
#include <vector>

#include "measure.h"

struct bpf_program;   // NOLINT(readability-identifier-naming): libbpf's
struct datapath_bpf;  // NOLINT(readability-identifier-naming): of the skeleton
struct floor_bpf;     // NOLINT(readability-identifier-naming)

namespace terway::bench {

struct Case {
  std::string program;
  std::string path;  // "first", "established", …
  int fd = -1;
  Input input;
  std::uint32_t verdict = 0;  // TC_ACT_*: what the case claims
  // Its source port, at this offset, is another one each time: each packet is the first of its
  // flow.
  std::size_t port_at = 0;
  // The program marks what it sends on as judged, and lets a marked one pass as an empty program
  // would: of repeated runs every second one.
  bool marks = false;
  // The flow's first packet, and the program that it comes by; -1: none is needed.
  int opener_fd = -1;
  Input opener{};
};

// The programs with a pod of each mode among their endpoints.
class Programs {
 public:
  static Result<Programs> load();
  Programs(Programs&&) noexcept;
  Programs& operator=(Programs&&) = delete;
  ~Programs();

  // A call of any program costs this much; nothing is in it.
  int empty() const;
  struct Named {
    std::string name;
    int fd;
  };
  std::vector<Named> all() const;
  std::vector<Case> cases() const;
  // Before each case: a flow remembers which way it went.
  Result<> forget_flows() const;

 private:
  Programs();
  Result<> write_maps();
  std::unique_ptr<datapath_bpf, void (*)(datapath_bpf*)> datapath_;
  std::unique_ptr<floor_bpf, void (*)(floor_bpf*)> floor_;
};

}  // namespace terway::bench
