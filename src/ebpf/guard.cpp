// SPDX-License-Identifier: Apache-2.0
#include "ebpf/guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/fd.h"
#include "base/file.h"
#include "bpf/guard.skel.h"
#include "bpf/guard_abi.h"
#include "ebpf/hash.h"

namespace terway::ebpf {

namespace {

namespace fs = std::filesystem;
namespace abi = guard_abi;

constexpr std::string_view kLinkPrefix = "link_";

fs::path versioned(const fs::path& folder) { return folder / fmt::format("v{}", GUARD_ABI); }

std::string_view describe(std::uint32_t reach) {
  switch (reach) {
    case abi::GUARD_BY_ID:
      return "named a namespace by its number (IFLA_LINK_NETNSID or IFLA_TARGET_NETNSID)";
    case abi::GUARD_BY_PID:
      return "named a namespace by a process in it (IFLA_NET_NS_PID)";
    case abi::GUARD_BY_FD:
      return "named a namespace by a descriptor (IFLA_NET_NS_FD)";
    case abi::GUARD_IPVLAN_SET:
      return "set mode or flags of the IPVLAN port";
    case abi::GUARD_IPVLAN_NEW:
      return "made an IPVLAN on its IPVLAN";
    default:
      return "reached out of its namespace";
  }
}

// 64 bits, for a map has no room for all of the key.
std::uint64_t owner_of(const model::AttachmentKey& key) { return hash(key.to_string()); }

using Tag = std::array<std::uint8_t, BPF_TAG_SIZE>;

std::optional<Tag> tag_of_program(int program) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof(info);
  if (::bpf_obj_get_info_by_fd(program, &info, &size) != 0) return std::nullopt;
  Tag tag;
  std::memcpy(tag.data(), info.tag, tag.size());
  return tag;
}

// Of the program behind a pinned link; nullopt where there is none.
std::optional<Tag> tag_of_link(const fs::path& pin) {
  const UniqueFd link(::bpf_obj_get(pin.c_str()));
  if (!link) return std::nullopt;
  bpf_link_info info{};
  std::uint32_t size = sizeof(info);
  if (::bpf_obj_get_info_by_fd(link.get(), &info, &size) != 0) return std::nullopt;
  const UniqueFd program(::bpf_prog_get_fd_by_id(info.prog_id));
  return program ? tag_of_program(program.get()) : std::nullopt;
}

fs::path pin_of(const fs::path& folder, const bpf_program* program) {
  return versioned(folder) / (std::string(kLinkPrefix) + ::bpf_program__name(program));
}

// The link stays when its descriptor is closed, for it is pinned. What had the name goes only
// now: there is no moment without either.
Result<> attach(const fs::path& folder, const bpf_program* program) {
  const fs::path pin = pin_of(folder, program);
  const fs::path beside = pin.native() + "_new";
  bpf_link* link = ::bpf_program__attach(program);
  if (link == nullptr) {
    return Error::from_errno(errno, fmt::format("attach {}", ::bpf_program__name(program)));
  }
  (void)::unlink(beside.c_str());
  int failed = ::bpf_link__pin(link, beside.c_str()) == 0 ? 0 : errno;
  if (failed == 0 && ::rename(beside.c_str(), pin.c_str()) != 0) failed = errno;
  (void)::bpf_link__destroy(link);
  if (failed == 0) return Ok{};
  (void)::unlink(beside.c_str());
  return Error::from_errno(failed, fmt::format("pin {}", pin.native()));
}

// The names of those that were not attached, or not as they are now.
Result<std::vector<std::string>> attach_missing(const fs::path& folder, guard_bpf& programs) {
  std::vector<std::string> attached;
  bpf_program* program = nullptr;
  while ((program = ::bpf_object__next_program(programs.obj, program)) != nullptr) {
    if (!::bpf_program__autoload(program)) continue;
    const auto loaded = tag_of_program(::bpf_program__fd(program));
    const auto pinned = tag_of_link(pin_of(folder, program));
    if (loaded && pinned == loaded) continue;
    TRY(attach(folder, program));
    attached.emplace_back(::bpf_program__name(program));
  }
  return attached;
}

// Programs of the BPF LSM load and attach also where the kernel never calls them.
Result<> make_sure_that_it_is_asked(guard_bpf& programs) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int size = 4096;
  programs.bss->asker = static_cast<std::uint32_t>(::getpid());
  // Asks for CAP_NET_ADMIN.
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
  programs.bss->asker = 0;
  if (programs.bss->asked != 0) return Ok{};
  const auto list = read_file("/sys/kernel/security/lsm");
  return Error(Error::Kind::Unavailable,
               fmt::format("the kernel asks no BPF program for permission: `bpf` is not in its "
                           "list of security modules ({}); boot it with `lsm=` and that list, "
                           "`bpf` at its end",
                           list.ok() ? *list : "/sys/kernel/security/lsm cannot be read"));
}

