// SPDX-License-Identifier: Apache-2.0
// Whole files: read, and replace without a moment in which half of one is seen.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace terway {

// NotFound when it does not exist. Works for /proc and /sys files, whose size is unknown.
Result<std::string> read_file(const std::filesystem::path& path);

// Writes beside it, fsyncs, renames over it.
Result<> replace_file(const std::filesystem::path& path, std::string_view content,
                      unsigned mode = 0644);

// Writes into an existing file in one write(2): for /proc, /sys and cgroup files.
Result<> write_into(const std::filesystem::path& path, std::string_view content);

// Without trailing white space.
std::string_view trimmed(std::string_view text);

}  // namespace terway
