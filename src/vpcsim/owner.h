// SPDX-License-Identifier: Apache-2.0
// The thread that owns the region, the one that follows it with the fabric, and the one that hears
// what the fabric has to say.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/channel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "vpcsim/plugger.h"
#include "vpcsim/region.h"

namespace terway::vpcsim {

// Any thread may ask; questions are answered one after the other, with the time told before each.
// What an answer means for the fabric is done before ask() returns, and outside of the owner's
// thread, so that a slow fabric delays nobody else.
class Owner {
  // Closed when the fabric has done it; null: there was nothing to do.
  using Done = std::shared_ptr<Channel<bool>>;

 public:
  Owner(Region region, Clock& clock, Plugger& plugger);
  // Waits for what was asked before.
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  // Runs in the owner's thread.
  template <class Question>
  auto ask(Question question) -> std::invoke_result_t<Question, Region&> {
    using Answer = std::invoke_result_t<Question, Region&>;
    // Shared, for the sender may still be inside send() when the answer is here already.
    const auto reply = std::make_shared<Channel<std::pair<Answer, Done>>>();
    VERIFY(questions_.send([this, reply, &question](Region& region) {
      Answer answer = question(region);
      region.settle();
      reply->send({std::move(answer), follow(region)});
    }));
    auto received = reply->receive();
    wait_for(received->second);
    return std::move(received->first);
  }

  // Runs in the fabric's thread.
  template <class Question>
  auto ask_fabric(Question question) -> std::invoke_result_t<Question, Plugger&> {
    const auto reply = std::make_shared<Channel<std::invoke_result_t<Question, Plugger&>>>();
    VERIFY(jobs_.send([reply, &question](Plugger& plugger) { reply->send(question(plugger)); }));
    return *reply->receive();
  }

  Clock& clock() { return clock_; }

 private:
  void own();
  void work();
  void watch();
  Done follow(Region& region);
  static void wait_for(const Done& done) {
    if (done) done->receive();
  }

  Region region_;
  std::uint32_t path_mtu_ = 0;  // that the fabric was told of; the owner's thread's
  Clock& clock_;
  Plugger& plugger_;
  Channel<std::function<void(Region&)>> questions_;
  Channel<std::function<void(Plugger&)>> jobs_;
  UniqueFd end_;  // eventfd: watch() ends
  std::thread owning_;
  std::thread working_;
  std::thread watching_;
};

}  // namespace terway::vpcsim
