// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/history.h"

#include "vpcsim/world.h"

namespace terway::vpcsim {

NicViews nics_of(const World& world, const std::string& instance_id) {
  NicViews views;
  for (const EniRecord* record : world.enis_of(instance_id)) {
    if (record->eni.status != model::EniStatus::InUse) continue;
    const Switch* vswitch = world.find_vswitch(record->eni.vswitch_id);
    NicView view;
    view.eni = record->eni;
    view.vswitch_cidr = vswitch->info.cidr;
    view.vswitch_ipv6_cidr = vswitch->info.ipv6_cidr;
    view.gateway = model::gateway_of(vswitch->info.cidr);
    if (vswitch->info.ipv6_cidr) view.gateway_ipv6 = model::gateway_of(*vswitch->info.ipv6_cidr);
    views.push_back(std::move(view));
  }
  return views;
}

void History::record(const World& world, const std::string& instance_id, Instant now) {
  if (world.find_instance(instance_id) == nullptr) {
    forget(instance_id);
    return;
  }
  std::deque<Snapshot>& line = snapshots_[instance_id];
  line.push_back({now, std::make_shared<const NicViews>(nics_of(world, instance_id))});
  while (line.size() > 1 && line[1].since + kKept <= now) line.pop_front();
}

std::shared_ptr<const NicViews> History::at(const std::string& instance_id, Instant when) const {
  const auto found = snapshots_.find(instance_id);
  if (found == snapshots_.end()) return nullptr;
  std::shared_ptr<const NicViews> answer = found->second.front().nics;
  for (const Snapshot& snapshot : found->second) {
    if (snapshot.since > when) break;
    answer = snapshot.nics;
  }
  return answer;
}

}  // namespace terway::vpcsim
