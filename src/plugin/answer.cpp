// SPDX-License-Identifier: Apache-2.0
#include "plugin/answer.h"

#include <errno.h>
#include <unistd.h>

#include "cni/names.h"
#include "plugin/config_scan.h"

namespace terway::plugin {

namespace {

// Escaped for a JSON string; bytes above 0x7f pass, for paths and system messages are UTF-8 or
// ASCII.
void append_escaped(ErrorText& into, Text text) {
  constexpr char kHex[] = "0123456789abcdef";
  for (size_t i = 0; i < text.size; ++i) {
    const auto c = static_cast<unsigned char>(text.data[i]);
    if (c == '"' || c == '\\') {
      const char escape[] = {'\\', static_cast<char>(c)};
      into << Text(escape, sizeof escape);
    } else if (c < 0x20) {
      const char escape[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
      into << Text(escape, sizeof escape);
    } else {
      into << Text(text.data + i, 1);
    }
  }
}

}  // namespace

Text spoken_version(Text config) {
  constexpr size_t kLongest = 32;
  const Text version = find_string(config, "cniVersion");
  const bool sane = version.size <= kLongest && cni::is_container_id(version.data, version.size);
  return sane ? version : Text(cni::kNewestVersion);
}

void write_error(ErrorText& into, Text version, cni::Code code, Text message, Text details) {
  into << "{\"cniVersion\":\"" << version << "\",\"code\":" << static_cast<unsigned long>(code)
       << ",\"msg\":\"";
  append_escaped(into, message);
  into << "\",\"details\":\"";
  append_escaped(into, details);
  into << "\"}\n";
}

int fail(Text version, cni::Code code, Text message, Text details) {
  ErrorText error;
  write_error(error, version, code, message, details);
  write_all(STDOUT_FILENO, error.text());
  return 1;
}

int print_versions(Text version) {
  Buffer<256> answer;
  answer << "{\"cniVersion\":\"" << version
         << "\",\"supportedVersions\":[" TERWAY_CNI_VERSIONS "]}\n";
  return write_all(STDOUT_FILENO, answer.text()) ? 0 : 1;
}

Text system_message(int error_number) {
  return strerror(error_number);  // NOLINT(concurrency-mt-unsafe): one thread
}

bool write_all(int fd, Text text) {
  while (text.size > 0) {
    const ssize_t written = write(fd, text.data, text.size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    text.data += written;
    text.size -= static_cast<size_t>(written);
  }
  return true;
}

}  // namespace terway::plugin
