// SPDX-License-Identifier: Apache-2.0
// Text without the C++ library: a view, and a buffer of fixed size that cuts what does not fit.
#pragma once

#include <stddef.h>
#include <string.h>

namespace terway::plugin {

struct Text {
  const char* data = nullptr;
  size_t size = 0;

  constexpr Text() = default;
  constexpr Text(const char* data_, size_t size_) : data(data_), size(size_) {}
  // Implicit, as std::string_view is.
  Text(const char* terminated)  // NOLINT(google-explicit-constructor)
      : data(terminated), size(strlen(terminated)) {}

  bool empty() const { return size == 0; }
  bool operator==(const Text& other) const {
    return size == other.size && (size == 0 || memcmp(data, other.data, size) == 0);
  }
};

// Always ends with a zero byte, so that it can be handed to the system as a path.
template <size_t Size>
class Buffer {
 public:
  Buffer& operator<<(Text text) {
    const size_t room = Size - 1 - size_;
    const size_t taken = text.size < room ? text.size : room;
    if (taken > 0) memcpy(data_ + size_, text.data, taken);
    cut_ = cut_ || taken < text.size;
    size_ += taken;
    data_[size_] = '\0';
    return *this;
  }
  Buffer& operator<<(unsigned long number) {
    char digits[24];
    size_t at = sizeof digits;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return *this << Text(digits + at, sizeof digits - at);
  }

  Text text() const { return {data_, size_}; }
  const char* terminated() const { return data_; }
  // Whether something did not fit.
  bool cut() const { return cut_; }
  void clear() {
    size_ = 0;
    cut_ = false;
    data_[0] = '\0';
  }

 private:
  char data_[Size] = {};
  size_t size_ = 0;
  bool cut_ = false;
};

// Why something failed, for the error's details.
using Reason = Buffer<1024>;

}  // namespace terway::plugin
