// SPDX-License-Identifier: Apache-2.0
// The owner of a node's state with a real IPAM and a real journal, between a recorded kernel and a
// small cloud.
#include "agent/node.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <set>

#include "agent/facts.h"
#include "agent/settings.h"

namespace terway::agent {

namespace {

using std::chrono::seconds;

net::IpAddress ip(std::uint32_t n) { return net::IpAddress::from_v4(0x0a000000 + n); }

Identity identity_of(std::uint32_t enis, std::uint32_t ips) {
  Identity identity;
  identity.instance.id = "i-1";
  identity.instance.type = "ecs.test";
  identity.instance.zone_id = "zone-a";
  identity.instance.vswitch_id = "vsw-1";
  identity.instance.primary_eni_id = "eni-primary";
  identity.instance.primary_address = ip(2);
  identity.instance.security_group_ids = {"sg-1"};
  identity.region_id = "cn-lab";
  identity.mac = *net::Mac::parse("00:16:3e:00:00:01");
  identity.type.id = "ecs.test";
  identity.type.eni_quantity = enis;
  identity.type.ipv4_per_eni = ips;
  identity.type.ipv6_per_eni = ips;
  return identity;
}

// What survives the daemon: kernel, cloud and disk.
struct Outside {
  std::filesystem::path folder;
  ManualClock clock;
  Random random{7};
  std::string boot_id = "boot-1";
  // kernel
  std::map<model::AttachmentKey, datapath::PodPlan> wired;
  std::set<std::string> nics;  // eni ids
  // cloud
  std::map<std::string, model::Eni> enis;
  std::map<std::string, std::string> created_by_token;
  std::map<std::string, std::vector<net::IpAddress>> assigned_by_token;
  std::uint32_t next_address = 100;
  std::optional<Error> cloud_error;

