// SPDX-License-Identifier: Apache-2.0
#include "rpc/plugin_request.h"

#include <fmt/core.h>

#include <array>
#include <cstring>

namespace terway::rpc {

namespace {

constexpr std::array<const char*, kFields> kFieldNames = {
    "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH", "standard input"};

bool is_sent(std::uint8_t command) {
  return command >= static_cast<std::uint8_t>(cni::Command::Add) &&
         command <= static_cast<std::uint8_t>(cni::Command::Status);
}

}  // namespace

std::variant<cni::Request, cni::Failure> understand(const PluginRequest& request) {
  cni::Call call;
  call.command = request.command;
  call.container_id = request.container_id;
  call.netns_path = request.netns_path;
  call.ifname = request.ifname;
  call.args = request.args;
  call.config = request.config;
  std::variant<cni::Request, cni::Failure> parsed = cni::parse_request(call);
  const bool needs_namespace =
      request.command == cni::Command::Add || request.command == cni::Command::Check;
  if (!std::holds_alternative<cni::Request>(parsed) || !needs_namespace || request.netns) {
    return parsed;
  }
  cni::Failure failure;
  failure.version = to_string(std::get<cni::Request>(parsed).config.version);
  failure.code = cni::Code::InvalidEnvironment;
  failure.message = "the pod's network namespace cannot be used";
  failure.details = fmt::format(
      "CNI_NETNS: {}: {}", request.netns_path,
      request.netns_state == Netns::Unopened
          ? Error::from_errno(request.netns_errno, "open").message()
          : "this is no network namespace (its mount may be gone, which leaves an empty file)");
  return failure;
}

PluginAnswer answer_with(const cni::AddResult& result, cni::Version version) {
  return {0, to_json(result, version)};
}

PluginAnswer answer_with(const cni::Failure& failure) { return {1, to_json(failure)}; }

Result<> check(const RequestHeader& header) {
  if (header.magic != kRequestMagic) {
    return Error(Error::Kind::Invalid,
                 fmt::format("plugin request: magic {:#010x}, not {:#010x}: not our plugin",
                             header.magic, kRequestMagic));
  }
  if (header.version != kFrameVersion) {
    return Error(Error::Kind::Invalid,
                 fmt::format("plugin request: protocol version {}, this daemon speaks {}",
                             header.version, kFrameVersion));
  }
  if (!is_sent(header.command)) {
    return Error(Error::Kind::Invalid,
                 fmt::format("plugin request: command {} is unknown", header.command));
  }
  if (header.netns > static_cast<std::uint8_t>(Netns::Unopened)) {
    return Error(Error::Kind::Invalid,
                 fmt::format("plugin request: namespace state {} is unknown", header.netns));
  }
  for (unsigned i = 0; i < kFields; ++i) {
    if (header.field_sizes[i] > kFieldLimits[i]) {
      return Error(Error::Kind::Invalid,
                   fmt::format("plugin request: {} has {} bytes, at most {} are allowed",
                               kFieldNames[i], header.field_sizes[i], kFieldLimits[i]));
    }
  }
  return Ok{};
}

std::size_t body_size(const RequestHeader& header) {
  std::size_t size = 0;
  for (const std::uint32_t field : header.field_sizes) size += field;
  return size;
}

PluginRequest request_from(const RequestHeader& header, std::string_view body) {
  PluginRequest request;
  request.command = static_cast<cni::Command>(header.command);
  request.netns_state = static_cast<Netns>(header.netns);
  request.netns_errno = static_cast<int>(header.netns_errno);
  const std::array<std::string*, kFields> fields = {&request.container_id, &request.netns_path,
                                                    &request.ifname,       &request.args,
                                                    &request.path,         &request.config};
  for (unsigned i = 0; i < kFields; ++i) {
    fields[i]->assign(body.substr(0, header.field_sizes[i]));
    body.remove_prefix(header.field_sizes[i]);
  }
  return request;
}

Result<PluginRequest> decode_request(std::string_view bytes) {
  RequestHeader header;
  if (bytes.size() < sizeof header) {
    return Error(Error::Kind::Invalid, fmt::format("plugin request: {} bytes, a header has {}",
                                                   bytes.size(), sizeof header));
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.remove_prefix(sizeof header);
  TRY(check(header));
  if (bytes.size() != body_size(header)) {
    return Error(Error::Kind::Invalid,
                 fmt::format("plugin request: {} bytes after the header, which announces {}",
                             bytes.size(), body_size(header)));
  }
  return request_from(header, bytes);
}

std::string encode_request(const PluginRequest& request) {
  RequestHeader header{};
  header.magic = kRequestMagic;
  header.version = kFrameVersion;
  header.command = static_cast<std::uint8_t>(request.command);
  header.netns = static_cast<std::uint8_t>(request.netns_state);
  header.netns_errno = static_cast<std::uint32_t>(request.netns_errno);
  const std::array<const std::string*, kFields> fields = {
      &request.container_id, &request.netns_path, &request.ifname,
      &request.args,         &request.path,       &request.config};
  for (unsigned i = 0; i < kFields; ++i) {
    header.field_sizes[i] = static_cast<std::uint32_t>(fields[i]->size());
  }
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  for (const std::string* field : fields) bytes += *field;
  return bytes;
}

}  // namespace terway::rpc
