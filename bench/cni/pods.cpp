// SPDX-License-Identifier: Apache-2.0
#include "pods.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/fd.h"

namespace terway::bench {

namespace {

constexpr const char* kDirectory = "/run/netns";

Result<> bring_lo_up() {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return Error::from_errno(errno, "lo up");
  return Ok{};
}

Result<> mount_tmpfs(const char* where) {
  std::error_code ignored;
  std::filesystem::create_directories(where, ignored);
  if (::mount("tmpfs", where, "tmpfs", 0, nullptr) != 0) {
    return Error::from_errno(errno, fmt::format("mount a tmpfs on {}", where));
  }
  return Ok{};
}

// On a thread of its own, which leaves with its namespace bound to the path.
Result<> make_namespace(const std::string& path) {
  if (::unshare(CLONE_NEWNET) != 0) return Error::from_errno(errno, "unshare a network namespace");
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!file) return Error::from_errno(errno, "create " + path);
  if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return Error::from_errno(errno, "bind a namespace to " + path);
  }
  return bring_lo_up();
}

}  // namespace

Result<> enter_own_host() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
    return Error::from_errno(errno, "unshare network and mounts (needs root)");
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Error::from_errno(errno, "make mounts private");
  }
  TRY(mount_tmpfs("/run"));
  TRY(mount_tmpfs("/var/lib/cni"));
  return bring_lo_up();
}

Result<std::string> make_pod_namespace(const std::string& name) {
  std::error_code ignored;
  std::filesystem::create_directories(kDirectory, ignored);
  const std::string path = fmt::format("{}/{}", kDirectory, name);
  Result<> made = Ok{};
  std::thread([&] { made = make_namespace(path); }).join();
  if (!made.ok()) return made.take_error();
  return path;
}

void remove_pod_namespace(const std::string& path) {
  ::umount2(path.c_str(), MNT_DETACH);
  ::unlink(path.c_str());
}

Result<std::vector<std::string>> pod_namespaces(std::size_t count, const std::string& name) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string each = fmt::format("{}-{}", name, i);
    const std::string path = fmt::format("{}/{}", kDirectory, each);
    paths.push_back(std::filesystem::exists(path) ? path : TRY(make_pod_namespace(each)));
  }
  return paths;
}

}  // namespace terway::bench
