// SPDX-License-Identifier: Apache-2.0
// A caller of CNI plugins as the specification demands (CNI SPEC 1.1.0 section 3 and 4): reads a
// network configuration list, derives each plugin's own, executes them in order, passes results on.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace terway::lab {

// What the runtime tells about one attachment.
struct CniCall {
  std::string container_id;
  std::string netns;  // a path; may be empty for DEL
  std::string ifname = "eth0";
  std::string args;  // CNI_ARGS
  // By capability name, JSON texts: "bandwidth" -> {"ingressRate":…}. Given to plugins that declare
  // it.
  std::map<std::string, std::string> capabilities;
};

// The list in force: the first *.conflist of the directory, by name.
class CniChain {
 public:
  // NotFound where there is none; Invalid where it breaks the specification.
  static Result<CniChain> load(const std::filesystem::path& conf_dir,
                               std::vector<std::filesystem::path> bin_dirs,
                               const std::filesystem::path& cache_dir);

  // The result as JSON, checked against the specification (version, interface indices, addresses);
  // cached for CHECK and DEL. On failure DEL has been called for the whole chain.
  Result<std::string> add(const CniCall& call) const;
  Result<> check(const CniCall& call) const;
  // In reverse order; forgets the cached result.
  Result<> del(const CniCall& call) const;
  // With the attachments that are valid; only for lists of 1.1.0 and up.
  Result<> gc(const std::vector<CniCall>& valid) const;
  Result<> status() const;

  const std::string& name() const { return name_; }
  const std::string& version() const { return version_; }

 private:
  struct Plugin {
    std::string type;
    std::string config;  // JSON, as it stands in the list
  };
  std::string derive(const Plugin& plugin, const CniCall& call, const std::string& previous,
                     const std::string& extra) const;
  Result<std::string> execute(const Plugin& plugin, const std::string& verb, const CniCall& call,
                              const std::string& config) const;
  std::filesystem::path cached(const CniCall& call) const;

  std::string name_;
  std::string version_;
  bool disable_check_ = false;
  bool disable_gc_ = false;
  std::vector<Plugin> plugins_;
  std::vector<std::filesystem::path> bin_dirs_;
  std::filesystem::path cache_dir_;
};

}  // namespace terway::lab
