// SPDX-License-Identifier: Apache-2.0
// The cloud misbehaves: nobody's address is taken away, nothing leaks, and whoever is refused
// learns why.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "fault.h"

using namespace terway;
using namespace terway::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

lab::PodSpec named(const std::string& name) {
  lab::PodSpec pod;
  pod.name = name;
  return pod;
}

// What a refused ADD says.
std::string refusal(Cluster& cluster, const std::string& name) {
  const auto refused = cluster.lab().add_pod("node-1", named(name));
  REQUIRE_FALSE(refused.ok());
  return refused.error().message();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// So many pods at once; each must come up.
void add_at_once(Cluster& cluster, const std::string& prefix, int count) {
  std::vector<std::thread> adders;
  std::vector<std::string> errors(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    adders.emplace_back([&cluster, &prefix, &error = errors[static_cast<std::size_t>(i)], i] {
      const auto added = cluster.lab().add_pod("node-1", named(fmt::format("{}-{}", prefix, i)));
      if (!added.ok()) error = added.error().message();
    });
  }
  for (std::thread& adder : adders) adder.join();
  for (const std::string& error : errors) CHECK(error == "");
}

void delete_all(Cluster& cluster, const std::string& prefix, int count) {
  for (int i = 0; i < count; ++i) cluster.delete_pod(fmt::format("{}-{}", prefix, i));
}

}  // namespace

