// SPDX-License-Identifier: Apache-2.0
// Views of the resources that `list` and `show` name.
#include "cli/text.h"
#include "cli/views.h"

namespace terway::cli {
namespace {

std::string table_of(const std::vector<rpc::cli::KeyValue>& entries, Colour colour) {
  Table table({{"KEY"}, {"VALUE"}});
  for (const rpc::cli::KeyValue& entry : entries) table.add({{entry.key}, {entry.value}});
  return table.to_string(colour);
}

}  // namespace

std::string view(const rpc::cli::ResourceTypes& types, Colour colour) {
  Table table({{"TYPE"}});
  for (const std::string& type : types.types) table.add({{type}});
  return table.to_string(colour);
}

std::string view(const rpc::cli::ResourceNames& names, Colour colour) {
  Table table({{"TYPE"}, {"NAME"}});
  for (const std::string& name : names.names) table.add({{names.type}, {name}});
  return table.to_string(colour);
}

std::string view(const rpc::cli::Resource& resource, Colour colour) {
  std::string out = pairs({{"Type", {resource.type}}, {"Name", {resource.name}}}, colour);
  if (!resource.config.empty()) {
    out += section("Configuration", colour) + table_of(resource.config, colour);
  }
  if (!resource.trace.empty()) out += section("State", colour) + table_of(resource.trace, colour);
  return out;
}

}  // namespace terway::cli
