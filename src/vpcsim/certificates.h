// SPDX-License-Identifier: Apache-2.0
// The simulator's own certificate authority and the certificate that its HTTPS listener shows.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace terway::vpcsim {

struct CertificateFiles {
  std::filesystem::path ca;           // for clients to trust
  std::filesystem::path certificate;  // of the server, for these hosts
  std::filesystem::path key;
};

// In a directory, made with mode 0700 when it does not exist. A CA that is there (ca.pem, ca.key)
// is kept, else one is made; the server's certificate is always new. Hosts are names or addresses.
Result<CertificateFiles> prepare_certificates(const std::filesystem::path& directory,
                                              const std::vector<std::string>& hosts);

}  // namespace terway::vpcsim