  Outside() {
    char name[] = "/tmp/terway-node-XXXXXX";
    folder = ::mkdtemp(name);
    clock.advance(seconds(1000));
    clock.set_wall(WallTime(seconds(1'700'000'000)));
  }
  ~Outside() { std::filesystem::remove_all(folder); }

  model::VSwitch vswitch() const {
    model::VSwitch v;
    v.id = "vsw-1";
    v.vpc_id = "vpc-1";
    v.zone_id = "zone-a";
    v.cidr = *net::Prefix::parse("10.0.0.0/16");
    v.available_addresses = 60'000 - next_address;
    return v;
  }
};

// One life of the daemon: ports that remember what was ordered, until somebody carries it out.
class Daemon final : public Wiring, public Cloud {
 public:
  explicit Daemon(Outside& outside, const std::string& config = "{}",
                  DaemonMode mode = DaemonMode::Shared)
      : outside_(outside) {
    auto opened = journal::Journal::open(
        {outside.folder / "journal.db", outside.boot_id, outside.clock.now(), 200});
    REQUIRE(opened.ok());
    journal_ = std::move(opened->journal);
    const auto contents = journal_->read();
    REQUIRE(contents.ok());
    node_ =
        std::make_unique<Node>(Node::Parts{*journal_, *this, *this, outside.clock, metrics_},
                               Node::Names{"node-1", "/etc/eni/eni.json", mode, "test", "on"},
                               config::parse(config).value(), Random(outside.random.below(~0ULL)));
    node_->start(*opened, *contents);
    settle();
  }

  Node& node() { return *node_; }

  void tell(Event event) {
    node_->handle(std::move(event));
    settle();
  }
  void settle() { wake_at_ = node_->settle(); }

  void identify(std::uint32_t enis = 3, std::uint32_t ips = 10) {
    tell(VSwitchFact{{outside_.vswitch()}});
    tell(IdentityFact{identity_of(enis, ips)});
    tell(VSwitchFact{{outside_.vswitch()}});
    list();
  }
  void list() {
    ipam::Listing listing;
    listing.source = ipam::Listing::Source::Api;
    listing.begun = outside_.clock.now();
    for (const auto& [id, eni] : outside_.enis) listing.enis.push_back(eni);
    tell(ListingFact{listing});
    listing.source = ipam::Listing::Source::Metadata;
    std::erase_if(listing.enis, [](const model::Eni& eni) { return eni.instance_id.empty(); });
    tell(ListingFact{listing});
  }

  ReplyTo add(const std::string& container, const std::string& kind = "") {
    AddCall call;
    call.reply = std::make_shared<Channel<Answer>>();
    call.request.key = {container, "eth0"};
    call.request.pod = {"default", "pod-" + container, "uid-" + container, kind};
    call.request.network = "terway";
    call.request.received = outside_.clock.now();
    const ReplyTo reply = call.reply;
    tell(std::move(call));
    return reply;
  }
  ReplyTo del(const std::string& container) {
    const auto reply = std::make_shared<Channel<Answer>>();
    tell(DelCall{{container, "eth0"}, reply, nullptr});
    return reply;
  }

  // Carries out one order of kernel or cloud; false when there is none.
  bool work_once() {
    if (orders_.empty()) return false;
    auto order = std::move(orders_.front());
    orders_.pop_front();
    order();
    return true;
  }
  // Until nothing is to be done, letting time pass where something waits for it.
  void work(int steps = 2000) {
    for (int i = 0; i < steps; ++i) {
      if (work_once()) continue;
      if (!wake_at_ || i > steps - 2) return;
      const Instant soon = outside_.clock.now() + seconds(2);
      if (*wake_at_ > soon) return;
      outside_.clock.advance(
          std::max<Duration>(*wake_at_ - outside_.clock.now(), std::chrono::milliseconds(1)));
      settle();
    }
  }
  std::size_t pending() const { return orders_.size(); }

  // --- Wiring
  void restore(datapath::Desired desired, std::map<std::string, std::string> keys) override {
    restored = desired.pods;
    for (const auto& eni : desired.enis) {
      if (keys.contains(eni.eni_id)) bring_up(keys[eni.eni_id], eni);
    }
  }
  void keep(datapath::PodPlan) override {}
  void caches_synced() override { synced = true; }
  void wire(datapath::PodPlan plan, std::uint64_t serial, std::shared_ptr<UniqueFd>) override {
    orders_.push_back([this, plan, serial] {
      for (const auto& [key, other] : outside_.wired) {
        if (key == plan.key) continue;
        for (const auto& address : other.addresses) REQUIRE(address != plan.addresses.at(0));
      }
      outside_.wired[plan.key] = plan;
      tell(WiredFact{plan.key,
                     serial,
                     WiredAs{"cali0", {}, {}, 1500, {*net::IpAddress::parse("169.254.1.1")}},
                     {}});
    });
  }
  void unwire(datapath::PodPlan plan, std::uint64_t serial, std::shared_ptr<UniqueFd>) override {
    orders_.push_back([this, plan, serial] {
      outside_.wired.erase(plan.key);
      tell(UnwiredFact{plan.key, serial, Ok{}, true});
    });
  }
  void limit(const model::AttachmentKey& key, const model::Bandwidth& bandwidth,
             std::uint64_t order) override {
    orders_.push_back([this, key, bandwidth, order] {
      outside_.wired.at(key).bandwidth = bandwidth;
      tell(LimitedFact{order, Ok{}});
    });
  }
  void check(datapath::PodPlan plan, std::shared_ptr<UniqueFd>, Call call) override {
    orders_.push_back([this, plan, call] {
      if (outside_.wired.contains(plan.key)) {
        tell(CheckedFact{call, Ok{}});
      } else {
        tell(CheckedFact{call, Error(Error::Kind::NotFound, "no link")});
      }
    });
  }
  void bring_up(std::string eni_key, datapath::EniPlan plan) override {
    orders_.push_back([this, eni_key, plan] {
      const auto found = outside_.enis.find(plan.eni_id);
      if (found == outside_.enis.end() || found->second.status != model::EniStatus::InUse) {
        rising_[eni_key] = plan;
        return;
      }
      outside_.nics.insert(plan.eni_id);
      datapath::EniNic nic;
      nic.eni_id = plan.eni_id;
      tell(NicReady{eni_key, nic});
    });
  }
  void tear_down(std::string eni_id) override {
    orders_.push_back([this, eni_id] {
      std::erase_if(rising_, [&](const auto& one) { return one.second.eni_id == eni_id; });
      outside_.nics.erase(eni_id);
      tell(TornDown{eni_id});
    });
  }
  void find_attachments() override {
    orders_.push_back([this] {
      KernelFact fact;
      for (const auto& [key, plan] : outside_.wired) {
        fact.found.push_back({key, "cali0", plan.addresses});
      }
      tell(fact);
    });
  }

  // --- Cloud
  void start(const ipam::Operation& operation) override {
    orders_.push_back([this, operation] {
      const auto outcome = carry_out(operation);
      // Whatever has been attached: the kernel says so, and asks the gateway.
      for (auto& [key, plan] : std::exchange(rising_, {})) bring_up(key, plan);
      tell(OutcomeFact{outcome});
    });
  }
  void list_soon() override {
    orders_.push_back([this] { list(); });
  }
  void configure(const config::Config&) override {}
  void identified(const Identity&, const std::vector<std::string>& groups) override {
    groups_ = groups;
  }

  bool synced = false;
  std::vector<datapath::PodPlan> restored;
  std::vector<std::string> groups_;

 private:
  ipam::Outcome carry_out(const ipam::Operation& o) {
    using Kind = ipam::OperationKind;
    ipam::Outcome outcome;
    outcome.operation_id = o.id;
    if (outside_.cloud_error) {
      outcome.error = *outside_.cloud_error;
      return outcome;
    }
    const auto fresh = [this](std::uint32_t count) {
      std::vector<net::IpAddress> list;
      while (count-- > 0) list.push_back(ip(outside_.next_address++));
      return list;
    };
    const auto eni = outside_.enis.find(o.eni_id);
    const bool known = eni != outside_.enis.end();
    const auto missing = Error(Error::Kind::NotFound, "no such ENI");
    switch (o.kind) {
      case Kind::CreateEni: {
        std::string& id = outside_.created_by_token[o.client_token];
        if (id.empty()) {
          id = "eni-" + std::to_string(outside_.created_by_token.size());
          model::Eni made;
          made.id = id;
          made.status = model::EniStatus::Available;
          made.mac.bytes = {0, 0x16, 0x3e,
                            1, 0,    static_cast<std::uint8_t>(outside_.created_by_token.size())};
          made.vswitch_id = o.vswitch_id;
          made.zone_id = "zone-a";
          made.ipv4 = fresh(std::max(1U, o.ipv4_count));
          made.primary_address = made.ipv4[0];
          made.tags = tags_of_new_eni({}, identity_of(3, 10), "node-1", o.client_token);
          outside_.enis[id] = made;
        }
        outcome.eni = outside_.enis[id];
        break;
      }
      case Kind::AttachEni:
        if (!known) outcome.error = missing;
        if (known) eni->second.status = model::EniStatus::InUse;
        if (known) eni->second.instance_id = "i-1";
        break;
      case Kind::DetachEni:
        if (known) eni->second.status = model::EniStatus::Available;
        if (known) eni->second.instance_id.clear();
        break;
      case Kind::DeleteEni:
        outside_.enis.erase(o.eni_id);
        break;
      case Kind::AssignIpv4: {
        auto& given = outside_.assigned_by_token[o.client_token];
        if (!known) outcome.error = missing;
        if (known && given.empty()) {
          given = fresh(o.ipv4_count);
          eni->second.ipv4.insert(eni->second.ipv4.end(), given.begin(), given.end());
        }
        outcome.addresses = given;
        break;
      }
      case Kind::UnassignIpv4:
        for (const auto& address : o.addresses) {
          if (known) std::erase(eni->second.ipv4, address);
        }
        break;
      case Kind::DescribeEni: {
        std::string id = o.eni_id;
        if (id.empty() && outside_.created_by_token.contains(o.client_token)) {
          id = outside_.created_by_token[o.client_token];
        }
        if (outside_.enis.contains(id)) {
          outcome.eni = outside_.enis[id];
        } else {
          outcome.error = missing;
        }
        break;
      }
      case Kind::DescribeVSwitch:
        outcome.vswitch = outside_.vswitch();
        break;
      default:
        outcome.error = Error(Error::Kind::Internal, "IPv6 is not part of this test");
    }
    return outcome;
  }

  Outside& outside_;
  Metrics metrics_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<Node> node_;
  std::deque<std::function<void()>> orders_;
  std::map<std::string, datapath::EniPlan> rising_;  // by ENI key; their NIC is not there yet
  std::optional<Instant> wake_at_;
};

const model::Attachment* added(const ReplyTo& reply, std::optional<Answer>& keep) {
  keep = reply->try_receive();
  return keep ? std::get_if<model::Attachment>(&keep->outcome) : nullptr;
}

std::string failure(const ReplyTo& reply) {
  const auto answer = reply->try_receive();
  if (!answer) return "no answer";
  const auto* failed = std::get_if<CallFailure>(&answer->outcome);
  return failed == nullptr ? "" : failed->error.to_string();
}

bool succeeded(const ReplyTo& reply) {
  const auto answer = reply->try_receive();
  return answer && std::holds_alternative<Ok>(answer->outcome);
}

// Journal, kernel and cloud tell the same of every pod, and no address has two owners.
void check_agreement(const Outside& outside) {
  auto opened =
      journal::Journal::open({outside.folder / "journal.db", outside.boot_id, Instant{}, 200});
  REQUIRE(opened.ok());
  const auto contents = opened->journal->read();
  REQUIRE(contents.ok());
  std::set<net::IpAddress> in_cloud;
  for (const auto& [id, eni] : outside.enis) in_cloud.insert(eni.ipv4.begin(), eni.ipv4.end());
  std::set<net::IpAddress> owned;
  std::set<model::AttachmentKey> keys;
  for (const auto& attachment : contents->attachments) {
    CAPTURE(attachment.key.to_string());
    CHECK(attachment.state == model::AttachmentState::Wired);
    keys.insert(attachment.key);
    for (const auto& address : attachment.addresses) {
      CHECK(owned.insert(address).second);
      CHECK(in_cloud.contains(address));
    }
    REQUIRE(outside.wired.contains(attachment.key));
    CHECK(outside.wired.at(attachment.key).addresses == attachment.addresses);
  }
  CHECK(outside.wired.size() == keys.size());
  std::size_t held = 0;
  for (const auto& address : contents->ipam.addresses) {
    CAPTURE(address.address.to_string());
    if (address.state == model::AddressState::Held) {
      CHECK(keys.contains(address.owner));
      ++held;
    }
  }
  CHECK(held == owned.size());
}

}  // namespace

TEST_CASE("an ADD on a fresh node gets an ENI made, an address and a wired pod; a DEL frees it") {
  Outside outside;
  {
    Daemon daemon(outside);
    daemon.identify();
    CHECK(daemon.groups_ == std::vector<std::string>{"sg-1"});
    const auto reply = daemon.add("c1");
    daemon.work();
    std::optional<Answer> keep;
    const auto* pod = added(reply, keep);
    REQUIRE(pod != nullptr);
    CHECK(pod->state == model::AttachmentState::Wired);
    CHECK(pod->addresses.size() == 1);
    CHECK(outside.enis.size() == 1);
    CHECK(daemon.synced);
    CHECK(daemon.node().not_ready().empty());
    const auto gone = daemon.del("c1");
    daemon.work();
    CHECK(succeeded(gone));
  }
  CHECK(outside.wired.empty());
  check_agreement(outside);
}

TEST_CASE(
    "an ADD before the instance is known waits, and is refused with the reason when it is late") {
  Outside outside;
  Daemon daemon(outside, R"({"add_timeout": "5s"})");
  CHECK(daemon.node().not_ready().find("not known") != std::string::npos);
  const auto late = daemon.add("c1");
  daemon.tell(PollFailed{"identify this instance", Error(Error::Kind::Unavailable, "no route")});
  outside.clock.advance(seconds(6));
  daemon.settle();
  CHECK(failure(late).find("no route") != std::string::npos);
  const auto early = daemon.add("c2");
  daemon.identify();
  daemon.work();
  std::optional<Answer> keep;
  CHECK(added(early, keep) != nullptr);
}

TEST_CASE("after a restart a pod is served from the journal before the cloud has answered") {
  Outside outside;
  {
    Daemon daemon(outside, R"({"min_pool_size": 3})");
    daemon.identify();
    const auto reply = daemon.add("c1");
    daemon.work();
    std::optional<Answer> keep;
    REQUIRE(added(reply, keep) != nullptr);
  }
  outside.cloud_error = Error(Error::Kind::Unavailable, "the cloud is away");
  {
    Daemon daemon(outside, R"({"min_pool_size": 3})");
    const auto reply = daemon.add("c2");
    daemon.work(50);
    std::optional<Answer> keep;
    REQUIRE(added(reply, keep) != nullptr);
    CHECK_FALSE(daemon.synced);
  }
  check_agreement(outside);
}

TEST_CASE(
    "other limits are in the journal, then in the kernel, then answered, and outlive a restart") {
  Outside outside;
  const auto ask = [](Daemon& daemon, const std::string& pod, std::optional<std::uint64_t> egress,
                      std::optional<std::uint64_t> ingress) {
    const auto reply = std::make_shared<Channel<Result<std::string>>>();
    daemon.tell(BandwidthCall{pod, "", egress, ingress, reply});
    daemon.work();
    auto answer = reply->try_receive();
    REQUIRE(answer);
    return std::move(*answer);
  };
  {
    Daemon daemon(outside);
    daemon.identify();
    (void)daemon.add("c1");
    daemon.work();
    const auto answer = ask(daemon, "default/pod-c1", 10'000'000, std::nullopt);
    REQUIRE(answer.ok());
    CHECK(answer->find("\"egress\":\"10M\"") != std::string::npos);
    CHECK(answer->find("\"ingress\":\"none\"") != std::string::npos);
    CHECK(outside.wired.at({"c1", "eth0"}).bandwidth == model::Bandwidth{10'000'000, 0});
    CHECK(ask(daemon, "c1", std::nullopt, 2'000'000).ok());
    CHECK(ask(daemon, "default/nobody", 1'000'000, std::nullopt).is(Error::Kind::NotFound));
  }
  Daemon daemon(outside);
  REQUIRE(daemon.restored.size() == 1);
  CHECK(daemon.restored[0].bandwidth == model::Bandwidth{10'000'000, 2'000'000});
}

TEST_CASE("a limit that is no rate is told, and the pod refused or unlimited as configured") {
  for (const bool refuse : {true, false}) {
    CAPTURE(refuse);
    Outside outside;
    Daemon daemon(outside, refuse ? "{}" : R"({"invalid_bandwidth": "unlimited"})");
    daemon.identify();
    AddCall call;
    call.reply = std::make_shared<Channel<Answer>>();
    call.request.key = {"c1", "eth0"};
    call.request.pod = {"default", "pod-c1", "uid", ""};
    call.request.received = outside.clock.now();
    call.request.bandwidth_problems = {"egressRate: 5 is not allowed"};
    const ReplyTo reply = call.reply;
    daemon.tell(std::move(call));
    daemon.work();
    std::optional<Answer> keep;
    CHECK((added(reply, keep) != nullptr) == !refuse);
    CHECK(outside.wired.contains({"c1", "eth0"}) == !refuse);
  }
}

TEST_CASE("a caller that hangs up while it waits leaves nothing behind") {
  Outside outside;
  {
    Daemon daemon(outside);
    daemon.identify();
    const auto reply = daemon.add("c1");
    daemon.tell(HungUp{reply});
    daemon.work();
    CHECK_FALSE(reply->try_receive());
  }
  CHECK(outside.wired.empty());
  check_agreement(outside);
}

TEST_CASE("GC removes what the runtime does not know, of this network only") {
  Outside outside;
  {
    Daemon daemon(outside);
    daemon.identify();
    for (const char* c : {"c1", "c2", "c3"}) (void)daemon.add(c);
    daemon.work();
    const auto reply = std::make_shared<Channel<Answer>>();
    daemon.tell(GcCall{"another", {}, reply});
    CHECK(succeeded(reply));
    daemon.tell(GcCall{"terway", {{"c2", "eth0"}}, reply});
    daemon.work();
    CHECK(succeeded(reply));
  }
  CHECK(outside.wired.size() == 1);
  CHECK(outside.wired.contains({"c2", "eth0"}));
  check_agreement(outside);
}

TEST_CASE("CHECK compares the runtime's memory with the journal and the kernel") {
  Outside outside;
  Daemon daemon(outside);
  daemon.identify();
  const auto reply = daemon.add("c1");
  daemon.work();
  std::optional<Answer> keep;
  const auto* pod = added(reply, keep);
  REQUIRE(pod != nullptr);
  const auto check = [&](const char* container, std::vector<net::IpAddress> addresses) {
    const auto answer = std::make_shared<Channel<Answer>>();
    daemon.tell(CheckCall{{container, "eth0"}, nullptr, std::move(addresses), answer});
    daemon.work();
    return answer;
  };
  CHECK(succeeded(check("c1", pod->addresses)));
  CHECK(failure(check("c1", {ip(9)})).find("prevResult") != std::string::npos);
  CHECK(failure(check("other", {})).find("no attachment") != std::string::npos);
  outside.wired.clear();
  CHECK(failure(check("c1", pod->addresses)) == "no link");
}

TEST_CASE("STATUS says which limit is reached") {
  Outside outside;
  Daemon daemon(outside);
  daemon.identify(2, 2);
  for (const char* c : {"c1", "c2"}) (void)daemon.add(c);
  daemon.work();
  const auto reply = std::make_shared<Channel<Answer>>();
  daemon.tell(StatusCall{reply});
  CHECK(failure(reply).find("all 2 IPv4 addresses that instance type ecs.test allows") !=
        std::string::npos);
}

TEST_CASE("stopping refuses those who wait for addresses") {
  Outside outside;
  Daemon daemon(outside);
  daemon.identify();
  const auto waiting = daemon.add("c1");
  daemon.tell(Stop{});
  daemon.work(20);
  CHECK(failure(waiting).find("stopping") != std::string::npos);
  CHECK(daemon.node().drained());
  CHECK(failure(daemon.add("c2")).find("stopping") != std::string::npos);
}

TEST_CASE("a lost journal is rebuilt from kernel and cloud, and live pods keep their addresses") {
  Outside outside;
  std::vector<net::IpAddress> before;
  {
    Daemon daemon(outside);
    daemon.identify();
    const auto reply = daemon.add("c1");
    daemon.work();
    std::optional<Answer> keep;
    before = added(reply, keep)->addresses;
  }
  for (const char* name : {"journal.db", "journal.db-wal"}) {
    std::filesystem::remove(outside.folder / name);
  }
  {
    Daemon daemon(outside);
    daemon.work();  // the kernel is heard
    daemon.identify();
    daemon.work();
    const auto reply = daemon.add("c2");
    daemon.work();
    std::optional<Answer> keep;
    const auto* pod = added(reply, keep);
    REQUIRE(pod != nullptr);
    CHECK(pod->addresses != before);
  }
  CHECK(outside.wired.at({"c1", "eth0"}).addresses == before);
  check_agreement(outside);
}

TEST_CASE("a daemon killed between any two steps converges") {
  for (int kill_after = 0; kill_after < 60; ++kill_after) {
    CAPTURE(kill_after);
    Outside outside;
    bool finished = false;
    {
      Daemon daemon(outside, R"({"min_pool_size": 1, "max_pool_size": 2})");
      daemon.identify();
      int left = kill_after;
      const auto steps = [&](int most) {
        while (left > 0 && most-- > 0 && daemon.work_once()) --left;
      };
      (void)daemon.add("c1");
      steps(12);
      (void)daemon.add("c2");
      steps(12);
      (void)daemon.del("c1");
      (void)daemon.add("c3");
      steps(1000);
      finished = left > 0;
    }
    {
      Daemon daemon(outside, R"({"min_pool_size": 1, "max_pool_size": 2})");
      daemon.identify();
      daemon.work();
      outside.clock.advance(seconds(300));
      daemon.settle();
      daemon.list();
      daemon.work();
      // The runtime clears up what it got no answer for, and asks anew.
      for (const char* c : {"c1", "c2", "c3"}) (void)daemon.del(c);
      daemon.work();
      const auto reply = daemon.add("c4");
      daemon.work();
      std::optional<Answer> keep;
      CHECK(added(reply, keep) != nullptr);
    }
    CHECK(outside.wired.size() == 1);
    CHECK(outside.enis.size() == 1);
    check_agreement(outside);
    if (finished) break;
  }
}

TEST_CASE("in the mode of an ENI for each pod, a pod is wired with the NIC of its own ENI") {
  Outside outside;
  {  // the journal is the daemon's while it lives
    Daemon daemon(outside, "{}", DaemonMode::Exclusive);
    daemon.identify();
    const auto first = daemon.add("c1"), second = daemon.add("c2");
    daemon.work();
    std::optional<Answer> keep;
    REQUIRE(added(first, keep) != nullptr);
    REQUIRE(added(second, keep) != nullptr);
    REQUIRE(outside.wired.size() == 2);
    std::set<net::Mac> macs;
    for (const auto& [key, plan] : outside.wired) {
      CHECK(plan.mode == model::NetworkMode::Exclusive);
      CHECK(plan.nic_mac == outside.enis.at(plan.eni_id).mac);
      CHECK(plan.addresses == std::vector{outside.enis.at(plan.eni_id).primary_address});
      macs.insert(plan.nic_mac);
    }
    CHECK(macs.size() == 2);
  }
  check_agreement(outside);
}

TEST_CASE("after a change of the mode new pods wait until those of the one before are gone") {
  Outside outside;
  {
    Daemon daemon(outside);
    daemon.identify();
    const auto reply = daemon.add("c1");
    daemon.work();
    std::optional<Answer> keep;
    REQUIRE(added(reply, keep) != nullptr);
  }
  Daemon daemon(outside, "{}", DaemonMode::Exclusive);
  daemon.identify();
  daemon.work();
  CHECK(daemon.node().not_ready().find("1 pods of this node are wired as veth") !=
        std::string::npos);
  CHECK(failure(daemon.add("c2")).find("new pods wait") != std::string::npos);
  const auto gone = daemon.del("c1");
  daemon.work();
  CHECK(succeeded(gone));
  CHECK(daemon.node().not_ready().empty());
  const auto reply = daemon.add("c2");
  daemon.work();
  std::optional<Answer> keep;
  const auto* pod = added(reply, keep);
  REQUIRE(pod != nullptr);
  CHECK(pod->mode == model::NetworkMode::Exclusive);
}

TEST_CASE("the flag of the mode is upstream's, and a wrong one is told what is allowed") {
  CHECK(daemon_mode_from("").value() == DaemonMode::Shared);
  CHECK(daemon_mode_from("ENIMultiIP").value() == DaemonMode::Shared);
  CHECK(daemon_mode_from("ENIOnly").value() == DaemonMode::Exclusive);
  const auto wrong = daemon_mode_from("VPC");
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.error().message().find("ENIMultiIP (pods share ENIs), ENIOnly") != std::string::npos);
}

}  // namespace terway::agent
