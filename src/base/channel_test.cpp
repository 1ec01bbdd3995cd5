// SPDX-License-Identifier: Apache-2.0
#include "base/channel.h"

#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

using namespace terway;
using std::chrono::hours;
using std::chrono::milliseconds;

TEST_CASE("values come in the order of one sender, and each reaches one receiver") {
  constexpr int kSenders = 3;
  constexpr int kReceivers = 3;
  constexpr int kEach = 5000;
  Channel<std::pair<int, int>> channel;  // sender, its count
  std::vector<std::vector<std::pair<int, int>>> received(kReceivers);
  std::vector<std::thread> receivers;
  for (auto& mine : received) {
    receivers.emplace_back([&channel, &mine] {
      while (const auto value = channel.receive()) mine.push_back(*value);
    });
  }
  std::vector<std::thread> senders;
  for (int sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&channel, sender] {
      for (int i = 0; i < kEach; ++i) CHECK(channel.send({sender, i}));
    });
  }
  for (auto& sender : senders) sender.join();
  channel.close();
  for (auto& receiver : receivers) receiver.join();
  std::set<std::pair<int, int>> all;
  for (const auto& mine : received) {
    std::vector<int> last(kSenders, -1);
    for (const auto& [sender, count] : mine) {
      CHECK(count > last.at(static_cast<std::size_t>(sender)));
      last[static_cast<std::size_t>(sender)] = count;
      CHECK(all.emplace(sender, count).second);
    }
  }
  CHECK(all.size() == kSenders * kEach);
}

TEST_CASE("after close() what was sent is still received, and nothing more is taken") {
  Channel<std::unique_ptr<int>> channel;
  CHECK(channel.send(std::make_unique<int>(1)));
  CHECK_FALSE(channel.closed());
  channel.close();
  CHECK(channel.closed());
  CHECK_FALSE(channel.send(std::make_unique<int>(2)));
  const auto first = channel.receive();
  REQUIRE(first.has_value());
  CHECK(**first == 1);
  CHECK_FALSE(channel.receive().has_value());
  CHECK_FALSE(channel.receive_for(hours(1)).has_value());
  CHECK_FALSE(channel.try_receive().has_value());
}

TEST_CASE("who waits is woken by a value, by the end, and by the time") {
  Channel<int> channel;
  CHECK_FALSE(channel.try_receive().has_value());
  CHECK_FALSE(channel.receive_for(milliseconds(1)).has_value());
  CHECK_FALSE(channel.closed());
  std::thread sender([&] { channel.send(5); });
  CHECK(channel.receive_for(hours(1)) == 5);
  sender.join();
  std::thread closer([&] { channel.close(); });
  CHECK_FALSE(channel.receive().has_value());
  closer.join();
}

TEST_CASE("a batch is what was asked for, in order; nothing beyond it is lost") {
  Channel<std::unique_ptr<int>> channel;
  for (int i = 0; i < 300; ++i) CHECK(channel.send(std::make_unique<int>(i)));
  std::vector<int> taken;
  const auto keep = [&](std::unique_ptr<int> value) { taken.push_back(*value); };
  for (const std::size_t so_far : {127U, 254U, 300U, 300U}) {
    channel.take(127, keep);
    REQUIRE(taken.size() == so_far);
  }
  for (int i = 0; i < 300; ++i) CHECK(taken.at(static_cast<std::size_t>(i)) == i);
}
