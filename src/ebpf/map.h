// SPDX-License-Identifier: Apache-2.0
// A BPF map by its descriptor, with the types that bpf/abi.h gives its keys and values. Reading and
// writing are single system calls: any thread may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace terway::ebpf {

// What the kernel says of a map.
struct MapInfo {
  std::uint32_t id = 0;
  std::uint32_t type = 0;  // enum bpf_map_type
  std::uint32_t key_size = 0;
  std::uint32_t value_size = 0;  // of one CPU
  std::uint32_t max_entries = 0;
  std::uint32_t flags = 0;
  std::string name;
};
Result<MapInfo> map_info(int fd);

// Untyped: sizes are those that the kernel says.
class RawMap {
 public:
  RawMap() = default;
  // Takes the descriptor.
  static Result<RawMap> from(UniqueFd fd);

  int fd() const { return fd_.get(); }
  const MapInfo& info() const { return info_; }

  // false where there is no such key. The value of a per-CPU map is one of info().value_size
  // (rounded up to 8) for each CPU that there may be.
  Result<bool> lookup(const void* key, void* value) const;
  Result<> update(const void* key, const void* value) const;
  // false where the key is there already.
  Result<bool> insert(const void* key, const void* value) const;
  // Success where it is not there.
  Result<> remove(const void* key) const;
  // Bytes of a value as lookup() writes it.
  std::size_t value_bytes() const;

  // Calls with keys and values, `slice` of them at most, from where `cursor` says (empty: the
  // beginning); false when the end was reached. In a hash, what is inserted or removed meanwhile
  // may be seen or not, all else is seen once.
  using Each = std::function<void(const void* key, const void* value)>;
  Result<bool> read_slice(std::vector<std::uint8_t>& cursor, std::uint32_t slice,
                          const Each& each) const;
  // All of it. For maps that cannot be read in batches (tries before 5.13), key by key.
  Result<> for_each(const Each& each) const;

 private:
  UniqueFd fd_;
  MapInfo info_;
};

template <class Key, class Value>
class Map {
 public:
  Map() = default;
  // Internal when the sizes differ from the types'.
  static Result<Map> from(RawMap raw) {
    if (raw.info().key_size != sizeof(Key) || raw.info().value_size != sizeof(Value)) {
      return Error(Error::Kind::Internal, "map " + raw.info().name + " is of another layout");
    }
    Map map;
    map.raw_ = std::move(raw);
    return map;
  }

  const RawMap& raw() const { return raw_; }

  Result<std::optional<Value>> find(const Key& key) const {
    Value value{};
    if (!TRY(raw_.lookup(&key, &value))) return std::optional<Value>();
    return std::optional<Value>(value);
  }
  Result<> set(const Key& key, const Value& value) const { return raw_.update(&key, &value); }
  Result<> remove(const Key& key) const { return raw_.remove(&key); }
  template <class Each>
  Result<> for_each(Each&& each) const {
    return raw_.for_each([&](const void* key, const void* value) {
      each(*static_cast<const Key*>(key), *static_cast<const Value*>(value));
    });
  }

 private:
  RawMap raw_;
};

}  // namespace terway::ebpf
