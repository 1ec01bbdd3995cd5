// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <iterator>
#include <thread>

using namespace terway;
namespace fs = std::filesystem;

namespace {

// A folder of this test's own, gone with it.
struct Folder {
  Folder() : path(fs::temp_directory_path() / fmt::format("terway-base-{}", ::getpid())) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }
  const fs::path path;
};

unsigned mode_of(const fs::path& path) {
  struct stat there{};
  REQUIRE(::stat(path.c_str(), &there) == 0);
  return there.st_mode & 07777U;
}

}  // namespace

TEST_CASE("what replace_file() wrote read_file() reads, of any size, with nothing left beside it") {
  const Folder folder;
  const fs::path file = folder.path / "a";
  for (const std::size_t size : {0U, 1U, 16384U, 16385U, 300'000U}) {
    CAPTURE(size);
    std::string content(size, 'x');
    if (size > 1) content[size / 2] = '\0';
    REQUIRE(replace_file(file, content, 0600).ok());
    const auto read = read_file(file);
    REQUIRE(read.ok());
    CHECK(*read == content);
  }
  CHECK(mode_of(file) == 0600);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("who reads a file while it is replaced sees the old content or the new, whole") {
  const Folder folder;
  const fs::path file = folder.path / "a";
  const std::string old_content(200'000, 'o');
  const std::string new_content(100'000, 'n');
  REQUIRE(replace_file(file, old_content).ok());
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) {
      CHECK(replace_file(file, i % 2 == 0 ? new_content : old_content).ok());
    }
    done = true;
  });
  bool whole = true;
  do {
    const auto read = read_file(file);
    whole = whole && read.ok() && (*read == old_content || *read == new_content);
  } while (!done && whole);
  writer.join();
  CHECK(whole);
}

TEST_CASE("what is not there is NotFound, and named; a file of /proc is read whole") {
  const Folder folder;
  const auto missing = read_file(folder.path / "missing");
  CHECK(missing.is(Error::Kind::NotFound));
  CHECK(missing.error().message().find("missing") != std::string::npos);
  CHECK(write_into(folder.path / "missing", "x").is(Error::Kind::NotFound));
  CHECK(replace_file(folder.path / "no" / "folder", "x").is(Error::Kind::NotFound));
  const auto proc = read_file("/proc/self/status");
  REQUIRE(proc.ok());
  CHECK(proc->find(fmt::format("Pid:\t{}\n", ::getpid())) != std::string::npos);
}

TEST_CASE("write_into() changes a file that is there, and only that") {
  const Folder folder;
  const fs::path file = folder.path / "a";
  REQUIRE(replace_file(file, "12345").ok());
  REQUIRE(write_into(file, "ab").ok());
  CHECK(*read_file(file) == "ab345");
}

TEST_CASE("trimmed() takes white space from the end alone") {
  CHECK(trimmed(" a b \r\n\t ") == " a b");
  CHECK(trimmed(" \n") == "");
  CHECK(trimmed("") == "");
}
