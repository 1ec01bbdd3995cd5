// SPDX-License-Identifier: Apache-2.0
#include "ebpf/map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>

namespace terway::ebpf {

namespace {

bool is_per_cpu(std::uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

Error failed(const MapInfo& info, std::string_view doing) {
  return Error::from_errno(errno, fmt::format("{} in map {}", doing, info.name));
}

// Entries in one system call while reading all of a map.
constexpr std::uint32_t kSlice = 1024;

}  // namespace

Result<MapInfo> map_info(int fd) {
  bpf_map_info raw{};
  std::uint32_t size = sizeof(raw);
  if (::bpf_obj_get_info_by_fd(fd, &raw, &size) != 0) {
    return Error::from_errno(errno, "ask about a BPF map");
  }
  MapInfo info;
  info.id = raw.id;
  info.type = raw.type;
  info.key_size = raw.key_size;
  info.value_size = raw.value_size;
  info.max_entries = raw.max_entries;
  info.flags = raw.map_flags;
  info.name = raw.name;
  return info;
}

Result<RawMap> RawMap::from(UniqueFd fd) {
  RawMap map;
  map.info_ = TRY(map_info(fd.get()));
  map.fd_ = std::move(fd);
  return map;
}

std::size_t RawMap::value_bytes() const {
  if (!is_per_cpu(info_.type)) return info_.value_size;
  const std::size_t each = (info_.value_size + 7U) & ~std::size_t{7};
  return each * static_cast<std::size_t>(std::max(::libbpf_num_possible_cpus(), 1));
}

Result<bool> RawMap::lookup(const void* key, void* value) const {
  if (::bpf_map_lookup_elem(fd_.get(), key, value) == 0) return true;
  if (errno == ENOENT) return false;
  return failed(info_, "look up");
}

Result<> RawMap::update(const void* key, const void* value) const {
  if (::bpf_map_update_elem(fd_.get(), key, value, BPF_ANY) == 0) return Ok{};
  // A full hash answers E2BIG.
  if (errno == E2BIG) {
    return Error(Error::Kind::Exhausted,
                 fmt::format("map {} holds {} entries and is full", info_.name, info_.max_entries));
  }
  return failed(info_, "write");
}

Result<bool> RawMap::insert(const void* key, const void* value) const {
  if (::bpf_map_update_elem(fd_.get(), key, value, BPF_NOEXIST) == 0) return true;
  if (errno == EEXIST) return false;
  return failed(info_, "insert");
}

Result<> RawMap::remove(const void* key) const {
  if (::bpf_map_delete_elem(fd_.get(), key) == 0 || errno == ENOENT) return Ok{};
  return failed(info_, "remove");
}

Result<bool> RawMap::read_slice(std::vector<std::uint8_t>& cursor, std::uint32_t slice,
                                const Each& each) const {
  const std::size_t key_size = info_.key_size;
  const std::size_t value_size = value_bytes();
  // A hash gives whole buckets: one of them must fit (ENOSPC otherwise).
  for (;; slice *= 2) {
    std::vector<std::uint8_t> keys(slice * key_size);
    std::vector<std::uint8_t> values(slice * value_size);
    std::vector<std::uint8_t> next(std::max(key_size, sizeof(std::uint32_t)));
    std::uint32_t count = slice;
    void* from = cursor.empty() ? nullptr : cursor.data();
    const int status = ::bpf_map_lookup_batch(fd_.get(), from, next.data(), keys.data(),
                                              values.data(), &count, nullptr);
    const int why = errno;
    if (status != 0 && why == ENOSPC && slice < info_.max_entries) continue;
    if (status != 0 && why != ENOENT) {
      errno = why;
      return failed(info_, "read a batch");
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      each(&keys[i * key_size], &values[i * value_size]);
    }
    cursor = status == 0 ? std::move(next) : std::vector<std::uint8_t>();
    return status == 0;
  }
}

Result<> RawMap::for_each(const Each& each) const {
  if (info_.type != BPF_MAP_TYPE_LPM_TRIE) {
    std::vector<std::uint8_t> cursor;
    while (TRY(read_slice(cursor, std::min(kSlice, info_.max_entries), each))) {
    }
    return Ok{};
  }
  std::vector<std::uint8_t> key(info_.key_size);
  std::vector<std::uint8_t> next(info_.key_size);
  std::vector<std::uint8_t> value(value_bytes());
  const void* from = nullptr;
  while (::bpf_map_get_next_key(fd_.get(), from, next.data()) == 0) {
    key = next;
    from = key.data();
    if (TRY(lookup(key.data(), value.data()))) each(key.data(), value.data());
  }
  if (errno != ENOENT) return failed(info_, "read");
  return Ok{};
}

}  // namespace terway::ebpf
