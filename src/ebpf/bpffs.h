// SPDX-License-Identifier: Apache-2.0
// The BPF file system: where maps and programs outlive the daemon.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace terway::ebpf {

inline constexpr std::string_view kBpffs = "/sys/fs/bpf";

// Mounts one at `path` where none is, making the directory. Unavailable, with the reason, where
// that is not possible.
Result<> mount_bpffs(const std::filesystem::path& path);

// Puts the object's name there, in place of what had it, in one step.
Result<> pin(int fd, const std::filesystem::path& path);
// A descriptor of what is pinned there; NotFound where nothing is.
Result<UniqueFd> open_pinned(const std::filesystem::path& path);

}  // namespace terway::ebpf
