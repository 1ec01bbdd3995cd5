// SPDX-License-Identifier: Apache-2.0
// Kernel settings under /proc/sys, of the calling thread's network namespace (use InsideNetns for
// another's). Names with slashes, for an interface's name may hold a dot:
// "net/ipv4/conf/eth0.5/rp_filter".
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace terway::kernel {

// Without the newline. NotFound when there is no such setting (IPv6 built out, interface gone).
Result<std::string> read_sysctl(std::string_view name);

// Reads first and writes only what differs; true when it wrote.
Result<bool> set_sysctl(std::string_view name, std::string_view value);

}  // namespace terway::kernel
