// SPDX-License-Identifier: Apache-2.0
// What the journal keeps for IPAM: one record an ENI, one an address, one an operation of the cloud
// that was begun. IPAM hands out changed records; whoever owns it writes them in one transaction
// before acting. They lie here because decisions and gateways both speak them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "model/eni.h"
#include "model/pod.h"

namespace terway::model {

// The life of an ENI. Every state has a deadline and a way out (docs/formats/journal.md draws it).
enum class EniState : std::uint8_t {
  Creating,   // CreateNetworkInterface begun, id not known
  Created,    // exists, Available
  Attaching,  // AttachNetworkInterface begun
  Attached,   // the cloud says InUse
  NicSeen,    // the kernel has its NIC
  Ready,      // link up, gateway answers: carries pods
  Draining,   // gets no new pods; leaves when the last is gone
  Detaching,
  Deleting,
  Gone,  // to be forgotten
};
std::string_view to_string(EniState state);
std::optional<EniState> eni_state_from(std::string_view text);

enum class AddressState : std::uint8_t {
  Idle,       // confirmed by the cloud, owned by nobody
  Held,       // owned by a pod
  Cooling,    // freed; not to be reused before `until`
  Releasing,  // UnassignPrivateIpAddresses begun
  Suspect,    // held here, but the cloud does not list it: neither released nor given away
};
std::string_view to_string(AddressState state);
std::optional<AddressState> address_state_from(std::string_view text);

struct EniRecord {
  std::string key;     // ours, from birth: also the client token of its creation
  std::string eni_id;  // the cloud's, once known
  EniState state = EniState::Creating;
  net::Mac mac;
  std::string vswitch_id;
  net::IpAddress primary_address;
  Instant since{};  // of this state
  std::uint32_t failures = 0;
  std::string last_error;

  bool operator==(const EniRecord&) const = default;
};

// The unit of allocation. `unit` is a full-length prefix for a single address; a /28 gives its
// addresses records of their own with `unit` the /28.
struct AddressRecord {
  net::IpAddress address;
  net::Prefix unit;
  std::string eni_key;
  AddressState state = AddressState::Idle;
  AttachmentKey owner;  // Held and Suspect
  Pod pod;              // Held, Suspect; kept while Cooling for stickiness
  bool sticky = false;
  Instant since{};
  Instant until{};  // Cooling: end; with `sticky`: reserved for `pod` until then

  bool operator==(const AddressRecord&) const = default;
};

enum class OperationKind : std::uint8_t {
  CreateEni,
  AttachEni,
  DetachEni,
  DeleteEni,
  AssignIpv4,
  UnassignIpv4,
  AssignIpv6,
  UnassignIpv6,
  // One ENI, to learn how an operation with a lost reply ended, or whether it is InUse. Without an
  // `eni_id` it is found by the tag of its creation (`client_token`); NotFound if there is none.
  DescribeEni,
  DescribeVSwitch,  // how many addresses are left
};
std::string_view to_string(OperationKind kind);
std::optional<OperationKind> operation_kind_from(std::string_view text);

// A call of the cloud's API, complete: a worker needs nothing else. Begun only after the journal
// has it, but for the Describe ones: they change nothing and are not journalled.
struct Operation {
  std::uint64_t id = 0;
  OperationKind kind = OperationKind::DescribeEni;
  std::string
      client_token;  // Create and Assign: survives a restart, so that a retry cannot do it twice
  std::string eni_key;
  std::string eni_id;
  std::string vswitch_id;
  std::uint32_t ipv4_count = 0;  // Create: primary included
  std::uint32_t ipv6_count = 0;
  std::vector<net::IpAddress> addresses;  // Unassign

  bool operator==(const Operation&) const = default;
};

// Records to write (or to erase, where the key alone is given), in one transaction.
struct Changes {
  std::vector<EniRecord> enis;
  std::vector<std::string> erased_enis;
  std::vector<AddressRecord> addresses;
  std::vector<net::IpAddress> erased_addresses;
  std::vector<Operation> begun;
  std::vector<std::uint64_t> ended;

  bool empty() const {
    return enis.empty() && erased_enis.empty() && addresses.empty() && erased_addresses.empty() &&
           begun.empty() && ended.empty();
  }
};

// All that the journal knew at start.
struct Snapshot {
  std::vector<EniRecord> enis;
  std::vector<AddressRecord> addresses;
  std::vector<Operation> operations;
};

}  // namespace terway::model
