// SPDX-License-Identifier: Apache-2.0
#include "ebpf/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <set>

#include "bpf/datapath.skel.h"
#include "ebpf/bpffs.h"
#include "ebpf/hash.h"

namespace terway::ebpf {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kFolder = "terway";
constexpr std::string_view kProgramsFolder = "programs";
// Maps of the same ABI but of another layout (a size was changed) step aside to here.
constexpr std::string_view kReplaced = "_replaced";

constexpr std::string_view kReadJiffies = "read_jiffies";
// A symbolic link that says which build pinned what is there, last of all.
constexpr std::string_view kBuild = "build";

std::string build_of_object() {
  std::size_t size = 0;
  const auto* bytes = static_cast<const char*>(datapath_bpf::elf_bytes(&size));
  return fmt::format("{:016x}", hash({bytes, size}));
}

struct Destroy {
  void operator()(datapath_bpf* skeleton) const { datapath_bpf::destroy(skeleton); }
};
using Skeleton = std::unique_ptr<datapath_bpf, Destroy>;

// What libbpf has to say goes into errors: the end of it, where the verifier's verdict is.
thread_local std::string words;

int keep_words(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  std::array<char, 4096> line;
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  if (length > 0) {
    words.append(line.data(), std::min(static_cast<std::size_t>(length), line.size() - 1));
  }
  return length;
}

std::string last_words() {
  constexpr std::size_t kMost = 600;
  std::string end = words.size() > kMost ? "… " + words.substr(words.size() - kMost) : words;
  std::replace(end.begin(), end.end(), '\n', ' ');
  return end;
}

Result<> make_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return Error::from_errno(failed.value(), "make " + folder.native());
  return Ok{};
}

bool has_layout_of(const bpf_map* map, const MapInfo& there) {
  return there.type == static_cast<std::uint32_t>(bpf_map__type(map)) &&
         there.key_size == bpf_map__key_size(map) && there.value_size == bpf_map__value_size(map) &&
         there.max_entries == bpf_map__max_entries(map) && there.flags == bpf_map__map_flags(map);
}

// Gives the map that is pinned under its name to the object, which then makes none.
Result<> reuse_pinned(bpf_map* map, const fs::path& folder) {
  const std::string name = bpf_map__name(map);
  auto pinned = open_pinned(folder / name);
  if (pinned.is(Error::Kind::NotFound)) return Ok{};
  const UniqueFd fd = TRY(std::move(pinned));
  const MapInfo there = TRY(map_info(fd.get()));
  if (has_layout_of(map, there)) {
    if (bpf_map__reuse_fd(map, fd.get()) == 0) return Ok{};
    return Error::from_errno(errno, "take over the pinned map " + name);
  }
  const fs::path aside = folder.native() + std::string(kReplaced);
  TRY(make_folder(aside));
  std::error_code failed;
  fs::rename(folder / name, aside / name, failed);
  if (failed) return Error::from_errno(failed.value(), "put aside the pinned map " + name);
  return Ok{};
}

// The maps that a program uses: pinned ones by identity, constants by content.
Result<std::vector<std::string>> uses_of(const ProgramInfo& program) {
  std::vector<std::string> uses;
  for (const std::uint32_t id : program.map_ids) {
    UniqueFd fd(::bpf_map_get_fd_by_id(id));
    if (!fd) return Error::from_errno(errno, "open a map by its id");
    const RawMap map = TRY(RawMap::from(std::move(fd)));
    if (map.info().name.find('.') == std::string::npos) {
      uses.push_back(std::to_string(id));
      continue;
    }
    std::string content(map.value_bytes(), '\0');
    const std::uint32_t zero = 0;
    TRY(map.lookup(&zero, content.data()));
    uses.push_back(map.info().name + content);
  }
  std::sort(uses.begin(), uses.end());
  return uses;
}

// The program that is pinned, where it does the same with the same maps; else an empty one.
Result<UniqueFd> find_same(const fs::path& path, const ProgramInfo& fresh) {
  auto pinned = open_pinned(path);
  if (pinned.is(Error::Kind::NotFound)) return UniqueFd();
  UniqueFd fd = TRY(std::move(pinned));
  const ProgramInfo info = TRY(program_info(fd.get()));
  if (info.tag != fresh.tag) return UniqueFd();
  const auto theirs = TRY(uses_of(info));
  const auto ours = TRY(uses_of(fresh));
  if (theirs != ours) return UniqueFd();
  return fd;
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return Error::from_errno(errno, "duplicate a descriptor");
  return copy;
}

