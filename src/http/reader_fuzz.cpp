// SPDX-License-Identifier: Apache-2.0
// Whatever a peer sends is some messages or an error, and ends.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "http/reader.h"

namespace {

class Bytes final : public terway::http::Stream {
 public:
  Bytes(const std::uint8_t* data, std::size_t size, std::size_t piece)
      : data_(data), left_(size), piece_(piece) {}
  terway::Result<std::size_t> read(char* into, std::size_t size, terway::Instant) override {
    const std::size_t count = std::min({size, piece_, left_});
    std::copy_n(data_, count, into);
    data_ += count;
    left_ -= count;
    return count;
  }
  terway::Result<> write(std::string_view, terway::Instant) override { return terway::Ok{}; }
  bool buffered() const override { return false; }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
  std::size_t piece_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace terway::http;
  if (size == 0) return 0;
  const std::size_t piece = data[0] % 16 + 1;
  Bytes for_server(data + 1, size - 1, piece);
  Reader server(for_server);
  while (true) {
    auto request = server.read_request({});
    if (!request.ok() || !request->has_value()) break;
    serialize(**request);
  }
  Bytes for_client(data + 1, size - 1, piece);
  Reader client(for_client);
  while (client.read_response("GET", {}).ok() && client.buffered()) {
  }
  return 0;
}
