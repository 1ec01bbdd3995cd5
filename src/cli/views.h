// SPDX-License-Identifier: Apache-2.0
// What the daemon answers, as text for people.
#pragma once

#include <string>
#include <vector>

#include "base/table.h"
#include "rpc/cli_api.h"

namespace terway::cli {

std::string view(const rpc::cli::Status& status, Colour colour);
std::string view(const rpc::cli::Pods& pods, Colour colour);
std::string view(const rpc::cli::Enis& enis, Colour colour);
// One ENI and each of its addresses.
std::string view(const rpc::cli::EniEntry& eni, Colour colour);
std::string view(const std::vector<rpc::cli::PoolCounts>& pools, Colour colour);
std::string view(const rpc::cli::Pool& pool, Colour colour);
std::string view(const rpc::cli::Journal& journal, Colour colour);
std::string view(const rpc::cli::Mapping& mapping, Colour colour);
std::string view(const rpc::cli::Metadata& metadata, Colour colour);
std::string view(const rpc::cli::Config& config, Colour colour);
std::string view(const rpc::cli::Datapath& datapath, Colour colour);
std::string view(const rpc::cli::Bandwidth& limits, Colour colour);
std::string view(const rpc::cli::ResourceTypes& types, Colour colour);
std::string view(const rpc::cli::ResourceNames& names, Colour colour);
std::string view(const rpc::cli::Resource& resource, Colour colour);

}  // namespace terway::cli