Result<Skeleton> open_and_load(const fs::path& folder) {
  words.clear();
  ::libbpf_set_print(keep_words);
  Skeleton skeleton(datapath_bpf::open());
  if (!skeleton) return Error::from_errno(errno, "read the datapath's programs");
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    if (!bpf_map__is_internal(map)) TRY(reuse_pinned(map, folder));
  }
  const int failed = bpf_object__load(skeleton->obj);
  if (failed != 0) {
    return Error(Error::Kind::Unavailable,
                 fmt::format("the kernel does not take the datapath's programs: {}",
                             Error::from_errno(-failed, last_words()).message()));
  }
  return skeleton;
}

Result<RawMap> open_map(const fs::path& path) {
  UniqueFd fd = TRY(open_pinned(path));
  return RawMap::from(std::move(fd));
}

template <class Typed>
Result<> open_typed(Typed& typed, const fs::path& path) {
  RawMap map = TRY(open_map(path));
  typed = TRY(Typed::from(std::move(map)));
  return Ok{};
}

// "v2" and "v1_replaced" among the folders.
std::optional<unsigned> abi_of(std::string_view name) {
  if (name.ends_with(kReplaced)) name.remove_suffix(kReplaced.size());
  unsigned abi = 0;
  if (!name.starts_with('v')) return std::nullopt;
  const char* end = name.data() + name.size();
  const auto read = std::from_chars(name.data() + 1, end, abi);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return abi;
}

}  // namespace

Result<Object> Object::load(const fs::path& bpffs, const Convert& convert) {
  Object object;
  const fs::path root = bpffs / kFolder;
  object.folder_ = root / fmt::format("v{}", TERWAY_ABI);
  TRY(make_folder(object.folder_ / kProgramsFolder));
  auto there = object.open_same_build();
  if (!there.ok() || !*there) TRY(object.load_anew());
  TRY(object.open_maps());

  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(root, failed)) {
    const auto abi = abi_of(entry.path().filename().native());
    if (!abi || entry.path() == object.folder_) continue;
    object.other_abis_.push_back({*abi, entry.path()});
    const std::size_t taken = TRY(object.take_over(object.other_abis_.back(), convert));
    object.news_ += fmt::format("; {} entries taken over from {}", taken, entry.path().native());
  }
  return object;
}

// Everything is pinned, by this very build, and belongs together: nothing needs to be verified
// anew, which takes a second. false where it is not so.
Result<bool> Object::open_same_build() {
  std::error_code failed;
  if (fs::read_symlink(folder_ / kBuild, failed) != build_of_object() || failed) return false;
  std::set<std::uint32_t> pinned;
  for (const auto& entry : fs::directory_iterator(folder_, failed)) {
    if (entry.is_directory() || entry.is_symlink()) continue;
    const UniqueFd fd = TRY(open_pinned(entry.path()));
    const MapInfo info = TRY(map_info(fd.get()));
    maps_[entry.path().filename()] = info;
    pinned.insert(info.id);
  }
  const auto open_program = [&](std::string_view name, UniqueFd& fd) -> Result<ProgramInfo> {
    fd = TRY(open_pinned(folder_ / kProgramsFolder / name));
    ProgramInfo info = TRY(program_info(fd.get()));
    for (const std::uint32_t id : info.map_ids) {
      if (pinned.contains(id)) continue;
      return Error(Error::Kind::NotFound, fmt::format("a map of {} is not pinned", name));
    }
    return info;
  };
  for (std::size_t i = 0; i < kPrograms; ++i) {
    infos_[i] = TRY(open_program(to_string(static_cast<Program>(i)), programs_[i]));
  }
  TRY(open_program(kReadJiffies, read_jiffies_));
  news_ = "all programs of this build are there already";
  return true;
}

