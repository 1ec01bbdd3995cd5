// SPDX-License-Identifier: Apache-2.0
#include "ipam/operations.h"

#include <algorithm>
#include <utility>

namespace terway::ipam {

bool only_reads(OperationKind kind) {
  return kind == OperationKind::DescribeEni || kind == OperationKind::DescribeVSwitch;
}

bool assigns(OperationKind kind) {
  return kind == OperationKind::AssignIpv4 || kind == OperationKind::AssignIpv6;
}

bool unassigns(OperationKind kind) {
  return kind == OperationKind::UnassignIpv4 || kind == OperationKind::UnassignIpv6;
}

void Operations::restore(const Operation& operation) {
  OpenOperation open;
  open.operation = operation;
  open.unsure = true;
  open_.emplace(operation.id, std::move(open));
  next_id_ = std::max(next_id_, operation.id + 1);
}

std::uint64_t Operations::begin(Operation operation) {
  const std::uint64_t id = next_id_++;
  operation.id = id;
  if (!only_reads(operation.kind)) unrecorded_.insert(id);
  OpenOperation open;
  open.operation = std::move(operation);
  open_.emplace(id, std::move(open));
  return id;
}

OpenOperation* Operations::find(std::uint64_t id) {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : &found->second;
}

void Operations::retry(OpenOperation& open, Error error, Instant now, Random& random) {
  open.in_flight = false;
  open.unsure = open.unsure || error.kind() != Error::Kind::Throttled;
  open.last_error = std::move(error);
  open.backoff.fail(now, random);
}

OpenOperation Operations::end(std::uint64_t id) {
  const auto found = open_.find(id);
  OpenOperation ended = std::move(found->second);
  open_.erase(found);
  if (!only_reads(ended.operation.kind) && unrecorded_.erase(id) == 0) ended_.push_back(id);
  return ended;
}

void Operations::start_due(Instant now, std::vector<Operation>& start, Alarm& alarm) {
  for (auto& [id, open] : open_) {
    if (open.in_flight) continue;
    if (!open.backoff.over(now)) {
      alarm.at(open.backoff.until());
      continue;
    }
    open.in_flight = true;
    open.started = now;
    if (open.begun == Instant{}) open.begun = now;
    start.push_back(open.operation);
  }
}

void Operations::collect(Changes& changes) {
  for (const std::uint64_t id : unrecorded_) changes.begun.push_back(open_.at(id).operation);
  unrecorded_.clear();
  std::swap(changes.ended, ended_);
  ended_.clear();
}

}  // namespace terway::ipam