Error why_not_loaded(int failed, const std::string& log) {
  std::string why = Error::from_errno(failed, "load the guard's programs").message();
  if (failed == EPERM || failed == EACCES) {
    why += "; the kernel does not let programs be attached to its functions";
  } else {
    why += "; it takes Linux 6.1 with CONFIG_BPF_LSM and CONFIG_DEBUG_INFO_BTF";
  }
  if (log[0] != '\0') why += fmt::format(" ({:.400})", log.c_str());
  return {Error::Kind::Unavailable, std::move(why)};
}

Result<> load(guard_bpf& programs) {
  std::string log(64UL * 1024, '\0');
  bpf_program* program = nullptr;
  while ((program = ::bpf_object__next_program(programs.obj, program)) != nullptr) {
    (void)::bpf_program__set_log_buf(program, log.data(), log.size());
  }
  const int failed = guard_bpf::load(&programs);
  return failed == 0 ? Result<>(Ok{}) : why_not_loaded(-failed, log);
}

int on_refusal(void* context, void* data, std::size_t size) {
  const auto& each = *static_cast<std::function<void(const Guard::Refusal&)>*>(context);
  abi::guard_refusal raw;
  if (size < sizeof(raw) || !each) return 0;
  std::memcpy(&raw, data, sizeof(raw));
  const std::size_t length = ::strnlen(raw.program, sizeof(raw.program));
  each({raw.pid, std::string(raw.program, length), raw.subject, raw.target, describe(raw.reach)});
  return 0;
}

}  // namespace

void Guard::Close::operator()(guard_bpf* programs) const { guard_bpf::destroy(programs); }
void Guard::Close::operator()(ring_buffer* refusals) const { ::ring_buffer__free(refusals); }

Guard::Guard(fs::path folder, Programs programs)
    : folder_(std::move(folder)),
      programs_(std::move(programs)),
      each_(std::make_unique<std::function<void(const Refusal&)>>()) {}
Guard::Guard(Guard&&) noexcept = default;
Guard& Guard::operator=(Guard&&) noexcept = default;
Guard::~Guard() = default;

Result<Guard> Guard::open(const fs::path& folder) {
  ::libbpf_set_print(nullptr);
  std::error_code failed;
  fs::create_directories(versioned(folder), failed);
  if (failed) return Error::from_errno(failed.value(), "make " + versioned(folder).native());
  Programs programs(guard_bpf::open());
  if (!programs) return Error::from_errno(errno, "open the guard's programs");
  for (bpf_map* map :
       {programs->maps.guard_spaces, programs->maps.guard_tasks, programs->maps.guard_refusals}) {
    const fs::path pin = versioned(folder) / ::bpf_map__name(map);
    if (::bpf_map__set_pin_path(map, pin.c_str()) != 0) {
      return Error::from_errno(errno, "set the path of " + pin.native());
    }
  }
  if (auto loaded = load(*programs); !loaded.ok()) {
    // Only what is empty: programs of a former daemon guard on.
    fs::remove(versioned(folder), failed);
    fs::remove(folder, failed);
    return loaded.take_error();
  }
  auto attached = attach_missing(folder, *programs);
  Result<> usable = Ok{};
  if (!attached.ok()) {
    usable = attached.take_error();
  } else if (!attached->empty()) {
    usable = make_sure_that_it_is_asked(*programs);
  }
  if (!usable.ok()) {
    (void)remove(folder);
    return usable.take_error();
  }
  Guard guard(folder, std::move(programs));
  guard.refusals_.reset(::ring_buffer__new(::bpf_map__fd(guard.programs_->maps.guard_refusals),
                                           on_refusal, guard.each_.get(), nullptr));
  if (!guard.refusals_) return Error::from_errno(errno, "open the guard's ring buffer");
  return guard;
}

