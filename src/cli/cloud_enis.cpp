// SPDX-License-Identifier: Apache-2.0
#include "cli/cloud_enis.h"

#include <fmt/core.h>

#include <algorithm>

#include "cli/json.h"
#include "cli/text.h"

namespace terway::cli {
namespace {

using model::EniStatus;
using model::EniType;

constexpr Duration kPatience = std::chrono::minutes(2);
constexpr Duration kPollEvery = std::chrono::milliseconds(500);

// The tag that terwayd puts on what it makes (docs/operating.md).
bool made_by_us(const model::Eni& eni) {
  const auto creator = eni.tags.find("creator");
  return creator != eni.tags.end() && creator->second == "terway";
}

Result<std::vector<model::Eni>> enis_of_instance(Account& account) {
  cloud::EniFilter filter;
  filter.instance_id = TRY_WITHIN("this instance's id", account.metadata().instance_id());
  return account.client().describe_network_interfaces(filter);
}

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

Result<> check_deletable(const model::Eni* eni, const std::string& id,
                         const std::vector<std::string>& managed) {
  const auto refuse = [&](std::string_view why) {
    return Error(Error::Kind::Invalid, fmt::format("{}: {}; nothing has been deleted", id, why));
  };
  if (eni == nullptr) return refuse("is no ENI of this instance");
  if (eni->type != EniType::Secondary) {
    return refuse(
        fmt::format("is a {} ENI; only Secondary ones can be deleted", to_string(eni->type)));
  }
  if (!made_by_us(*eni)) return refuse("has no tag creator=terway, so it is not ours");
  if (contains(managed, id)) return refuse("belongs to the running terwayd; stop that first");
  return Ok{};
}

// NotFound once it is gone.
Result<EniStatus> status_of(Account& account, const std::string& id) {
  cloud::EniFilter filter;
  filter.ids = {id};
  const auto found = TRY(account.client().describe_network_interfaces(filter));
  if (found.empty()) return Error(Error::Kind::NotFound, id + " is gone");
  return found.front().status;
}

Result<> delete_one(Account& account, const model::Eni& eni) {
  if (!eni.instance_id.empty()) {
    TRY_WITHIN("detach " + eni.id,
               account.client().detach_network_interface(eni.id, eni.instance_id));
  }
  const Instant deadline = account.clock().now() + kPatience;
  for (;;) {
    const auto status = status_of(account, eni.id);
    if (status.is(Error::Kind::NotFound)) return Ok{};
    if (!status.ok()) return status.error();
    if (*status == EniStatus::Available) break;
    if (account.clock().now() >= deadline) {
      return Error(Error::Kind::Unavailable,
                   fmt::format("{} is still {} after {} minutes; it has not been deleted", eni.id,
                               to_string(*status), 2));
    }
    account.clock().sleep_for(kPollEvery);
  }
  TRY_WITHIN("delete " + eni.id, account.client().delete_network_interface(eni.id));
  return Ok{};
}

}  // namespace

Result<std::string> list_cloud_enis(Account& account, const Output& output) {
  const auto enis = TRY(enis_of_instance(account));
  if (output.json) return to_json(enis);
  Table table({{"ENI"},
               {"TYPE"},
               {"STATUS"},
               {"MAC"},
               {"VSWITCH"},
               {"PRIMARY ADDRESS"},
               {"ADDRESSES", Table::Align::Right},
               {"OURS"}});
  for (const model::Eni& eni : enis) {
    table.add({{eni.id},
               {std::string(to_string(eni.type))},
               {std::string(to_string(eni.status)),
                eni.status == EniStatus::InUse ? Tone::Good : Tone::Warning},
               {eni.mac.to_string()},
               {eni.vswitch_id},
               {eni.primary_address.to_string()},
               {std::to_string(eni.ipv4.size() + eni.ipv6.size())},
               {made_by_us(eni) ? "yes" : "no"}});
  }
  return table.to_string(output.colour);
}

Result<std::string> delete_cloud_enis(Account& account, const std::vector<std::string>& ids,
                                      const std::vector<std::string>& managed,
                                      const Output& output) {
  const auto enis = TRY(enis_of_instance(account));
  std::vector<model::Eni> doomed;
  for (const std::string& id : ids) {
    const auto found =
        std::find_if(enis.begin(), enis.end(), [&](const model::Eni& eni) { return eni.id == id; });
    TRY(check_deletable(found == enis.end() ? nullptr : &*found, id, managed));
    doomed.push_back(*found);
  }
  for (const model::Eni& eni : doomed) TRY(delete_one(account, eni));
  if (output.json) return to_json(doomed);
  return fmt::format("deleted {}\n", joined(ids));
}

}  // namespace terway::cli
