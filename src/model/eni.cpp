// SPDX-License-Identifier: Apache-2.0
#include "model/eni.h"

namespace terway::model {

std::string_view to_string(EniStatus status) {
  switch (status) {
    case EniStatus::Available:
      return "Available";
    case EniStatus::Attaching:
      return "Attaching";
    case EniStatus::InUse:
      return "InUse";
    case EniStatus::Detaching:
      return "Detaching";
    case EniStatus::Deleting:
      return "Deleting";
    case EniStatus::Unknown:
      return "Unknown";
  }
  return "Unknown";
}

EniStatus eni_status_from(std::string_view text) {
  for (const EniStatus status : {EniStatus::Available, EniStatus::Attaching, EniStatus::InUse,
                                 EniStatus::Detaching, EniStatus::Deleting}) {
    if (to_string(status) == text) return status;
  }
  return EniStatus::Unknown;
}

std::string_view to_string(EniType type) {
  switch (type) {
    case EniType::Primary:
      return "Primary";
    case EniType::Secondary:
      return "Secondary";
    case EniType::Trunk:
      return "Trunk";
    case EniType::Member:
      return "Member";
  }
  return "Secondary";
}

EniType eni_type_from(std::string_view text) {
  for (const EniType type : {EniType::Primary, EniType::Trunk, EniType::Member}) {
    if (to_string(type) == text) return type;
  }
  return EniType::Secondary;
}

net::IpAddress gateway_of(const net::Prefix& vswitch_cidr) {
  // The last address of any prefix of 30 bits or fewer (IPv4) ends in binary 11.
  net::IpAddress gateway = vswitch_cidr.last();
  gateway.bytes[15] = static_cast<std::uint8_t>(gateway.bytes[15] - 2);
  return gateway;
}

}  // namespace terway::model
