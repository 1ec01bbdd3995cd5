// SPDX-License-Identifier: Apache-2.0
// What others look at by the datapath's thread: its state, and events as they come.
#include <utility>

#include "agent/datapath_thread.h"

namespace terway::agent {

namespace {

using std::chrono::seconds;

// How long a caller waits for this thread; how long one that watches waits for an event.
constexpr Duration kPatience = seconds(5);
constexpr Duration kWatchAtMost = seconds(1);
// New flows are told until so long after somebody asked for them last.
constexpr Duration kFlowsWatched = seconds(5);

}  // namespace

Result<datapath::Inspection> DatapathThread::inspect(datapath::InspectLinks links) {
  const auto reply = std::make_shared<Channel<Result<datapath::Inspection>>>();
  give(Inspect{links, reply});
  auto answer = reply->receive_for(kPatience);
  if (!answer) return Error(Error::Kind::Unavailable, "the datapath's thread does not answer");
  return std::move(*answer);
}

Result<DatapathThread::Watched> DatapathThread::watch(std::optional<std::uint64_t> after,
                                                      bool flows) {
  const auto reply = std::make_shared<Channel<Watched>>();
  give(Watch{after, flows, reply, clock_.now() + kWatchAtMost});
  auto answer = reply->receive_for(kPatience);
  if (!answer) return Error(Error::Kind::Unavailable, "the datapath's thread does not answer");
  return std::move(*answer);
}

// --- in the thread ------------------------------------------------------------------------------

void DatapathThread::on(const Inspect& order) {
  order.reply->send(datapath_->inspect(order.links));
}

void DatapathThread::on(Watch order) {
  if (order.flows) flows_watched_ = clock_.now();
  if (!order.after) order.after = datapath_->last_event();
  watchers_.push_back(std::move(order));
}

void DatapathThread::answer_watchers() {
  const Instant now = clock_.now();
  std::erase_if(watchers_, [&](const Watch& watcher) {
    Watched watched{datapath_->events_after(*watcher.after), datapath_->last_event()};
    if (watched.events.empty() && now < watcher.until) return false;
    watcher.reply->send(std::move(watched));
    return true;
  });
  const bool wanted = flows_watched_ && now < *flows_watched_ + kFlowsWatched;
  if (!wanted) flows_watched_.reset();
  // A failure shows as flows that are not told; the next time it is tried again.
  (void)datapath_->watch_flows(wanted);
}

}  // namespace terway::agent
