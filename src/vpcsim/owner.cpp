// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/owner.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>

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
      end_(::eventfd(0, EFD_CLOEXEC)),
      owning_([this] { own(); }),
      working_([this] { work(); }),
      watching_([this] { watch(); }) {}

Owner::~Owner() {
  ::eventfd_write(end_.get(), 1);
  watching_.join();
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
  const std::uint32_t path_mtu = region.world.settings().path_mtu;
  const bool other_path = path_mtu != path_mtu_;
  path_mtu_ = path_mtu;
  if (effects.empty() && !other_path) return nullptr;
  auto done = std::make_shared<Channel<bool>>();
  jobs_.send([effects = std::move(effects), other_path, path_mtu, done](Plugger& plugger) {
    if (other_path) plugger.set_path_mtu(path_mtu);
    for (const Effect& effect : effects) {
      const auto applied = apply(effect, plugger);
      if (applied.is(Error::Kind::NotFound) && std::holds_alternative<PlugEffect>(effect)) {
        log::info("no NIC: its node is off", {{log::kEni, eni_of(effect)}});
      } else if (!applied.ok()) {
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

void Owner::watch() {
  std::array<pollfd, 2> entries = {{{end_.get(), POLLIN, 0}, {plugger_.events_fd(), POLLIN, 0}}};
  for (;;) {
    ::poll(entries.data(), entries.size(), -1);
    if (entries[0].revents != 0) return;
    if (entries[1].revents == 0) continue;
    const auto lost = ask_fabric([](Plugger& plugger) { return plugger.take_lost(); });
    if (!lost.ok()) {
      log::warning("the fabric's events cannot be read", {{log::kError, lost.error().to_string()}});
      return;
    }
    for (const std::string& eni_id : *lost) {
      log::info("a NIC died with a namespace: plugged anew", {{log::kEni, eni_id}});
      ask([&](Region& region) { return region.world.plug_again(eni_id); });
    }
  }
}

}  // namespace terway::vpcsim
