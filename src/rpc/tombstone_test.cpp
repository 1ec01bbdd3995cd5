// SPDX-License-Identifier: Apache-2.0
#include "rpc/tombstone.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

using namespace terway;
using namespace terway::rpc;

namespace {

struct Directory {
  Directory() {
    char name[] = "/tmp/terway-tombstones-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Directory() { std::filesystem::remove_all(path); }
  void put(const std::string& name, const std::string& content, time_t at) const {
    std::ofstream(path / name) << content;
    const timespec times[2] = {{at, 0}, {at, 0}};
    REQUIRE(::utimensat(AT_FDCWD, (path / name).c_str(), times, 0) == 0);
  }
  std::filesystem::path path;
};

std::string del(const std::string& container, const std::string& ifname) {
  PluginRequest request;
  request.command = cni::Command::Del;
  request.container_id = container;
  request.ifname = ifname;
  request.args = "K8S_POD_NAME=web-0";
  request.config = "{}";
  return encode_request(request);
}

}  // namespace

TEST_CASE("tombstones are listed oldest first, with what the plugin was given") {
  Directory directory;
  directory.put("bbb:eth0", del("bbb", "eth0"), 1000);
  directory.put("aaa:eth1", del("aaa", "eth1"), 2000);
  const Tombstones tombstones(directory.path);
  const auto found = tombstones.list();
  REQUIRE(found.ok());
  REQUIRE(found->size() == 2);
  CHECK((*found)[0].key == model::AttachmentKey{"bbb", "eth0"});
  CHECK((*found)[0].request.args == "K8S_POD_NAME=web-0");
  CHECK((*found)[0].damage.empty());
  CHECK((*found)[0].left_at == WallTime(std::chrono::seconds(1000)));
  CHECK((*found)[1].key == model::AttachmentKey{"aaa", "eth1"});
  CHECK(tombstones.remove({"bbb", "eth0"}).ok());
  CHECK(tombstones.remove({"bbb", "eth0"}).ok());
  CHECK(tombstones.list()->size() == 1);
}

TEST_CASE("a damaged tombstone still tells whose attachment is to go") {
  Directory directory;
  directory.put("empty:eth0", "", 1);
  directory.put("cut:eth0", del("cut", "eth0").substr(0, 50), 2);
  directory.put("other:eth0", del("another", "eth0"), 3);
  const auto found = Tombstones(directory.path).list();
  REQUIRE(found.ok());
  REQUIRE(found->size() == 3);
  for (const Tombstone& tombstone : *found) {
    CHECK_FALSE(tombstone.damage.empty());
    CHECK(tombstone.request.command == cni::Command::Del);
    CHECK(tombstone.request.container_id == tombstone.key.container_id);
    CHECK(tombstone.request.ifname == "eth0");
  }
}

TEST_CASE("what is no tombstone is left alone, save an old half-written one") {
  Directory directory;
  directory.put("README", "hello", 1);
  directory.put("-bad:eth0", "x", 1);
  directory.put("c:eth0:77", "half", 1);
  directory.put("c:eth0:78", "half", ::time(nullptr));
  const auto found = Tombstones(directory.path).list();
  REQUIRE(found.ok());
  CHECK(found->empty());
  CHECK(std::filesystem::exists(directory.path / "README"));
  CHECK(std::filesystem::exists(directory.path / "-bad:eth0"));
  CHECK_FALSE(std::filesystem::exists(directory.path / "c:eth0:77"));
  CHECK(std::filesystem::exists(directory.path / "c:eth0:78"));
}

TEST_CASE("a directory that does not exist holds nothing") {
  const Tombstones tombstones("/nonexistent/tombstones");
  CHECK(tombstones.list().ok());
  CHECK(tombstones.list()->empty());
  CHECK(tombstones.remove({"a", "eth0"}).ok());
}
