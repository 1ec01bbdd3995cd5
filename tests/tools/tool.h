// SPDX-License-Identifier: Apache-2.0
// Runs one of the scripts of tools/ on a little source tree made for it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace terway::tools {

// A folder of its own, removed with everything in it.
class Tree {
 public:
  Tree();
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::filesystem::path& file, std::string_view content) const;
  void write_program(const std::filesystem::path& file, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

struct Outcome {
  int status = -1;
  std::string output;  // standard output and error together

  bool says(std::string_view text) const { return output.find(text) != std::string::npos; }
};

// A shell command.
Outcome run(const std::string& command);

}  // namespace terway::tools
