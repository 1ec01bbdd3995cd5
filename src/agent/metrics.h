// SPDX-License-Identifier: Apache-2.0
// What the daemon counts, in Prometheus' terms. Names: docs/operating.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "datapath/datapath.h"

namespace terway::agent {

// For any thread.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  void rpc(std::string_view verb, bool failed, Duration took);
  void openapi(std::string_view action, std::optional<Error::Kind> failure, Duration took);
  void metadata(std::string_view path, std::optional<Error::Kind> failure, Duration took);
  // "wait" for addresses, "journal", "wire" in the kernel, "total".
  void add_phase(std::string_view phase, Duration took);
  void journal_commit(Duration took);
  void journal_failure();
  void drift(const datapath::Drift& drift);
  void notice(std::string_view kind);

  struct Pool {
    std::string_view family;  // "ipv4", "ipv6"
    std::uint32_t total = 0, idle = 0, held = 0, cooling = 0, disposed = 0, waiting = 0;
    std::uint32_t capacity = 0;
  };
  void pool(const Pool& pool);
  void enis(std::uint32_t ready, std::uint32_t other);
  void attachments(std::uint32_t count);
  void ready(bool ready);

  // The text exposition format, with what the kernel counts.
  std::string render(const datapath::FastPathStatus& status,
                     const datapath::Inspection& inspection) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terway::agent
