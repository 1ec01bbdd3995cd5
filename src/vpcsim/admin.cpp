// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/admin.h"

#include <charconv>

#include "vpcsim/admin_json.h"

namespace terway::vpcsim {

namespace {

using Answer = Result<Json>;

int status_of(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::Invalid:
      return 400;
    case Error::Kind::NotFound:
      return 404;
    case Error::Kind::Exists:
    case Error::Kind::Exhausted:
      return 409;
    default:
      return 500;
  }
}

// What one request is about: "POST /faults" or "DELETE /faults/ID".
struct Route {
  std::string verb;  // "POST /faults"
  std::string id;    // what follows the second slash
};

Route route_of(const http::Request& request) {
  const std::size_t slash = request.path.find('/', 1);
  Route route;
  route.verb = request.method + " " + request.path.substr(0, slash);
  if (slash != std::string::npos) route.id = request.path.substr(slash + 1);
  return route;
}

Result<std::uint64_t> parse_id(const std::string& text) {
  std::uint64_t id = 0;
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (problem != std::errc() || stop != text.data() + text.size()) {
    return Error(Error::Kind::Invalid, "\"" + text + "\" is no number of a fault");
  }
  return id;
}

// --- setting up

Answer add_vpc(Region& region, const Json& json) {
  Members members(json);
  Vpc vpc;
  vpc.id = members.text("id");
  const auto cidr = members.prefix("cidr");
  vpc.ipv6_cidr = members.prefix("ipv6_cidr");
  TRY(members.done());
  if (!cidr) return Error(Error::Kind::Invalid, "cidr is missing");
  vpc.cidr = *cidr;
  const std::string id = TRY(region.world.add_vpc(vpc));
  return Json{{"id", id}};
}

Answer add_vswitch(Region& region, const Json& json) {
  Members members(json);
  NewVSwitch wanted;
  wanted.id = members.text("id");
  wanted.name = members.text("name");
  wanted.vpc_id = members.text("vpc");
  wanted.zone_id = members.text("zone");
  const auto cidr = members.prefix("cidr");
  wanted.ipv6_cidr = members.prefix("ipv6_cidr");
  TRY(members.done());
  if (!cidr) return Error(Error::Kind::Invalid, "cidr is missing");
  wanted.cidr = *cidr;
  const std::string id = TRY(region.world.add_vswitch(wanted));
  return json_of(*region.world.find_vswitch(id));
}

Answer add_security_group(Region& region, const Json& json) {
  Members members(json);
  SecurityGroup group;
  group.id = members.text("id");
  group.name = members.text("name");
  group.vpc_id = members.text("vpc");
  TRY(members.done());
  const std::string id = TRY(region.world.add_security_group(group));
  return Json{{"id", id}};
}

Answer add_access_key(Region& region, const Json& json) {
  Members members(json);
  AccessKey key;
  key.id = members.text("id");
  key.secret = members.text("secret");
  TRY(members.done());
  if (key.id.empty() || key.secret.empty()) {
    return Error(Error::Kind::Invalid, "id and secret must not be empty");
  }
  region.credentials.add(key);
  return Json{{"id", key.id}};
}

struct InstanceWish {
  NewInstance instance;
  MetadataListen metadata;
};

Result<MetadataListen> parse_listen(const Json& json) {
  Members members(json);
  MetadataListen listen;
  listen.address = members.text("address");
  listen.port = static_cast<std::uint16_t>(members.number("port", 65535).value_or(80));
  listen.netns_path = members.text("netns");
  TRY_WITHIN("metadata", members.done());
  return listen;
}

Result<InstanceWish> parse_instance(const Json& json) {
  Members members(json);
  InstanceWish wish;
  wish.instance.id = members.text("id");
  wish.instance.name = members.text("name");
  wish.instance.type = members.text("type");
  wish.instance.vswitch_id = members.text("vswitch");
  wish.instance.security_group_ids = members.texts("security_groups");
  wish.instance.address = members.address("address");
  wish.instance.ipv6_count =
      static_cast<std::uint32_t>(members.number("ipv6_count", 10).value_or(0));
  wish.instance.netns_path = members.text("netns");
  wish.instance.role_name = members.text("role");
  const Json metadata = members.object("metadata");
  TRY(members.done());
  wish.metadata = TRY(parse_listen(metadata));
  return wish;
}

Answer create_instance(Region& region, const NewInstance& wanted) {
  const std::string id = TRY(region.world.add_instance(wanted));
  const Server& server = *region.world.find_instance(id);
  Json created = json_of(region.world, server);
  created["eni"] = json_of(region.world, *region.world.find_eni(server.info.primary_eni_id));
  return created;
}

Answer add_instance(Owner& owner, MetadataListeners& listeners, const Json& json) {
  const InstanceWish wish = TRY(parse_instance(json));
  Json answer =
      TRY(owner.ask([&](Region& region) { return create_instance(region, wish.instance); }));
  if (wish.metadata.address.empty()) return answer;
  const std::string id = answer["id"].get<std::string>();
  auto port = listeners.open(id, wish.metadata);
  if (!port.ok()) {
    const auto removed =
        owner.ask([&](Region& region) { return region.world.remove_instance(id); });
    VERIFY(removed.ok());
    return port.take_error();
  }
  answer["metadata_port"] = *port;
  return answer;
}

// {"netns", "metadata"}: the node is on again, there; without netns: it is off.
Answer boot_instance(Owner& owner, MetadataListeners& listeners, const std::string& id,
                     const Json& json) {
  Members members(json);
  const std::string netns_path = members.text("netns");
  const Json metadata = members.object("metadata");
  TRY(members.done());
  const MetadataListen listen = TRY(parse_listen(metadata));
  TRY(owner.ask([&](Region& region) { return region.world.boot_instance(id, netns_path); }));
  listeners.close(id);
  Json answer = Json::object();
  if (!listen.address.empty()) answer["metadata_port"] = TRY(listeners.open(id, listen));
  return answer;
}

Answer remove_instance(Owner& owner, MetadataListeners& listeners, const std::string& id) {
  listeners.close(id);
  TRY(owner.ask([&](Region& region) { return region.world.remove_instance(id); }));
  return Json::object();
}

// --- faults and the rest

Answer add_fault(Region& region, const Json& json) {
  Members members(json);
  Fault fault;
  const std::string kind = members.text("kind");
  fault.action = members.text("action");
  fault.instance_id = members.text("instance");
  fault.eni_id = members.text("eni");
  fault.vswitch_id = members.text("vswitch");
  fault.count = members.number("count", 1'000'000'000);
  fault.probability = members.fraction("probability").value_or(1);
  fault.delay = std::chrono::milliseconds(members.number("delay_ms", 86'400'000).value_or(0));
  fault.status = static_cast<int>(members.number("status", 599).value_or(0));
  fault.code = members.text("code");
  fault.message = members.text("message");
  fault.limit = static_cast<std::uint32_t>(members.number("limit", 1000).value_or(0));
  fault.address = members.address("address");
  TRY(members.done());
  const auto known = fault_kind_from(kind);
  if (!known) {
    std::string all;
    for (const FaultKind one : all_fault_kinds()) all += " " + std::string(to_string(one));
    return Error(Error::Kind::Invalid, "kind: \"" + kind + "\" is none of" + all);
  }
  fault.kind = *known;
  TRY(region.faults.add(fault));
  return json_of(region.faults.list().back());
}

Answer clear_faults(Region& region, const std::string& id) {
  if (id.empty()) {
    for (const std::uint64_t one : region.faults.clear_all()) region.world.release_held(one);
    return Json::object();
  }
  if (!region.clear_fault(TRY(parse_id(id)))) {
    return Error(Error::Kind::NotFound, "there is no fault " + id);
  }
  return Json::object();
}

Json list_faults(const Region& region) {
  Json list = Json::array();
  for (const Fault& fault : region.faults.list()) list.push_back(json_of(fault));
  return list;
}

Json list_enis(const Region& region) {
  Json list = Json::array();
  for (const EniRecord* record : region.world.enis()) {
    list.push_back(json_of(region.world, *record));
  }
  return list;
}

// ?since=SEQUENCE: only later ones. ?action=NAME: only those.
Json list_calls(const Region& region, const http::Request& request) {
  const http::Parameters parameters = http::parse_parameters(request.query);
  const auto find = [&](std::string_view name) {
    const auto found = parameters.find(name);
    return found == parameters.end() ? std::string() : found->second;
  };
  std::uint64_t since = 0;
  const std::string from = find("since");
  std::from_chars(from.data(), from.data() + from.size(), since);
  const std::string action = find("action");
  Json calls = Json::array();
  for (const Call& call : region.calls.latest()) {
    if (call.sequence > since && (action.empty() || action == call.action)) {
      calls.push_back(json_of(call));
    }
  }
  Json counts = Json::object();
  for (const auto& [name, count] : region.calls.counts()) {
    counts[name] = {{"total", count.total}, {"failed", count.failed}, {"by_code", count.by_code}};
  }
  return {{"counts", counts}, {"calls", calls}};
}

Answer list_counters(Owner& owner) {
  const auto counters = TRY(owner.ask_fabric([](Plugger& plugger) { return plugger.counters(); }));
  Json all = Json::object();
  for (const NicCounters& nic : counters) all[nic.eni_id] = nic.by_name;
  return all;
}

Answer in_region(Owner& owner, const Route& route, const Json& body, const http::Request& request) {
  return owner.ask([&](Region& region) -> Answer {
    if (route.verb == "GET /world") return world_json(region);
    if (route.verb == "GET /enis") return list_enis(region);
    if (route.verb == "GET /faults") return list_faults(region);
    if (route.verb == "GET /calls") return list_calls(region, request);
    if (route.verb == "GET /settings") return json_of(region.world.settings());
    if (route.verb == "POST /vpcs") return add_vpc(region, body);
    if (route.verb == "POST /vswitches") return add_vswitch(region, body);
    if (route.verb == "POST /security-groups") return add_security_group(region, body);
    if (route.verb == "POST /access-keys") return add_access_key(region, body);
    if (route.verb == "POST /faults") return add_fault(region, body);
    if (route.verb == "DELETE /faults") return clear_faults(region, route.id);
    if (route.verb == "POST /settings") {
      TRY(set_settings(region.world.settings(), body));
      return json_of(region.world.settings());
    }
    if (route.verb == "DELETE /vswitches") {
      TRY(region.world.remove_vswitch(route.id));
      return Json::object();
    }
    if (route.verb == "DELETE /calls") {
      region.calls.clear();
      return Json::object();
    }
    return Error(Error::Kind::NotFound, "there is no " + request.method + " " + request.path);
  });
}

}  // namespace

http::Response Admin::answer(const http::Request& request) {
  const Route route = route_of(request);
  Json body = Json::object();
  if (!request.body.empty()) body = Json::parse(request.body, nullptr, false);
  const auto perform = [&]() -> Answer {
    if (body.is_discarded()) return Error(Error::Kind::Invalid, "the body is not JSON");
    if (route.verb == "GET /endpoints") {
      return Json{
          {"http", endpoints_.http}, {"https", endpoints_.https}, {"ca", endpoints_.ca_path}};
    }
    if (route.verb == "GET /counters") return list_counters(owner_);
    if (route.verb == "POST /instances") {
      return route.id.empty() ? add_instance(owner_, listeners_, body)
                              : boot_instance(owner_, listeners_, route.id, body);
    }
    if (route.verb == "DELETE /instances") return remove_instance(owner_, listeners_, route.id);
    return in_region(owner_, route, body, request);
  };
  const Answer answer = perform();
  http::Response response;
  response.headers["Content-Type"] = "application/json";
  if (answer.ok()) {
    response.body = answer->dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  } else {
    const Json error = {{"error", answer.error().message()}, {"code", answer.error().code()}};
    response.status = status_of(answer.error().kind());
    response.body = error.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return response;
}

}  // namespace terway::vpcsim
