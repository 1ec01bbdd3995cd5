// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <fmt/core.h>

#include <algorithm>

#include "cli/text.h"
#include "cli/views.h"

namespace terway::cli {
namespace {

template <class T>
Result<std::string> answer(Daemon& daemon, const std::string& path, const Output& output) {
  const std::string body = TRY(daemon.get(path));
  const T value = TRY_WITHIN(path, rpc::cli::decode<T>(body));
  if (output.json) return body + "\n";
  return view(value, output.colour);
}

std::string resource_path(const std::string& type, const std::string& name = "") {
  std::string path = std::string(rpc::cli::kResourcesPath) + "/" + type;
  if (!name.empty()) path += "/" + name;
  return path;
}

Error unknown(std::string_view kind, const std::string& word,
              const std::vector<std::string>& known) {
  return {Error::Kind::NotFound,
          fmt::format("no {} \"{}\"; there are: {}", kind, word, joined(known))};
}

// The resource's name, checked; the first of its type where none is asked for.
Result<std::string> resolve(Daemon& daemon, const std::string& type, const std::string& name) {
  const auto types = TRY(daemon.ask<rpc::cli::ResourceTypes>(rpc::cli::kResourcesPath));
  if (std::find(types.types.begin(), types.types.end(), type) == types.types.end()) {
    return unknown("type", type, types.types);
  }
  const auto names = TRY(daemon.ask<rpc::cli::ResourceNames>(resource_path(type)));
  if (name.empty() && !names.names.empty()) return names.names.front();
  if (std::find(names.names.begin(), names.names.end(), name) == names.names.end()) {
    return unknown(type, name, names.names);
  }
  return name;
}

}  // namespace

Result<std::string> status(Daemon& daemon, const Output& output) {
  return answer<rpc::cli::Status>(daemon, rpc::cli::kStatusPath, output);
}

Result<std::string> datapath(Daemon& daemon, const Output& output) {
  return answer<rpc::cli::Datapath>(daemon, rpc::cli::kDatapathPath, output);
}

Result<std::string> pods(Daemon& daemon, const Output& output) {
  return answer<rpc::cli::Pods>(daemon, rpc::cli::kPodsPath, output);
}

Result<std::string> enis(Daemon& daemon, const std::string& id, const Output& output) {
  if (id.empty()) return answer<rpc::cli::Enis>(daemon, rpc::cli::kEnisPath, output);
  const auto all = TRY(daemon.ask<rpc::cli::Enis>(rpc::cli::kEnisPath));
  std::vector<std::string> known;
  for (const rpc::cli::EniEntry& eni : all.enis) {
    if (eni.id == id) {
      if (output.json) return rpc::cli::encode(rpc::cli::Enis{{eni}}) + "\n";
      return view(eni, output.colour);
    }
    known.push_back(eni.id);
  }
  return unknown("ENI", id, known);
}

Result<std::string> pool(Daemon& daemon, const Output& output) {
  return answer<rpc::cli::Pool>(daemon, rpc::cli::kPoolPath, output);
}

Result<std::string> journal(Daemon& daemon, const Output& output) {
  return answer<rpc::cli::Journal>(daemon, rpc::cli::kJournalPath, output);
}

Result<std::string> mapping(Daemon& daemon, const Output& output) {
  return answer<rpc::cli::Mapping>(daemon, rpc::cli::kMappingPath, output);
}

Result<std::string> metadata(Daemon& daemon, const Output& output) {
  return answer<rpc::cli::Metadata>(daemon, rpc::cli::kMetadataPath, output);
}

Result<std::string> node_config(Daemon& daemon, const Output& output) {
  return answer<rpc::cli::Config>(daemon, rpc::cli::kConfigPath, output);
}

Result<std::string> bandwidth(Daemon& daemon, const rpc::cli::BandwidthOrder& order,
                              const Output& output) {
  const std::string body = TRY(daemon.put(rpc::cli::kBandwidthPath, rpc::cli::encode(order)));
  const auto limits =
      TRY_WITHIN(rpc::cli::kBandwidthPath, rpc::cli::decode<rpc::cli::Bandwidth>(body));
  if (output.json) return body + "\n";
  return view(limits, output.colour);
}

Result<std::string> list(Daemon& daemon, const std::string& type, const Output& output) {
  if (type.empty()) {
    return answer<rpc::cli::ResourceTypes>(daemon, rpc::cli::kResourcesPath, output);
  }
  return answer<rpc::cli::ResourceNames>(daemon, resource_path(type), output);
}

Result<std::string> show(Daemon& daemon, const std::string& type, const std::string& name,
                         const Output& output) {
  const std::string found = TRY(resolve(daemon, type, name));
  return answer<rpc::cli::Resource>(daemon, resource_path(type, found), output);
}

Result<std::string> execute(Daemon& daemon, const std::string& type, const std::string& name,
                            const std::string& command, const Output& output) {
  TRY(resolve(daemon, type, name));
  if (command == "mapping") return mapping(daemon, output);
  if (command == "resdb") return journal(daemon, output);
  return unknown("command", command, {"mapping", "resdb"});
}

}  // namespace terway::cli
