// SPDX-License-Identifier: Apache-2.0
#include "tests/tools/tool.h"

#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "base/file.h"
#include "base/result.h"

namespace terway::tools {

Tree::Tree() {
  std::string name = (std::filesystem::temp_directory_path() / "terway-tools-XXXXXX").string();
  VERIFY(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

Tree::~Tree() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void Tree::write(const std::filesystem::path& file, std::string_view content) const {
  std::filesystem::create_directories((path_ / file).parent_path());
  VERIFY(replace_file(path_ / file, content).ok());
}

void Tree::write_program(const std::filesystem::path& file, std::string_view content) const {
  write(file, content);
  std::filesystem::permissions(path_ / file, std::filesystem::perms::owner_all);
}

Outcome run(const std::string& command) {
  Outcome outcome;
  FILE* pipe =
      ::popen((command + " 2>&1").c_str(), "re");  // NOLINT(cert-env33-c): a test of scripts
  VERIFY(pipe != nullptr);
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), size);
  }
  const int status = ::pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

}  // namespace terway::tools
