// SPDX-License-Identifier: Apache-2.0
#include "kernel/sysctl.h"

#include "base/file.h"

namespace terway::kernel {

namespace {

std::string path_of(std::string_view name) { return "/proc/sys/" + std::string(name); }

}  // namespace

Result<std::string> read_sysctl(std::string_view name) {
  return std::string(trimmed(TRY(read_file(path_of(name)))));
}

Result<bool> set_sysctl(std::string_view name, std::string_view value) {
  if (TRY(read_sysctl(name)) == value) return false;
  TRY(write_into(path_of(name), value));
  return true;
}

}  // namespace terway::kernel
