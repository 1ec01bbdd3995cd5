// SPDX-License-Identifier: Apache-2.0
#include "rpc/plugin_server.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <future>
#include <latch>
#include <thread>
#include <vector>

using namespace terway;
using namespace terway::rpc;

namespace {

// A directory of its own, gone with the test.
struct Scratch {
  Scratch() {
    char name[] = "/tmp/terway-rpc-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Scratch() { std::filesystem::remove_all(path); }
  std::filesystem::path socket() const { return path / "eni" / "eni.socket"; }
  std::filesystem::path path;
};

UniqueFd connect_to(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, socket.c_str());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  return fd;
}

void send_bytes(int fd, std::string_view bytes, int attached = -1) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (attached >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &attached, sizeof attached);
  }
  REQUIRE(::sendmsg(fd, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

struct Reply {
  ReplyHeader header{};
  std::string output;
};

std::optional<Reply> receive_reply(int fd) {
  Reply reply;
  if (::recv(fd, &reply.header, sizeof reply.header, MSG_WAITALL) != sizeof reply.header) {
    return std::nullopt;
  }
  reply.output.resize(reply.header.output_size);
  std::size_t got = 0;
  while (got < reply.output.size()) {
    const ssize_t more = ::recv(fd, reply.output.data() + got, reply.output.size() - got, 0);
    if (more <= 0) return std::nullopt;
    got += static_cast<std::size_t>(more);
  }
  return reply;
}

PluginRequest add_request() {
  PluginRequest request;
  request.command = cni::Command::Add;
  request.container_id = "c1";
  request.netns_path = "/var/run/netns/x";
  request.ifname = "eth0";
  request.args = "IgnoreUnknown=1";
  request.path = "/opt/cni/bin";
  request.config = "{}";
  return request;
}

}  // namespace

TEST_CASE("a request and its namespace arrive as they were sent, and the answer goes back") {
  Scratch scratch;
  std::promise<PluginRequest> seen;
  auto server = PluginServer::start(scratch.socket(), [&](PluginRequest request) {
    seen.set_value(std::move(request));
    return PluginAnswer{7, "{\"code\":7}"};
  });
  REQUIRE(server.ok());
  UniqueFd fd = connect_to(scratch.socket());
  REQUIRE(fd);
  PluginRequest request = add_request();
  request.netns_state = Netns::Attached;
  UniqueFd netns(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  send_bytes(fd.get(), encode_request(request), netns.get());
  const auto reply = receive_reply(fd.get());
  REQUIRE(reply);
  CHECK(reply->header.magic == kReplyMagic);
  CHECK(reply->header.outcome == static_cast<std::uint8_t>(Outcome::Answered));
  CHECK(reply->header.exit_code == 7);
  CHECK(reply->output == "{\"code\":7}");
  const PluginRequest got = seen.get_future().get();
  CHECK(got.command == cni::Command::Add);
  CHECK(got.container_id == "c1");
  CHECK(got.netns_path == "/var/run/netns/x");
  CHECK(got.ifname == "eth0");
  CHECK(got.args == "IgnoreUnknown=1");
  CHECK(got.path == "/opt/cni/bin");
  CHECK(got.config == "{}");
  CHECK(got.netns_state == Netns::Attached);
  CHECK(got.netns);
  CHECK(got.caller == ::getpid());
}

TEST_CASE("a descriptor that is no network namespace is told apart") {
  Scratch scratch;
  std::promise<PluginRequest> seen;
  auto server = PluginServer::start(scratch.socket(), [&](PluginRequest request) {
    seen.set_value(std::move(request));
    return PluginAnswer{};
  });
  REQUIRE(server.ok());
  UniqueFd fd = connect_to(scratch.socket());
  PluginRequest request = add_request();
  request.netns_state = Netns::Attached;
  int attached = -1;
  SUBCASE("an ordinary file") { attached = ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
  SUBCASE("another kind of namespace") {
    attached = ::open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
  }
  SUBCASE("announced but not sent") {}
  UniqueFd owner(attached);
  send_bytes(fd.get(), encode_request(request), attached);
  REQUIRE(receive_reply(fd.get()));
  const PluginRequest got = seen.get_future().get();
  CHECK(got.netns_state == Netns::Foreign);
  CHECK_FALSE(got.netns);
}

TEST_CASE("a request that comes in pieces is put together") {
  Scratch scratch;
  auto server = PluginServer::start(scratch.socket(), [&](PluginRequest request) {
    return PluginAnswer{0, std::to_string(request.config.size())};
  });
  REQUIRE(server.ok());
  UniqueFd fd = connect_to(scratch.socket());
  PluginRequest request = add_request();
  request.config.assign(3000, 'x');
  const std::string bytes = encode_request(request);
  for (std::size_t at = 0; at < bytes.size(); at += 97) {
    send_bytes(fd.get(), std::string_view(bytes).substr(at, 97));
    if (at < 500) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto reply = receive_reply(fd.get());
  REQUIRE(reply);
  CHECK(reply->output == "3000");
}

TEST_CASE("a call that takes long holds up nobody, and what is over the bound is told so") {
  Scratch scratch;
  std::latch entered(2);
  std::latch leave(1);
  PluginServerOptions options;
  options.max_calls = 2;
  auto server = PluginServer::start(
      scratch.socket(),
      [&](PluginRequest request) {
        if (request.command == cni::Command::Add) {
          entered.count_down();
          leave.wait();
        }
        return PluginAnswer{};
      },
      options);
  REQUIRE(server.ok());
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 2; ++i) {
    slow.push_back(connect_to(scratch.socket()));
    send_bytes(slow.back().get(), encode_request(add_request()));
  }
  entered.wait();
  UniqueFd third = connect_to(scratch.socket());
  const auto busy = receive_reply(third.get());
  REQUIRE(busy);
  CHECK(busy->header.outcome == static_cast<std::uint8_t>(Outcome::Busy));
  leave.count_down();
  for (UniqueFd& fd : slow) CHECK(receive_reply(fd.get()));
}

TEST_CASE("what is not our protocol is refused with the reason") {
  Scratch scratch;
  bool called = false;
  auto server = PluginServer::start(scratch.socket(), [&](PluginRequest) {
    called = true;
    return PluginAnswer{};
  });
  REQUIRE(server.ok());
  std::string bytes = encode_request(add_request());
  std::string expected;
  SUBCASE("magic") {
    bytes[0] = 'X';
    expected = "not our plugin";
  }
  SUBCASE("version") {
    bytes[4] = 9;
    expected = "protocol version 9, this daemon speaks 1";
  }
  SUBCASE("command") {
    bytes[6] = 77;
    expected = "command 77 is unknown";
  }
  SUBCASE("a field over its limit") {
    const std::uint32_t size = 0xffffffff;
    std::memcpy(bytes.data() + offsetof(RequestHeader, field_sizes) + 4 * 5, &size, 4);
    expected = "standard input has 4294967295 bytes, at most 1048576 are allowed";
  }
  UniqueFd fd = connect_to(scratch.socket());
  send_bytes(fd.get(), bytes);
  const auto reply = receive_reply(fd.get());
  REQUIRE(reply);
  CHECK(reply->header.outcome == static_cast<std::uint8_t>(Outcome::Refused));
  CHECK(reply->output.find(expected) != std::string::npos);
  CHECK_FALSE(called);
}

TEST_CASE("another user is refused") {
  Scratch scratch;
  PluginServerOptions options;
  options.allowed_uid = ::getuid() + 1;
  auto server =
      PluginServer::start(scratch.socket(), [](PluginRequest) { return PluginAnswer{}; }, options);
  REQUIRE(server.ok());
  UniqueFd fd = connect_to(scratch.socket());
  const auto reply = receive_reply(fd.get());
  REQUIRE(reply);
  CHECK(reply->header.outcome == static_cast<std::uint8_t>(Outcome::Refused));
}

TEST_CASE("a caller that leaves in the middle leaves no trace") {
  Scratch scratch;
  std::atomic<int> calls = 0;
  auto server = PluginServer::start(scratch.socket(), [&](PluginRequest) {
    ++calls;
    return PluginAnswer{0, std::string(500'000, 'x')};
  });
  REQUIRE(server.ok());
  const std::string bytes = encode_request(add_request());
  for (std::size_t cut : {std::size_t{0}, std::size_t{3}, std::size_t{36}, bytes.size() - 1}) {
    UniqueFd fd = connect_to(scratch.socket());
    if (cut > 0) send_bytes(fd.get(), std::string_view(bytes).substr(0, cut));
  }
  UniqueFd unread = connect_to(scratch.socket());
  send_bytes(unread.get(), bytes);
  unread.reset();
  UniqueFd fd = connect_to(scratch.socket());
  send_bytes(fd.get(), bytes);
  const auto reply = receive_reply(fd.get());
  REQUIRE(reply);
  CHECK(reply->output.size() == 500'000);
  server.value().reset();
  CHECK(calls == 2);
}

TEST_CASE("a second server takes the path over, and the first one does not take it away") {
  Scratch scratch;
  auto answer = [](const std::string& text) {
    return [text](PluginRequest) { return PluginAnswer{0, text}; };
  };
  auto first = PluginServer::start(scratch.socket(), answer("first"));
  REQUIRE(first.ok());
  auto second = PluginServer::start(scratch.socket(), answer("second"));
  REQUIRE(second.ok());
  first.value().reset();
  UniqueFd fd = connect_to(scratch.socket());
  REQUIRE(fd);
  send_bytes(fd.get(), encode_request(add_request()));
  const auto reply = receive_reply(fd.get());
  REQUIRE(reply);
  CHECK(reply->output == "second");
  second.value().reset();
  CHECK_FALSE(std::filesystem::exists(scratch.socket()));
}

TEST_CASE("a path too long for a socket is refused by name") {
  Scratch scratch;
  const auto server = PluginServer::start(scratch.path / std::string(120, 'a') / "s",
                                          [](PluginRequest) { return PluginAnswer{}; });
  REQUIRE_FALSE(server.ok());
  CHECK(server.error().kind() == Error::Kind::Invalid);
  CHECK(server.error().message().find("at most") != std::string::npos);
}

TEST_CASE("decoding a request is the reverse of encoding it, and nothing shorter is taken") {
  const std::string bytes = encode_request(add_request());
  const auto decoded = decode_request(bytes);
  REQUIRE(decoded.ok());
  CHECK(encode_request(*decoded) == bytes);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CHECK_FALSE(decode_request(std::string_view(bytes).substr(0, cut)).ok());
  }
  CHECK_FALSE(decode_request(bytes + "x").ok());
}
