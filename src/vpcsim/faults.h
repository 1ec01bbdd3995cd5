// SPDX-License-Identifier: Apache-2.0
// Faults on demand: what goes wrong, on which occasions, how often. The world knows nothing of
// them: whoever answers asks here first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "net/address.h"

namespace terway::vpcsim {

enum class FaultKind : std::uint8_t {
  Throttle,                // code Throttling.User
  Error,                   // `status` and `code`, before anything is done
  Delay,                   // `delay` before anything is done
  LostReply,               // everything is done, then the connection is closed (after `delay`)
  Partial,                 // at most `limit` addresses of those asked for are assigned
  VSwitchExhausted,        // the vSwitch has no free address
  AttachStuck,             // Attaching until the fault is cleared
  AttachFails,             // Attaching, then Available again
  NicNever,                // InUse, but the NIC does not appear until the fault is cleared
  NicLate,                 // the NIC appears `delay` later
  MetadataError,           // `status` instead of an answer
  MetadataStale,           // as the world was `delay` ago, at least
  MetadataMissingAddress,  // `address` (empty: the last secondary one of an ENI) is not told of
  MetadataExtraAddress,    // `address` is told of, though it is not assigned
  MetadataMissingEni,      // the ENI (empty: every secondary one) is not told of
  MetadataExtraEni,        // an ENI is told of that is not attached
};
std::string_view to_string(FaultKind kind);  // "lost_reply"
std::optional<FaultKind> fault_kind_from(std::string_view text);
std::vector<FaultKind> all_fault_kinds();

struct Fault {
  std::uint64_t id = 0;
  FaultKind kind = FaultKind::Error;
  // Matchers; empty matches everything.
  std::string action;
  std::string instance_id;  // the one acted upon, or the one whose credentials are used
  std::string eni_id;
  std::string vswitch_id;
  std::optional<std::uint64_t> count;  // strikes left; unset: without end
  double probability = 1;
  // Parameters of the kinds above.
  Duration delay{};
  int status = 0;
  std::string code;
  std::string message;
  std::uint32_t limit = 0;
  std::optional<net::IpAddress> address;
  std::uint64_t struck = 0;
};

// What a fault is matched against.
struct Occasion {
  std::string_view action;
  std::vector<std::string_view> instance_ids;
  std::string_view eni_id;
  std::string_view vswitch_id;
};

// For one thread.
class Faults {
 public:
  explicit Faults(Random random) : random_(std::move(random)) {}

  // Its number. Invalid: a parameter that the kind needs is missing, or a value that makes no
  // sense.
  Result<std::uint64_t> add(Fault fault);
  // False: unknown.
  bool clear(std::uint64_t id);
  std::vector<std::uint64_t> clear_all();
  const std::vector<Fault>& list() const { return faults_; }

  // The first fault of that kind that matches and strikes now, with its count taken down.
  std::optional<Fault> strike(FaultKind kind, const Occasion& occasion);
  // Whether one would match, without striking.
  bool threatens(FaultKind kind, const Occasion& occasion) const;

 private:
  Random random_;
  std::vector<Fault> faults_;
  std::uint64_t last_id_ = 0;
};

}  // namespace terway::vpcsim
