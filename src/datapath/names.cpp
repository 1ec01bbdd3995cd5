// SPDX-License-Identifier: Apache-2.0
#include "datapath/names.h"

#include <openssl/sha.h>

#include <array>

#include "datapath/datapath.h"

namespace terway::datapath {

namespace {

constexpr std::string_view kAliasPrefix = "terway:";

using Digest = std::array<std::uint8_t, SHA_DIGEST_LENGTH>;

Digest sha1(std::string_view text) {
  Digest digest;
  ::SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

// "cali" + the first 11 hex digits: 15 characters, the most that a link's name can have.
std::string cali(std::string_view hashed) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const Digest digest = sha1(hashed);
  std::string name = "cali";
  for (std::size_t digit = 0; digit < 11; ++digit) {
    const unsigned byte = digest[digit / 2];
    name += kHex[digit % 2 == 0 ? byte >> 4U : byte & 15U];
  }
  return name;
}

net::Mac mac_of(std::string_view hashed) {
  const Digest digest = sha1(hashed);
  net::Mac mac;
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) mac.bytes[i] = digest[i];
  // Locally administered, unicast.
  mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] & 0xfcU) | 2U);
  return mac;
}

}  // namespace

std::string host_ifname_of(const model::AttachmentKey& key) { return cali(key.to_string()); }

std::string upstream_ifname_of(const model::Pod& pod, const std::string& ifname) {
  std::string hashed = pod.namespace_ + "." + pod.name;
  if (ifname != "eth0") hashed += ifname;
  return cali(hashed);
}

net::IpAddress pod_gateway(net::Family family) {
  return *net::IpAddress::parse(family == net::Family::V4 ? kGatewayV4 : kGatewayV6);
}

net::Mac host_mac_of(const model::AttachmentKey& key) { return mac_of(key.to_string() + "/host"); }

net::Mac pod_mac_of(const model::AttachmentKey& key) { return mac_of(key.to_string() + "/pod"); }

std::string alias_of(const model::AttachmentKey& key) {
  return std::string(kAliasPrefix) + key.to_string();
}

std::optional<model::AttachmentKey> key_of_alias(std::string_view alias) {
  if (!alias.starts_with(kAliasPrefix)) return std::nullopt;
  alias.remove_prefix(kAliasPrefix.size());
  const std::size_t slash = alias.rfind('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == alias.size()) {
    return std::nullopt;
  }
  return model::AttachmentKey{std::string(alias.substr(0, slash)),
                              std::string(alias.substr(slash + 1))};
}

}  // namespace terway::datapath
