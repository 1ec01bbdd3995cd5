// SPDX-License-Identifier: Apache-2.0
// What a commit of the journal costs: of a pod's records (survive the process) and of the cloud's
// (survive the machine: with a sync). Argument: a folder on the disk to be measured.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "journal/journal.h"

namespace {

using namespace terway;

double percentile(std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

journal::Entry entry_of(std::uint32_t n) {
  journal::Entry entry;
  model::Attachment attachment;
  attachment.key = {fmt::format("{:064x}", n % 250), "eth0"};
  attachment.pod = {"default", fmt::format("pod-{}", n % 250), "uid", "ReplicaSet"};
  attachment.addresses = {net::IpAddress::from_v4(0x0a000000 + n % 250)};
  entry.attachments.push_back(attachment);
  model::AddressRecord address;
  address.address = attachment.addresses[0];
  address.unit = net::Prefix::host(address.address);
  address.owner = attachment.key;
  entry.ipam.addresses.push_back(address);
  return entry;
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "/var/tmp";
  const auto path = folder / "terway-bench-journal.db";
  const auto remove = [&] {
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.native() + suffix);
  };
  remove();
  auto opened = journal::Journal::open({path, "bench", Instant{}, 200});
  if (!opened.ok()) {
    fmt::print(stderr, "{}\n", opened.error().to_string());
    return 1;
  }
  for (const bool durable : {false, true}) {
    std::vector<double> micros;
    for (std::uint32_t n = 0; n < (durable ? 1000U : 10'000U); ++n) {
      const auto entry = entry_of(n);
      const auto begin = std::chrono::steady_clock::now();
      if (!opened->journal->write(entry).ok()) return 1;
      if (durable && !opened->journal->log_file()->sync().ok()) return 1;
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - begin;
      micros.push_back(took.count());
      if (n % 100 == 99 && !opened->journal->tidy().ok()) return 1;
    }
    std::sort(micros.begin(), micros.end());
    fmt::print("{:8} commit: p50 {:.1f} us, p99 {:.1f} us, max {:.1f} us\n",
               durable ? "synced" : "plain", percentile(micros, 0.5), percentile(micros, 0.99),
               micros.back());
  }
  remove();
  return 0;
}
