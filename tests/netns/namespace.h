// SPDX-License-Identifier: Apache-2.0
// A network namespace for one test: nameless, so it is gone with its last descriptor, also when the
// test dies.
#pragma once

#include <doctest/doctest.h>
#include <sched.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/netns.h"
#include "kernel/socket.h"

namespace terway::test {

// The value, or the end of the test with the error's own words.
template <class T>
T must(Result<T> result, const char* doing = "") {
  if (!result.ok()) FAIL(doing, ": ", result.error().to_string());
  return std::move(result).value();
}

class Namespace {
 public:
  Namespace() {
    // A thread of its own: unshare() changes the namespace of whoever calls it.
    std::thread([this] {
      if (::unshare(CLONE_NEWNET) != 0) return;
      auto own = kernel::current_netns();
      if (own.ok()) fd_ = std::move(own).value();
    }).join();
  }

  int fd() const { return fd_.get(); }
  const UniqueFd& descriptor() const { return fd_; }
  bool made() const { return static_cast<bool>(fd_); }

  kernel::Socket route_socket() const {
    return must(kernel::Socket::open_in(fd(), kernel::Protocol::Route), "open a socket");
  }
  kernel::Socket netfilter_socket() const {
    return must(kernel::Socket::open_in(fd(), kernel::Protocol::Netfilter), "open a socket");
  }
  // Runs on this thread, inside.
  template <class Do>
  auto run(Do&& what) const {
    const auto inside = must(kernel::InsideNetns::enter(fd()), "enter a namespace");
    return what();
  }

 private:
  UniqueFd fd_;
};

// False, with a line that says why, where namespaces cannot be made: `if (!can_run("name"))
// return;`
inline bool can_run(const char* test) {
  if (Namespace().made()) return true;
  std::printf("SKIP: test %s: cannot make network namespaces (needs root)\n", test);
  return false;
}

}  // namespace terway::test
