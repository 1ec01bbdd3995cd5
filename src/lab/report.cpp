// SPDX-License-Identifier: Apache-2.0
#include "lab/report.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace terway::lab {

Result<ReportLine> ReportLine::make() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return Error::from_errno(errno, "socketpair");
  }
  const int on = 1;
  ::setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  return ReportLine(UniqueFd(pair[0]), UniqueFd(pair[1]));
}

void ReportLine::tell(std::string_view text) const {
  const ssize_t ignored = ::send(far_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  static_cast<void>(ignored);
}

Result<Report> ReportLine::receive(Duration timeout) const {
  const Error silence(Error::Kind::Unavailable,
                      "it died without a word, or did not answer in time");
  pollfd wait{near_.get(), POLLIN, 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  if (::poll(&wait, 1, static_cast<int>(ms)) <= 0) return silence;
  std::array<char, 4096> text;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  iovec data{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(near_.get(), &message, 0);
  const cmsghdr* header = got < 0 ? nullptr : CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_CREDENTIALS) return silence;
  ucred credentials{};
  std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
  return Report{credentials.pid, std::string(text.data(), static_cast<std::size_t>(got))};
}

}  // namespace terway::lab
