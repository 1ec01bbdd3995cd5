// SPDX-License-Identifier: Apache-2.0
// A bpf file system for one test, on a folder that is gone with it.
#pragma once

#include <doctest/doctest.h>
#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace terway::test {

class BpfFolder {
 public:
  BpfFolder() {
    std::string pattern = "/tmp/terway-bpf-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    REQUIRE(::mount("bpf", path_.c_str(), "bpf", 0, "mode=700") == 0);
  }
  ~BpfFolder() {
    (void)::umount2(path_.c_str(), MNT_DETACH);
    std::error_code failed;
    std::filesystem::remove(path_, failed);
  }
  BpfFolder(const BpfFolder&) = delete;
  BpfFolder& operator=(const BpfFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace terway::test