Result<> Object::load_anew() {
  maps_.clear();
  std::error_code ignored;
  fs::remove(folder_ / kBuild, ignored);
  const Skeleton skeleton = TRY(open_and_load(folder_));
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    if (bpf_map__is_internal(map)) continue;
    const std::string name = bpf_map__name(map);
    if (!fs::exists(folder_ / name, ignored)) TRY(pin(bpf_map__fd(map), folder_ / name));
    maps_[name] = TRY(map_info(bpf_map__fd(map)));
  }
  std::string replaced;
  const auto keep = [&](const std::string& name, UniqueFd& fd) -> Result<ProgramInfo> {
    const bpf_program* program = bpf_object__find_program_by_name(skeleton->obj, name.c_str());
    if (program == nullptr) {
      return Error(Error::Kind::Internal, "the datapath's object has no program " + name);
    }
    const ProgramInfo fresh = TRY(program_info(bpf_program__fd(program)));
    const fs::path path = folder_ / kProgramsFolder / name;
    fd = TRY(find_same(path, fresh));
    if (fd) return program_info(fd.get());
    fd = TRY(duplicate(bpf_program__fd(program)));
    TRY(pin(fd.get(), path));
    replaced += (replaced.empty() ? "" : ", ") + name;
    return fresh;
  };
  for (std::size_t i = 0; i < kPrograms; ++i) {
    infos_[i] = TRY(keep(std::string(to_string(static_cast<Program>(i))), programs_[i]));
  }
  TRY(keep(std::string(kReadJiffies), read_jiffies_));
  news_ = replaced.empty() ? "all programs are there already" : "new programs: " + replaced;
  fs::create_symlink(build_of_object(), folder_ / kBuild, ignored);
  return Ok{};
}

Result<> Object::open_maps() {
  TRY(open_typed(endpoints, folder_ / "endpoints"));
  TRY(open_typed(flows, folder_ / "flows"));
  TRY(open_typed(host_stack, folder_ / "host_stack"));
  TRY(open_typed(config, folder_ / "config"));
  counts = TRY(open_map(folder_ / "counts"));
  events_lost = TRY(open_map(folder_ / "events_lost"));
  events = TRY(open_map(folder_ / "events"));
  return Ok{};
}

Result<> Object::unpin(const fs::path& bpffs) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(bpffs / kFolder, failed)) {
    if (!abi_of(entry.path().filename().native())) continue;
    std::error_code kept;
    fs::remove_all(entry.path(), kept);
    if (kept) return Error::from_errno(kept.value(), "remove " + entry.path().native());
  }
  return Ok{};
}

Result<std::size_t> Object::take_over(const OtherAbi& other, const Convert& convert) const {
  std::size_t taken = 0;
  for (const auto& [name, info] : maps_) {
    // Arrays hold settings and counters; those begin anew.
    if (info.type != BPF_MAP_TYPE_HASH && info.type != BPF_MAP_TYPE_LRU_HASH) continue;
    auto pinned = open_map(other.folder / name);
    if (pinned.is(Error::Kind::NotFound)) continue;
    const RawMap from = TRY(std::move(pinned));
    if (from.info().type != info.type) continue;
    const RawMap into = TRY(open_map(folder_ / name));
    std::optional<Error> failure;
    TRY(from.for_each([&](const void* key, const void* value) {
      const auto* k = static_cast<const std::uint8_t*>(key);
      const auto* v = static_cast<const std::uint8_t*>(value);
      const Entry old{{k, k + from.info().key_size}, {v, v + from.info().value_size}};
      const auto entry = convert(other.abi, name, old, info.key_size, info.value_size);
      if (!entry) return;
      auto inserted = into.insert(entry->key.data(), entry->value.data());
      if (inserted.ok()) {
        taken += *inserted ? 1 : 0;
      } else if (!failure) {
        failure = inserted.take_error();
      }
    }));
    if (failure) return std::move(*failure);
  }
  return taken;
}

Result<std::size_t> Object::finish_migration(const Convert& convert) {
  std::size_t taken = 0;
  for (const OtherAbi& other : other_abis_) {
    taken += TRY(take_over(other, convert));
    std::error_code kept;
    fs::remove_all(other.folder, kept);
    if (kept) return Error::from_errno(kept.value(), "remove " + other.folder.native());
  }
  other_abis_.clear();
  return taken;
}

Result<std::uint32_t> Object::now_jiffies() const {
  // The least that a test run takes: an Ethernet header.
  std::array<std::uint8_t, 64> frame{};
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = frame.data();
  options.data_size_in = frame.size();
  if (::bpf_prog_test_run_opts(read_jiffies_.get(), &options) != 0) {
    return Error::from_errno(errno, "ask for the kernel's jiffies");
  }
  return options.retval;
}

}  // namespace terway::ebpf
