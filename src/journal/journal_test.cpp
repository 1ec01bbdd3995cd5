// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>

#include "base/file.h"
#include "journal/database.h"

namespace terway::journal {

namespace {

using std::chrono::seconds;

// A folder of its own, gone at the end.
struct Folder {
  std::filesystem::path path;
  Folder() {
    char name[] = "/tmp/terway-journal-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path file() const { return path / "state" / "journal.db"; }
};

Journal::Opened open(const Folder& folder, const std::string& boot = "boot-1",
                     Instant now = Instant(seconds(1000))) {
  auto opened = Journal::open({folder.file(), boot, now, 200});
  if (!opened.ok()) FAIL(opened.error().to_string());
  return std::move(opened).value();
}

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

model::Attachment sample_attachment() {
  model::Attachment a;
  a.key = {"c1", "eth0"};
  a.pod = {"default", "web-0", "uid-1", "StatefulSet"};
  a.state = model::AttachmentState::Wired;
  a.network = "terway-chainer";
  a.netns_path = "/var/run/netns/x";
  a.netns_inode = 4026532000;
  a.eni_key = "k1";
  a.eni_id = "eni-1";
  a.addresses = {ip("10.0.0.5"), ip("2001:db8::5")};
  a.extra_routes = {*net::Prefix::parse("172.21.0.0/20")};
  a.host_ifname = "cali01234567890";
  a.host_mac = *net::Mac::parse("ee:00:00:00:00:01");
  a.pod_mac = *net::Mac::parse("ee:00:00:00:00:02");
  a.mtu = 8500;
  a.gateways = {ip("169.254.1.1"), ip("fe80::1")};
  a.sticky = true;
  a.bandwidth = {10'000'000, 1'000'000'000};
  a.priority = model::NetworkPriority::Burstable;
  a.mode = model::NetworkMode::Exclusive;
  a.host_peer = false;
  a.host_stack = {*net::Prefix::parse("169.254.20.10/32"), *net::Prefix::parse("fd00::/8")};
  a.created = WallTime(seconds(1'700'000'000));
  return a;
}

model::EniRecord sample_eni() {
  model::EniRecord e;
  e.key = "k1";
  e.eni_id = "eni-1";
  e.state = model::EniState::Ready;
  e.mac = *net::Mac::parse("00:16:3e:00:00:01");
  e.vswitch_id = "vsw-1";
  e.primary_address = ip("10.0.0.4");
  e.since = Instant(seconds(900));
  e.failures = 2;
  e.last_error = "it's \"quoted\"";
  return e;
}

model::AddressRecord sample_address(const char* text, model::AddressState state) {
  model::AddressRecord a;
  a.address = ip(text);
  a.unit = net::Prefix::host(a.address);
  a.eni_key = "k1";
  a.state = state;
  a.owner = {"c1", "eth0"};
  a.pod = {"default", "web-0", "uid-1", "StatefulSet"};
  a.sticky = true;
  a.since = Instant(seconds(990));
  return a;
}

model::Operation sample_operation() {
  model::Operation o;
  o.id = 7;
  o.kind = model::OperationKind::UnassignIpv4;
  o.client_token = "t-1";
  o.eni_key = "k1";
  o.eni_id = "eni-1";
  o.vswitch_id = "vsw-1";
  o.ipv4_count = 3;
  o.ipv6_count = 1;
  o.addresses = {ip("10.0.0.8"), ip("10.0.0.9")};
  return o;
}

Entry sample_entry() {
  Entry entry;
  entry.attachments = {sample_attachment()};
  entry.ipam.enis = {sample_eni()};
  entry.ipam.addresses = {sample_address("10.0.0.5", model::AddressState::Held)};
  entry.ipam.begun = {sample_operation()};
  entry.facts = {{"instance", "{}", WallTime(seconds(5))}};
  return entry;
}

}  // namespace

TEST_CASE("what was written is read back, field by field") {
  Folder folder;
  {
    auto opened = open(folder);
    CHECK(opened.new_boot);
    CHECK(opened.fresh);
    CHECK_FALSE(opened.set_aside);
    REQUIRE(opened.journal->write(sample_entry()).ok());
  }
  auto again = open(folder);
  CHECK_FALSE(again.new_boot);
  CHECK_FALSE(again.fresh);
  const auto contents = again.journal->read();
  REQUIRE(contents.ok());
  REQUIRE(contents->attachments.size() == 1);
  CHECK(contents->attachments[0] == sample_attachment());
  REQUIRE(contents->ipam.enis.size() == 1);
  CHECK(contents->ipam.enis[0] == sample_eni());
  REQUIRE(contents->ipam.addresses.size() == 1);
  CHECK(contents->ipam.addresses[0] == sample_address("10.0.0.5", model::AddressState::Held));
  REQUIRE(contents->ipam.operations.size() == 1);
  CHECK(contents->ipam.operations[0] == sample_operation());
  CHECK(contents->facts == sample_entry().facts);
  struct stat status{};
  REQUIRE(::stat(folder.file().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a record written again replaces the first, an erased one is gone") {
  Folder folder;
  auto opened = open(folder);
  REQUIRE(opened.journal->write(sample_entry()).ok());
  Entry second;
  second.attachments = {sample_attachment()};
  second.attachments[0].state = model::AttachmentState::Removing;
  REQUIRE(opened.journal->write(second).ok());
  CHECK(opened.journal->read()->attachments.at(0).state == model::AttachmentState::Removing);
  Entry erase;
  erase.erased_attachments = {{"c1", "eth0"}};
  erase.ipam.erased_enis = {"k1"};
  erase.ipam.erased_addresses = {ip("10.0.0.5")};
  erase.ipam.ended = {7};
  REQUIRE(opened.journal->write(erase).ok());
  REQUIRE(opened.journal->write(erase).ok());  // what is gone may be erased again
  const auto contents = opened.journal->read();
  CHECK(contents->attachments.empty());
  CHECK(contents->ipam.enis.empty());
  CHECK(contents->ipam.addresses.empty());
  CHECK(contents->ipam.operations.empty());
}

TEST_CASE("of entries written together the later counts") {
  Folder folder;
  auto opened = open(folder);
  std::vector<Entry> entries(3);
  entries[0] = sample_entry();
  entries[1].erased_attachments = {{"c1", "eth0"}};
  entries[2].attachments = {sample_attachment()};
  entries[2].attachments[0].mtu = 1400;
  REQUIRE(opened.journal->write(entries).ok());
  CHECK(opened.journal->read()->attachments.at(0).mtu == 1400);
}

TEST_CASE("after a reboot attachments are to be removed and cool-downs start afresh") {
  Folder folder;
  {
    auto opened = open(folder);
    Entry entry = sample_entry();
    entry.ipam.addresses.push_back(sample_address("10.0.0.6", model::AddressState::Cooling));
    entry.ipam.addresses.back().until = Instant(seconds(1050));  // 60 s from 990
    REQUIRE(opened.journal->write(entry).ok());
  }
  auto opened = open(folder, "boot-2", Instant(seconds(20)));
  CHECK(opened.new_boot);
  const auto contents = opened.journal->read();
  CHECK(contents->attachments.at(0).state == model::AttachmentState::Removing);
  CHECK(contents->attachments.at(0).netns_inode == 0);
  CHECK(contents->ipam.enis.at(0).since == Instant(seconds(20)));
  CHECK(contents->ipam.addresses.at(0).since == Instant(seconds(20)));
  CHECK(contents->ipam.addresses.at(0).until == Instant{});
  CHECK(contents->ipam.addresses.at(1).until == Instant(seconds(80)));
  // The same boot again changes nothing.
  opened.journal.reset();
  auto again = open(folder, "boot-2", Instant(seconds(50)));
  CHECK_FALSE(again.new_boot);
  CHECK(again.journal->read()->ipam.addresses.at(1).until == Instant(seconds(80)));
}

TEST_CASE("a process killed in the middle leaves whole transactions only") {
  for (int round = 0; round < 8; ++round) {
    Folder folder;
    {
      auto made = open(folder);
    }
    int pipe_fds[2];
    REQUIRE(::pipe(pipe_fds) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipe_fds[0]);
      auto opened = Journal::open({folder.file(), "boot-1", Instant(seconds(1000)), 200});
      for (std::uint32_t n = 1; opened.ok(); ++n) {
        Entry entry;
        entry.attachments = {sample_attachment()};
        entry.attachments[0].mtu = n;
        entry.ipam.addresses = {sample_address("10.0.0.5", model::AddressState::Held)};
        entry.ipam.addresses[0].since = Instant(Duration(n));
        if (!opened->journal->write(entry).ok()) break;
        if (n % 5 == 0 && !opened->journal->log_file()->sync().ok()) break;
        if (n % 50 == 0 && !opened->journal->tidy().ok()) break;
        if (::write(pipe_fds[1], &n, sizeof n) != sizeof n) break;
      }
      ::_exit(1);
    }
    ::close(pipe_fds[1]);
    std::uint32_t acknowledged = 0;
    for (int i = 0; i < 20 + round * 37; ++i) {
      REQUIRE(::read(pipe_fds[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged);
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(pipe_fds[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
    }
    ::close(pipe_fds[0]);

    auto opened = open(folder);
    CHECK_FALSE(opened.set_aside);
    const auto contents = opened.journal->read();
    REQUIRE(contents->attachments.size() == 1);
    const std::uint32_t seen = contents->attachments[0].mtu;
    CHECK(seen >= acknowledged);
    CHECK(seen <= acknowledged + 1);
    CHECK(contents->ipam.addresses.at(0).since == Instant(Duration(seen)));
  }
}

TEST_CASE("a damaged file is set aside, told about, and a new one begun") {
  Folder folder;
  {
    auto opened = open(folder);
    REQUIRE(opened.journal->write(sample_entry()).ok());
    REQUIRE(opened.journal->tidy().ok());
  }
  SUBCASE("it is no database") {
    REQUIRE(replace_file(folder.file(), std::string(8192, 'x')).ok());
  }
  SUBCASE("its pages are damaged") {
    std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 + 100);
    file << std::string(12'000, '\xa5');
  }
  SUBCASE("a row means nothing") {
    auto database = Database::open(folder.file(), 200);
    REQUIRE(database.ok());
    REQUIRE(database->execute("UPDATE address SET state = 'Lent'").ok());
  }
  auto opened = open(folder);
  REQUIRE(opened.set_aside);
  CHECK(opened.set_aside->find(".damaged-1: ") != std::string::npos);
  CHECK(std::filesystem::exists(folder.file().native() + ".damaged-1"));
  CHECK(opened.fresh);
  CHECK(opened.journal->read()->ipam.enis.empty());
  CHECK(opened.journal->write(sample_entry()).ok());
}

TEST_CASE("a journal of a newer schema is refused and left alone") {
  Folder folder;
  {
    auto opened = open(folder);
  }
  {
    auto database = Database::open(folder.file(), 200);
    REQUIRE(database.ok());
    REQUIRE(database->execute("PRAGMA user_version=99").ok());
  }
  const auto opened = Journal::open({folder.file(), "boot-1", Instant{}, 200});
  REQUIRE(opened.is(Error::Kind::Invalid));
  CHECK(opened.error().message().find("schema 99") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder.file().native() + ".damaged-1"));
}

TEST_CASE("an empty file, as a crash at birth leaves it, becomes a journal") {
  Folder folder;
  std::filesystem::create_directories(folder.file().parent_path());
  REQUIRE(replace_file(folder.file(), "").ok());
  auto opened = open(folder);
  CHECK_FALSE(opened.set_aside);
  CHECK(opened.journal->write(sample_entry()).ok());
}

TEST_CASE("a second process does not get the journal while the first has it") {
  Folder folder;
  auto opened = open(folder);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto second = Journal::open({folder.file(), "boot-1", Instant{}, 50});
    ::_exit(second.is(Error::Kind::Unavailable) ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("the log that is synced is the one that is written, after a clean start too") {
  Folder folder;
  {
    auto first = open(folder);
  }  // closing removes the log
  auto opened = open(folder);
  REQUIRE(opened.journal->write(sample_entry()).ok());
  CHECK(opened.journal->log_file()->sync().ok());
  CHECK(std::filesystem::file_size(folder.file().native() + "-wal") > 0);
}

TEST_CASE("the log is moved into the file while the journal is written") {
  Folder folder;
  auto opened = open(folder);
  std::uint32_t written = 0;
  const auto write_some = [&] {
    for (int i = 0; i < 100; ++i) {
      Entry entry;
      entry.attachments = {sample_attachment()};
      entry.attachments[0].key.container_id = "c" + std::to_string(written++);
      REQUIRE(opened.journal->write(entry).ok());
    }
  };
  while (written < 400) write_some();
  const auto before = std::filesystem::file_size(folder.file());
  REQUIRE(opened.journal->tidy().ok());
  // 400 attachments of 250 bytes.
  while (std::filesystem::file_size(folder.file()) < before + 100'000 && written < 100'000) {
    write_some();
  }
  CHECK(std::filesystem::file_size(folder.file()) >= before + 100'000);
  CHECK(opened.journal->read()->attachments.size() == written);
}

TEST_CASE("the log stays bounded under writing without a pause") {
  Folder folder;
  auto opened = open(folder);
  const std::string log = folder.file().native() + "-wal";
  std::uintmax_t most = 0;
  for (std::uint32_t n = 0; n < 20'000; ++n) {
    Entry entry;
    entry.attachments = {sample_attachment()};
    entry.attachments[0].key.container_id = "c" + std::to_string(n % 250);
    REQUIRE(opened.journal->write(entry).ok());
    most = std::max(most, std::filesystem::file_size(log));
  }
  // Three pages an entry would be 240 MB.
  CHECK(most < 20'000'000);
}

}  // namespace terway::journal
