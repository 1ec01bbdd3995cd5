// SPDX-License-Identifier: Apache-2.0
// Whatever the cloud, or somebody in between, answers is a value or an error.
#include <cstddef>
#include <cstdint>

#include "cloud/credentials.h"
#include "cloud/replies.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace terway::cloud;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 10) {
    case 0:
      static_cast<void>(parse_created_eni(body));
      break;
    case 1:
      static_cast<void>(parse_enis(body));
      break;
    case 2:
      static_cast<void>(parse_assigned_ipv4(body));
      break;
    case 3:
      static_cast<void>(parse_assigned_ipv6(body));
      break;
    case 4:
      static_cast<void>(parse_instance_types(body));
      break;
    case 5:
      static_cast<void>(parse_instances(body));
      break;
    case 6:
      static_cast<void>(parse_vswitches(body));
      break;
    case 7:
      static_cast<void>(parse_failure("Action", 400 + data[0], body));
      break;
    case 8:
      static_cast<void>(parse_role_credentials(body));
      break;
    default:
      static_cast<void>(parse_encrypted_credentials(body));
      break;
  }
  static_cast<void>(parse_address_list(body));
  return 0;
}