int Guard::spaces() const { return ::bpf_map__fd(programs_->maps.guard_spaces); }

Result<> Guard::write(std::uint64_t netns, std::uint32_t role, std::uint64_t owner) {
  const auto key = static_cast<std::uint32_t>(netns);
  const abi::guard_space space{role, 0, owner};
  if (::bpf_map_update_elem(spaces(), &key, &space, BPF_ANY) == 0) return Ok{};
  return Error::from_errno(errno, fmt::format("guard namespace {}", netns));
}

Result<> Guard::set_host(std::uint64_t netns) { return write(netns, abi::GUARD_HOST, 0); }

Result<> Guard::add_pod(const model::AttachmentKey& key, std::uint64_t netns) {
  return write(netns, abi::GUARD_POD, owner_of(key));
}

Result<> Guard::remove_pod(const model::AttachmentKey& key) {
  const std::uint64_t owner = owner_of(key);
  std::uint32_t netns = 0;
  const std::uint32_t* last = nullptr;
  abi::guard_space space{};
  while (::bpf_map_get_next_key(spaces(), last, &netns) == 0) {
    if (::bpf_map_lookup_elem(spaces(), &netns, &space) == 0 && space.role == abi::GUARD_POD &&
        space.owner == owner) {
      (void)::bpf_map_delete_elem(spaces(), &netns);
      return Ok{};
    }
    last = &netns;
  }
  return Ok{};
}

Result<std::size_t> Guard::keep_pods(const std::vector<model::AttachmentKey>& keys) {
  std::vector<std::uint64_t> owners;
  owners.reserve(keys.size());
  for (const model::AttachmentKey& key : keys) owners.push_back(owner_of(key));
  std::sort(owners.begin(), owners.end());
  std::vector<std::uint32_t> strangers;
  std::uint32_t netns = 0;
  const std::uint32_t* last = nullptr;
  abi::guard_space space{};
  while (::bpf_map_get_next_key(spaces(), last, &netns) == 0) {
    if (::bpf_map_lookup_elem(spaces(), &netns, &space) == 0 && space.role == abi::GUARD_POD &&
        !std::binary_search(owners.begin(), owners.end(), space.owner)) {
      strangers.push_back(netns);
    }
    last = &netns;
  }
  for (const std::uint32_t stranger : strangers) {
    if (::bpf_map_delete_elem(spaces(), &stranger) != 0 && errno != ENOENT) {
      return Error::from_errno(errno, fmt::format("stop guarding namespace {}", stranger));
    }
  }
  return strangers.size();
}

Result<std::vector<std::string>> Guard::restore() { return attach_missing(folder_, *programs_); }

int Guard::poll_fd() const { return ::ring_buffer__epoll_fd(refusals_.get()); }

void Guard::drain(const std::function<void(const Refusal&)>& each) {
  *each_ = each;
  (void)::ring_buffer__consume(refusals_.get());
  *each_ = nullptr;
}

Result<> Guard::remove(const fs::path& folder) {
  std::error_code failed;
  fs::remove_all(folder, failed);
  if (failed) return Error::from_errno(failed.value(), "remove " + folder.native());
  return Ok{};
}

}  // namespace terway::ebpf