TEST_CASE("metadata that lags and lies takes nothing from a pod and gives nothing to one") {
  Shape shape;
  shape.nodes = 1;
  shape.pods = 3;
  shape.eni_conf = R"({ip_pool_sync_period: "1s", cool_down: "1s"})";
  Cluster cluster(shape);
  cluster.check_audit();
  int round = 0;
  for (const char* lie :
       {R"({"kind":"metadata_missing_address"})",
        R"({"kind":"metadata_extra_address","address":"192.168.63.99"})",
        R"({"kind":"metadata_missing_eni"})", R"({"kind":"metadata_extra_eni"})",
        R"({"kind":"metadata_stale","delay_ms":60000})", R"({"kind":"metadata_error"})"}) {
    CAPTURE(lie);
    Fault fault(cluster, lie);
    REQUIRE(eventually([&] { return fault.struck() >= 4; }));
    const auto pod = cluster.add_pod(fmt::format("new-{}", round++));
    std::set<std::string> assigned;
    for (const auto& eni : enis_of(cluster)) {
      assigned.insert(eni.addresses.begin(), eni.addresses.end());
    }
    for (const auto& address : pod.sandbox.addresses) CHECK(assigned.contains(address.to_string()));
    for (const std::string& complaint : audit(cluster)) FAIL_CHECK(complaint);
    cluster.delete_pod(pod.sandbox.pod.name);
  }
  CHECK(notices(cluster, "AddressSuspect") == 0);
  CHECK(notices(cluster, "EniLost") == 0);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("a daemon that starts while the metadata service is down serves what its journal knows") {
  Shape shape;
  shape.pods = 1;
  shape.eni_conf = "{min_pool_size: 3}";
  Cluster cluster(shape);
  REQUIRE(eventually([&] { return pool_of(cluster).idle >= 3; }));
  REQUIRE(cluster.lab().kill_daemon("node-1").ok());
  Fault fault(cluster, R"({"kind":"metadata_error"})");
  REQUIRE(cluster.lab().start_daemon("node-1").ok());
  cluster.add_pod("early");
  CHECK(eventually([&] { return fault.struck() > 0; }));
  fault.clear();
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("a NIC that comes late delays only the pods that need it") {
  Shape shape;
  shape.instance_type = "ecs.g7.large";  // 6 addresses an ENI
  shape.pods = 3;
  shape.eni_conf = "{min_pool_size: 3}";
  Cluster cluster(shape);
  REQUIRE(eventually([&] { return pool_of(cluster).idle == 3; }));
  // Late by as much as the test takes: until the fault is cleared.
  Fault fault(cluster, R"({"kind":"nic_never","count":1})");
  // The first of these makes the daemon fetch another ENI, for the reserve.
  for (const char* name : {"a", "b", "c"}) cluster.add_pod(name);
  CHECK(eventually([&] { return fault.struck() == 1; }));
  const auto ready = [&] {
    std::size_t count = 0;
    for (const auto& eni : cluster.ask<rpc::cli::Enis>("node-1", rpc::cli::kEnisPath).enis) {
      count += eni.state == "Ready";
    }
    return count;
  };
  CHECK(ready() == 1);  // all three came up before it
  std::atomic<bool> up = false;
  std::thread adder([&] { up = cluster.lab().add_pod("node-1", named("d")).ok(); });
  CHECK(eventually([&] { return pool_of(cluster).waiting == 1; }));
  CHECK_FALSE(up);
  fault.clear();
  adder.join();
  CHECK(up);
  CHECK(ready() == 2);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("an ENI that does not become usable is detached and deleted, and another one serves") {
  for (const char* trouble :
       {R"({"kind":"nic_never","count":1})", R"({"kind":"attach_stuck","count":1})",
        R"({"kind":"attach_fails","count":1})"}) {
    CAPTURE(trouble);
    Shape shape;
    shape.eni_conf = R"({nic_timeout: "2s", attach_timeout: "2s"})";
    Cluster cluster(shape);
    Fault fault(cluster, trouble);
    cluster.add_pod("a");
    CHECK(fault.struck() == 1);
    CHECK(notices(cluster, "EniFailed") > 0);
    fault.clear();
    cluster.check_matrix();
    cluster.check_audit();
    CHECK(enis_of(cluster).size() == 1);
  }
}

TEST_CASE("the right NIC is chosen beside a macvlan of its MAC, and one that goes down comes up") {
  Cluster cluster({});
  {
    Fault fault(cluster, R"({"kind":"attach_stuck"})");
    std::thread adder([&] { cluster.lab().add_pod("node-1", named("a")).ok(); });
    std::string mac;
    CHECK(eventually([&] {
      for (const auto& eni : enis_of(cluster)) mac = eni.mac;
      return fault.struck() > 0 && !mac.empty();
    }));
    cluster.on_node("node-1",
                    fmt::format("ip link add impostor link eth0 address {} type macvlan "
                                "mode private && "
                                "echo 1 >/proc/sys/net/ipv6/conf/impostor/disable_ipv6 && "
                                "ip link set impostor up",
                                mac));
    fault.clear();
    adder.join();
  }
  const auto enis = cluster.ask<rpc::cli::Enis>("node-1", rpc::cli::kEnisPath).enis;
  REQUIRE(enis.size() == 1);
  CHECK(enis[0].state == "Ready");
  CHECK(enis[0].ifname != "impostor");
  cluster.check_matrix();
  cluster.on_node("node-1", fmt::format("ip link set {} down", enis[0].ifname));
  cluster.check_matrix_heals();
  cluster.check_audit();
}

TEST_CASE("calls whose reply is lost after they were done leave no second ENI and no address") {
  Shape shape;
  shape.instance_type = "ecs.g7.large";
  shape.eni_conf = R"({max_pool_size: 0, cool_down: "0s"})";
  Cluster cluster(shape);
  const char* actions[] = {"CreateNetworkInterface",   "AttachNetworkInterface",
                           "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses",
                           "DetachNetworkInterface",   "DeleteNetworkInterface"};
  std::vector<std::unique_ptr<Fault>> faults;
  for (const char* action : actions) {
    faults.push_back(std::make_unique<Fault>(
        cluster, fmt::format(R"({{"kind":"lost_reply","action":"{}","count":2}})", action)));
  }
  for (int round = 0; round < 2; ++round) {
    // One at a time first, so that an ENI gets more addresses, and loses some.
    for (int i = 0; i < 7; ++i) cluster.add_pod(fmt::format("p-{}", i));
    CHECK(enis_of(cluster).size() == 2);
    cluster.check_audit();
    cluster.delete_pod("p-3");
    cluster.check_audit();
    cluster.add_pod("p-3");
    delete_all(cluster, "p", 7);
    CHECK(eventually([&] { return enis_of(cluster).empty(); }));
    cluster.check_audit();
  }
  for (std::size_t i = 0; i < faults.size(); ++i) {
    CAPTURE(actions[i]);
    CHECK(faults[i]->struck() == 2);
  }
}

TEST_CASE("under throttling, 5xx, delays and partial answers pods come up, and nothing leaks") {
  constexpr int kPods = 12;
  Shape shape;
  shape.eni_conf = R"({max_pool_size: 2, cool_down: "0s"})";
  Cluster cluster(shape);
  std::vector<std::unique_ptr<Fault>> faults;
  for (const char* trouble :
       {R"({"kind":"throttle","probability":0.3})", R"({"kind":"error","probability":0.2})",
        R"({"kind":"delay","delay_ms":200,"probability":0.3})",
        R"({"kind":"lost_reply","probability":0.1})",
        R"({"kind":"partial","limit":1,"action":"AssignPrivateIpAddresses"})"}) {
    faults.push_back(std::make_unique<Fault>(cluster, trouble));
  }
  std::vector<std::thread> adders;
  for (int i = 0; i < kPods; ++i) {
    adders.emplace_back([&cluster, i] { cluster.add_pod_at_last(fmt::format("p-{}", i)); });
  }
  for (std::thread& adder : adders) adder.join();
  const auto all_struck = [&] {
    return std::ranges::all_of(faults, [](const auto& fault) { return fault->struck() > 0; });
  };
  // Each round has one call at least that is done in the end, and so may lose its reply: that none
  // does has a probability of 0.9 to the power of rounds.
  for (int round = 0; round < 200 && !all_struck(); ++round) {
    for (int i = 0; i < 4; ++i) cluster.delete_pod(fmt::format("p-{}", i));
    for (int i = 0; i < 4; ++i) cluster.add_pod_at_last(fmt::format("p-{}", i));
  }
  for (const auto& fault : faults) CHECK(fault->struck() > 0);
  faults.clear();
  cluster.check_matrix();
  cluster.check_audit();
  // One holds all pods. While a call that brings addresses is being tried again for longer than
  // 5 s and pods wait for it, a second one is made to go around it, for the trouble may be that
  // ENI's. It has room for all as well, and never are two gone around at once: so there is no
  // third.
  CHECK(enis_of(cluster).size() <= 2);
  delete_all(cluster, "p", kPods);
  cluster.check_audit();
}

TEST_CASE("a burst that empties a vSwitch goes on in the other one") {
  Shape shape;
  shape.pod_cidr = "192.168.32.0/28";  // 12 addresses each
  shape.second_pod_cidr = "192.168.33.0/28";
  shape.eni_conf = "{max_pool_size: 0}";
  Cluster cluster(shape);
  add_at_once(cluster, "p", 22);
  std::set<std::string> used;
  for (const auto& eni : enis_of(cluster)) used.insert(eni.vswitch);
  CHECK(used.size() == 2);
  CHECK(notices(cluster, "VSwitchExhausted") > 0);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("who is refused for want of addresses learns the vSwitch, the code and the RequestId") {
  Shape shape;
  shape.pod_cidr = "192.168.32.0/28";  // 12 addresses
  shape.eni_conf = R"({max_pool_size: 0, cool_down: "0s", add_timeout: "3s"})";
  Cluster cluster(shape);
  int fits = 0;
  std::string why;
  // Refused for another reason (the time was short for a new ENI) it is tried again.
  CHECK(eventually(
      [&] {
        auto added = cluster.lab().add_pod("node-1", named(fmt::format("p-{}", fits)));
        if (added.ok() && ++fits <= 12) return false;
        if (!added.ok()) why = added.error().message();
        return added.ok() || contains(why, "InvalidVSwitchId.IpNotEnough");
      },
      std::chrono::minutes(3)));
  CAPTURE(why);
  CHECK(fits == 12);
  CHECK(contains(why, "vsw-pods"));
  CHECK(contains(why, "InvalidVSwitchId.IpNotEnough"));
  const auto requests = failed_requests(cluster, "AssignPrivateIpAddresses");
  CHECK(std::any_of(requests.begin(), requests.end(),
                    [&](const std::string& id) { return contains(why, id); }));
  CHECK(notices(cluster, "VSwitchExhausted") > 0);
  cluster.check_audit();
  // Addresses that a pod gives back serve at once.
  cluster.delete_pod("p-0");
  cluster.add_pod("p-0");
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("an exhausted vSwitch is asked again after a while, and not before") {
  Shape shape;
  shape.eni_conf = R"({max_pool_size: 0, add_timeout: "1s", vswitch_probe_after: "10s"})";
  Cluster cluster(shape);
  cluster.add_pod_at_last("a");
  Fault fault(cluster, R"({"kind":"vswitch_exhausted","vswitch":"vsw-pods"})");
  REQUIRE(eventually([&] { return contains(refusal(cluster, "b"), "vsw-pods"); }));
  // Two looks within a while see the same number of calls; each probe begins a new while.
  SystemClock clock;
  CHECK(eventually([&] {
    const auto asked = calls_of(cluster, "AssignPrivateIpAddresses").total;
    const Instant begun = clock.now();
    CHECK(contains(refusal(cluster, "b"), "vsw-pods"));
    CHECK(contains(refusal(cluster, "b"), "vsw-pods"));
    const bool in_a_while = clock.now() - begun < seconds(5);
    return in_a_while && calls_of(cluster, "AssignPrivateIpAddresses").total == asked;
  }));
  fault.clear();
  CHECK(eventually([&] { return cluster.lab().add_pod("node-1", named("b")).ok(); }));
  CHECK(notices(cluster, "VSwitchRecovered") > 0);
  cluster.check_matrix();
  cluster.check_audit();
}

TEST_CASE("each fault of the cloud is told with its code, what it is about, and its RequestId") {
  Shape shape;
  shape.eni_conf = R"({max_pool_size: 0, max_eni: 1, add_timeout: "2s"})";
  Cluster cluster(shape);
  struct Case {
    std::string action;
    std::string fault;
    std::string code;
  };
  const Case create[] = {
      {"CreateNetworkInterface", R"("kind":"throttle")", "Throttling.User"},
      {"CreateNetworkInterface", R"("kind":"error")", "InternalError"},
      {"CreateNetworkInterface", R"("kind":"error","status":403,"code":"Forbidden.RAM")",
       "Forbidden.RAM"},
      {"CreateNetworkInterface",
       R"("kind":"error","status":400,"code":"InvalidSecurityGroupId.NotFound")",
       "InvalidSecurityGroupId.NotFound"},
      {"AttachNetworkInterface", R"("kind":"error","status":403,"code":"Forbidden.RAM")",
       "Forbidden.RAM"}};
  const Case assign[] = {
      {"AssignPrivateIpAddresses", R"("kind":"throttle")", "Throttling.User"},
      {"AssignPrivateIpAddresses", R"("kind":"error","status":503,"code":"ServiceUnavailable")",
       "ServiceUnavailable"},
      {"AssignPrivateIpAddresses", R"("kind":"error","status":403,"code":"Forbidden.RAM")",
       "Forbidden.RAM"}};
  const auto check = [&](const Case& one) {
    CAPTURE(one.action);
    CAPTURE(one.fault);
    const Fault fault(cluster, fmt::format(R"({{"action":"{}",{}}})", one.action, one.fault));
    std::string why;
    // Until there was time enough to come to that call.
    CHECK(eventually([&] {
      why = refusal(cluster, "a");
      return contains(why, one.code);
    }));
    CAPTURE(why);
    CHECK(fault.struck() > 0);
    CHECK((contains(why, one.action) || contains(why, "eni-") || contains(why, "vsw-")));
    const auto requests = failed_requests(cluster, one.action);
    CHECK(std::any_of(requests.begin(), requests.end(),
                      [&](const std::string& id) { return contains(why, id); }));
  };
  // What the refused pod had begun for itself is undone, or done with.
  const auto settle = [&] {
    CHECK(eventually([&] {
      const auto pool = cluster.ask<rpc::cli::Pool>("node-1", rpc::cli::kPoolPath);
      return pool.operations.empty() && pool.pools.front().idle == 0;
    }));
  };
  for (const Case& one : create) {
    settle();
    check(one);
  }
  CHECK(eventually([&] { return cluster.lab().add_pod("node-1", named("first")).ok(); }));
  cluster.check_audit();
  for (const Case& one : assign) {
    settle();
    check(one);
  }
  CHECK(eventually([&] { return cluster.lab().add_pod("node-1", named("a")).ok(); }));
  cluster.check_matrix();
  cluster.check_audit();
}
