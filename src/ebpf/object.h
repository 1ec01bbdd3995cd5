// SPDX-License-Identifier: Apache-2.0
// The datapath's programs and maps (bpf/datapath.bpf.c), loaded once for the node. Maps and
// programs are pinned below <bpffs>/terway/v<TERWAY_ABI>/ and outlive the daemon; a daemon that
// comes later goes on with those that are there where they are the same, and otherwise puts its
// own in their place. libbpf's types stop in this folder.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/abi.h"
#include "ebpf/map.h"
#include "ebpf/program.h"

namespace terway::ebpf {

// An entry of a map of another ABI, or of another layout: what becomes of it.
struct Entry {
  std::vector<std::uint8_t> key;
  std::vector<std::uint8_t> value;
};
// `key_size` and `value_size` are those that the entry must have now. nullopt: dropped.
using Convert =
    std::function<std::optional<Entry>(unsigned from_abi, std::string_view map, const Entry& old,
                                       std::size_t key_size, std::size_t value_size)>;

class Object {
 public:
  // `bpffs` is a BPF file system (bpffs.h). Unavailable, with the verifier's last words, where the
  // kernel does not take the programs.
  static Result<Object> load(const std::filesystem::path& bpffs, const Convert& convert);
  // Removes all that is pinned there, of every ABI; success when there is nothing.
  static Result<> unpin(const std::filesystem::path& bpffs);

  int fd(Program program) const { return programs_[index(program)].get(); }
  const ProgramInfo& info(Program program) const { return infos_[index(program)]; }

  // Once the programs are attached: what came into maps of other ABIs since load() is taken over
  // as well, and they are unpinned. How many entries were taken over in all.
  Result<std::size_t> finish_migration(const Convert& convert);
  bool migrating() const { return !other_abis_.empty(); }
  // What load() found there and what it made, for the log.
  const std::string& news() const { return news_; }

  // The lower half of the kernel's jiffies, by which `flow.seen` is told.
  Result<std::uint32_t> now_jiffies() const;

  Map<abi::ip_address, abi::endpoint> endpoints;
  Map<abi::flow_key, abi::flow> flows;
  Map<abi::prefix_key, std::uint8_t> host_stack;
  Map<std::uint32_t, abi::config> config;
  RawMap counts;       // per CPU: u32 -> abi::count
  RawMap events_lost;  // per CPU: u32 -> u64
  RawMap events;       // ring buffer (events.h)
  // All pinned maps by name, for showing.
  const std::map<std::string, MapInfo>& maps() const { return maps_; }

 private:
  static std::size_t index(Program program) { return static_cast<std::size_t>(program); }
  struct OtherAbi {
    unsigned abi = 0;
    std::filesystem::path folder;
  };

  Result<bool> open_same_build();
  Result<> load_anew();
  Result<> open_maps();
  Result<std::size_t> take_over(const OtherAbi& other, const Convert& convert) const;

  std::filesystem::path folder_;
  std::array<UniqueFd, kPrograms> programs_;
  std::array<ProgramInfo, kPrograms> infos_;
  UniqueFd read_jiffies_;
  std::map<std::string, MapInfo> maps_;
  std::vector<OtherAbi> other_abis_;
  std::string news_;
};

}  // namespace terway::ebpf
