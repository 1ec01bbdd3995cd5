// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/owner.h"

#include <algorithm>

#include "base/log.h"

namespace terway::vpcsim {

namespace {

// Without anything due the owner still looks up now and then, which costs nothing.
constexpr Duration kIdle = std::chrono::seconds(1);

Result<> apply(const Effect& effect, Plugger& plugger) {
  if (const auto* plug = std::get_if<PlugEffect>(&effect)) return plugger.plug(plug->nic);
  if (const auto* unplug = std::get_if<UnplugEffect>(&effect)) {
    return plugger.unplug(unplug->eni_id);
  }
  const auto& change = std::get<AddressesEffect>(effect);
  return plugger.update_addresses(change.eni_id, change.addresses);
}

std::string eni_of(const Effect& effect) {
  if (const auto* plug = std::get_if<PlugEffect>(&effect)) return plug->nic.eni_id;
  if (const auto* unplug = std::get_if<UnplugEffect>(&effect)) return unplug->eni_id;
  return std::get<AddressesEffect>(effect).eni_id;
}

}  // namespace

Owner::Owner(Region region, Clock& clock, Plugger& plugger)
    : region_(std::move(region)),
      clock_(clock),
      plugger_(plugger),
      owning_([this] { own(); }),
      working_([this] { work(); }) {}

Owner::~Owner() {
  questions_.close();
  owning_.join();
  jobs_.close();
  working_.join();
}

void Owner::own() {
  while (true) {
    region_.advance(clock_.now(), clock_.wall());
    follow(region_);
    Duration wait = kIdle;
    if (const auto due = region_.world.next_due()) {
      wait = std::clamp(*due - clock_.now(), Duration::zero(), kIdle);
    }
    auto question = questions_.receive_for(wait);
    if (!question) {
      if (questions_.closed()) return;
      continue;
    }
    region_.advance(clock_.now(), clock_.wall());
    (*question)(region_);
  }
}

Owner::Done Owner::follow(Region& region) {
  std::vector<Effect> effects = region.world.take_effects();
  if (effects.empty()) return nullptr;
  auto done = std::make_shared<Channel<bool>>();
  jobs_.send([effects = std::move(effects), done](Plugger& plugger) {
    for (const Effect& effect : effects) {
      if (const auto applied = apply(effect, plugger); !applied.ok()) {
        log::warning("fabric does not follow",
                     {{log::kEni, eni_of(effect)}, {log::kError, applied.error().to_string()}});
      }
    }
    done->close();
  });
  return done;
}

void Owner::work() {
  while (auto job = jobs_.receive()) (*job)(plugger_);
}

}  // namespace terway::vpcsim
