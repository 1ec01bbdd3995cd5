// SPDX-License-Identifier: Apache-2.0
// One-way, typed queues of values between threads: the only way that threads talk. Mutexes live
// here and nowhere else.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace terway {

// Unbounded: send() never blocks, so nobody who is waited upon waits. Any thread may send; where
// several receive, each value reaches one of them. After close(), what was sent before is still
// received, then receive() answers nullopt.
template <class T>
class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // False when the channel is closed: the value is dropped.
  bool send(T value) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return false;
      queue_.push_back(std::move(value));
    }
    ready_.notify_one();
    return true;
  }

  // Waits for a value; nullopt once closed and empty.
  std::optional<T> receive() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    return pop();
  }

  // Waits at most `timeout`; nullopt on timeout as well: ask closed() where it matters.
  std::optional<T> receive_for(Duration timeout) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, timeout, [this] { return closed_ || !queue_.empty(); });
    return pop();
  }

  std::optional<T> try_receive() {
    std::lock_guard lock(mutex_);
    return pop();
  }

  // Hands out, in order and without waiting, what is there, at most `most`: one receiver's batch.
  // What is not handed out stays.
  template <class Do>
  void take(int most, Do&& each) {
    for (; most > 0; --most) {
      auto value = try_receive();
      if (!value) return;
      each(std::move(*value));
    }
  }

  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  std::optional<T> pop() {
    if (queue_.empty()) return std::nullopt;
    std::optional<T> value(std::move(queue_.front()));
    queue_.pop_front();
    return value;
  }

  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> queue_;
  bool closed_ = false;
};

}  // namespace terway
