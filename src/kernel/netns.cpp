// SPDX-License-Identifier: Apache-2.0
#include "kernel/netns.h"

#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

namespace terway::kernel {

Result<UniqueFd> open_netns(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error::from_errno(errno, "open network namespace " + path.string());
  // A path that was a bind mount may have become an empty plain file: NS_GET_NSTYPE tells.
  if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return Error(Error::Kind::Invalid, path.string() + " is not a network namespace");
  }
  return fd;
}

Result<UniqueFd> current_netns() { return open_netns("/proc/thread-self/ns/net"); }

Result<std::uint64_t> netns_inode(int netns) {
  struct stat info{};
  if (::fstat(netns, &info) != 0) return Error::from_errno(errno, "stat network namespace");
  return std::uint64_t{info.st_ino};
}

Result<std::uint64_t> netns_cookie(int netns) {
  const auto inside = TRY(InsideNetns::enter(netns));
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "open a socket for the namespace cookie");
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
    if (errno == ENOPROTOOPT) {
      return Error(Error::Kind::Unavailable, "this kernel has no SO_NETNS_COOKIE (before 5.14)");
    }
    return Error::from_errno(errno, "read the namespace cookie");
  }
  return cookie;
}

Result<> number_netns(Socket& socket, int netns) {
  struct Header {
    rtgenmsg family{AF_UNSPEC};
    std::uint8_t pad[3]{};  // attributes begin aligned
  };
  Message message(RTM_NEWNSID);
  message.header(Header{});
  message.put_u32(NETNSA_NSID, static_cast<std::uint32_t>(-1));  // any
  message.put_u32(NETNSA_FD, static_cast<std::uint32_t>(netns));
  auto numbered = socket.request(std::move(message));
  if (numbered.is(Error::Kind::Exists)) return Ok{};
  return numbered;
}

Result<InsideNetns> InsideNetns::enter(int netns) {
  UniqueFd home = TRY(current_netns());
  if (::setns(netns, CLONE_NEWNET) != 0) return Error::from_errno(errno, "enter namespace");
  return InsideNetns(std::move(home));
}

InsideNetns::~InsideNetns() {
  // A thread lost in a pod's namespace would do the node's work there.
  if (home_) VERIFY(::setns(home_.get(), CLONE_NEWNET) == 0);
}

}  // namespace terway::kernel
