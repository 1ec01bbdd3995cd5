// SPDX-License-Identifier: Apache-2.0
#include "plugin/tombstone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/answer.h"

namespace terway::plugin {

namespace {

using Path = Buffer<4096>;

// mkdir -p; whether it worked shows when the file is made.
void make_directories(Text directory) {
  for (size_t end = 1; end <= directory.size; ++end) {
    if (end < directory.size && directory.data[end] != '/') continue;
    Path part;
    part << Text(directory.data, end);
    mkdir(part.terminated(), 0700);
  }
}

bool write_call(int fd, const Call& call) {
  Call kept = call;
  kept.netns_state = rpc::Netns::None;
  kept.netns_errno = 0;
  const rpc::RequestHeader header = kept.header();
  if (!write_all(fd, {reinterpret_cast<const char*>(&header), sizeof header})) return false;
  for (const Text& field : kept.fields) {
    if (!write_all(fd, field)) return false;
  }
  return true;
}

}  // namespace

bool leave_tombstone(Text directory, const Call& call, Reason& reason) {
  Path path;
  path << directory << "/" << call.field(rpc::Field::ContainerId) << ":"
       << call.field(rpc::Field::Ifname);
  Path beside;
  beside << path.text() << ":" << static_cast<unsigned long>(getpid());
  if (beside.cut()) {
    reason << "the tombstones' path is too long: " << directory;
    return false;
  }
  make_directories(directory);
  const int fd = open(beside.terminated(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    reason << "create " << beside.text() << ": " << system_message(errno);
    return false;
  }
  const bool written = write_call(fd, call);
  const int write_errno = errno;
  close(fd);
  if (written && rename(beside.terminated(), path.terminated()) == 0) return true;
  reason << "write " << path.text() << ": " << system_message(written ? errno : write_errno);
  unlink(beside.terminated());
  return false;
}

}  // namespace terway::plugin
