// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/faults.h"

#include <algorithm>
#include <utility>

namespace terway::vpcsim {

namespace {

constexpr std::pair<FaultKind, std::string_view> kNames[] = {
    {FaultKind::Throttle, "throttle"},
    {FaultKind::Error, "error"},
    {FaultKind::Delay, "delay"},
    {FaultKind::LostReply, "lost_reply"},
    {FaultKind::Partial, "partial"},
    {FaultKind::VSwitchExhausted, "vswitch_exhausted"},
    {FaultKind::AttachStuck, "attach_stuck"},
    {FaultKind::AttachFails, "attach_fails"},
    {FaultKind::NicNever, "nic_never"},
    {FaultKind::NicLate, "nic_late"},
    {FaultKind::MetadataError, "metadata_error"},
    {FaultKind::MetadataStale, "metadata_stale"},
    {FaultKind::MetadataMissingAddress, "metadata_missing_address"},
    {FaultKind::MetadataExtraAddress, "metadata_extra_address"},
    {FaultKind::MetadataMissingEni, "metadata_missing_eni"},
    {FaultKind::MetadataExtraEni, "metadata_extra_eni"},
};

bool matches(const Fault& fault, FaultKind kind, const Occasion& occasion) {
  if (fault.kind != kind || (fault.count && *fault.count == 0)) return false;
  if (!fault.action.empty() && fault.action != occasion.action) return false;
  if (!fault.eni_id.empty() && fault.eni_id != occasion.eni_id) return false;
  if (!fault.vswitch_id.empty() && fault.vswitch_id != occasion.vswitch_id) return false;
  return fault.instance_id.empty() ||
         std::ranges::find(occasion.instance_ids, std::string_view(fault.instance_id)) !=
             occasion.instance_ids.end();
}

Result<> check(const Fault& fault) {
  const auto refuse = [&](std::string why) -> Error {
    return Error(Error::Kind::Invalid,
                 "fault " + std::string(to_string(fault.kind)) + ": " + std::move(why));
  };
  if (fault.probability <= 0 || fault.probability > 1) {
    return refuse("probability must be greater than 0 and at most 1");
  }
  if (fault.count && *fault.count == 0) return refuse("count must be at least 1");
  if (fault.delay < Duration::zero()) return refuse("delay_ms must not be negative");
  switch (fault.kind) {
    case FaultKind::Delay:
    case FaultKind::NicLate:
    case FaultKind::MetadataStale:
      if (fault.delay == Duration::zero()) return refuse("delay_ms is missing");
      break;
    case FaultKind::Error:
    case FaultKind::MetadataError:
      if (fault.status != 0 && (fault.status < 400 || fault.status > 599)) {
        return refuse("status must be 400 to 599");
      }
      break;
    case FaultKind::MetadataExtraAddress:
      if (!fault.address) return refuse("address is missing");
      break;
    default:
      break;
  }
  return Ok{};
}

}  // namespace

std::string_view to_string(FaultKind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return name;
  }
  return "";
}

std::optional<FaultKind> fault_kind_from(std::string_view text) {
  for (const auto& [kind, name] : kNames) {
    if (name == text) return kind;
  }
  return std::nullopt;
}

std::vector<FaultKind> all_fault_kinds() {
  std::vector<FaultKind> kinds;
  for (const auto& [kind, name] : kNames) kinds.push_back(kind);
  return kinds;
}

Result<std::uint64_t> Faults::add(Fault fault) {
  TRY(check(fault));
  fault.id = ++last_id_;
  fault.struck = 0;
  faults_.push_back(std::move(fault));
  return last_id_;
}

bool Faults::clear(std::uint64_t id) {
  return std::erase_if(faults_, [&](const Fault& fault) { return fault.id == id; }) > 0;
}

std::vector<std::uint64_t> Faults::clear_all() {
  std::vector<std::uint64_t> ids;
  for (const Fault& fault : faults_) ids.push_back(fault.id);
  faults_.clear();
  return ids;
}

std::optional<Fault> Faults::strike(FaultKind kind, const Occasion& occasion) {
  for (Fault& fault : faults_) {
    if (!matches(fault, kind, occasion)) continue;
    if (fault.probability < 1 && random_.unit() >= fault.probability) continue;
    if (fault.count) --*fault.count;
    ++fault.struck;
    return fault;
  }
  return std::nullopt;
}

bool Faults::threatens(FaultKind kind, const Occasion& occasion) const {
  return std::ranges::any_of(faults_,
                             [&](const Fault& fault) { return matches(fault, kind, occasion); });
}

}  // namespace terway::vpcsim
