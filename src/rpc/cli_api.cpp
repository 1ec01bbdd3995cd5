// SPDX-License-Identifier: Apache-2.0
#include "rpc/cli_api.h"

#include <fmt/core.h>

#include <concepts>
#include <nlohmann/json.hpp>

namespace terway::rpc::cli {

namespace {

using Json = nlohmann::ordered_json;

// Each struct's keys, once, for both directions: `v(key, member)`.
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, ErrorReply>
void fields(V&& v, S& s) {
  v("kind", s.kind), v("message", s.message), v("code", s.code), v("request_id", s.request_id);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, PoolCounts>
void fields(V&& v, S& s) {
  v("family", s.family), v("total", s.total), v("idle", s.idle), v("held", s.held);
  v("cooling", s.cooling), v("releasing", s.releasing), v("suspect", s.suspect);
  v("waiting", s.waiting), v("capacity", s.capacity);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, NoticeEntry>
void fields(V&& v, S& s) {
  v("kind", s.kind), v("subject", s.subject), v("message", s.message);
  v("last_seen", s.last_seen), v("count", s.count);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Status>
void fields(V&& v, S& s) {
  v("version", s.version), v("node", s.node), v("instance_id", s.instance_id);
  v("instance_type", s.instance_type), v("region", s.region), v("zone", s.zone);
  v("daemon_mode", s.daemon_mode), v("datapath", s.datapath), v("fast_path", s.fast_path);
  v("ip_stack", s.ip_stack);
  v("ready", s.ready), v("reason", s.reason), v("cloud", s.cloud), v("boot_id", s.boot_id);
  v("started", s.started), v("uptime_s", s.uptime_s), v("pods", s.pods), v("pools", s.pools);
  v("drift", s.drift), v("notices", s.notices);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, PodEntry>
void fields(V&& v, S& s) {
  v("namespace", s.namespace_), v("name", s.name), v("uid", s.uid);
  v("owner_kind", s.owner_kind), v("container_id", s.container_id), v("ifname", s.ifname);
  v("state", s.state), v("addresses", s.addresses), v("eni_id", s.eni_id);
  v("host_ifname", s.host_ifname), v("host_mac", s.host_mac), v("pod_mac", s.pod_mac);
  v("mtu", s.mtu), v("netns", s.netns), v("created", s.created), v("sticky", s.sticky);
  v("egress_limit", s.egress_limit), v("ingress_limit", s.ingress_limit), v("priority", s.priority);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, EndpointEntry>
void fields(V&& v, S& s) {
  v("address", s.address), v("kind", s.kind), v("mode", s.mode), v("pod", s.pod);
  v("number", s.number), v("ifindex", s.ifindex), v("eni_ifindex", s.eni_ifindex);
  v("mac", s.mac), v("gateway_mac", s.gateway_mac), v("mtu", s.mtu);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, MapEntry>
void fields(V&& v, S& s) {
  v("name", s.name), v("entries", s.entries), v("max_entries", s.max_entries);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, ProgramEntry>
void fields(V&& v, S& s) {
  v("name", s.name), v("id", s.id), v("tag", s.tag), v("instructions", s.instructions);
  v("machine_bytes", s.machine_bytes), v("links", s.links);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, AttachmentEntry>
void fields(V&& v, S& s) {
  v("link", s.link), v("hook", s.hook), v("program", s.program), v("id", s.id);
  v("current", s.current);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, PacketCount>
void fields(V&& v, S& s) {
  v("reason", s.reason), v("direction", s.direction), v("packets", s.packets), v("bytes", s.bytes);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, FeatureEntry>
void fields(V&& v, S& s) {
  v("name", s.name), v("there", s.there), v("required", s.required), v("use", s.use);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Datapath>
void fields(V&& v, S& s) {
  v("setting", s.setting), v("on", s.on), v("reason", s.reason), v("kernel", s.kernel);
  v("features", s.features), v("endpoints", s.endpoints), v("host_stack", s.host_stack);
  v("maps", s.maps), v("programs", s.programs), v("attachments", s.attachments);
  v("counts", s.counts), v("events_lost", s.events_lost);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, EventEntry>
void fields(V&& v, S& s) {
  v("number", s.number), v("time_s", s.time_s), v("kind", s.kind), v("reason", s.reason);
  v("text", s.text), v("direction", s.direction), v("pod", s.pod), v("protocol", s.protocol);
  v("source", s.source), v("destination", s.destination), v("source_port", s.source_port);
  v("destination_port", s.destination_port), v("length", s.length), v("ifindex", s.ifindex);
  v("tcp_flags", s.tcp_flags);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Events>
void fields(V&& v, S& s) {
  v("last", s.last), v("events", s.events);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Pods>
void fields(V&& v, S& s) {
  v("pods", s.pods);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, AddressEntry>
void fields(V&& v, S& s) {
  v("address", s.address), v("state", s.state), v("pod", s.pod);
  v("container_id", s.container_id), v("age_s", s.age_s), v("until_s", s.until_s);
  v("sticky", s.sticky);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, EniEntry>
void fields(V&& v, S& s) {
  v("id", s.id), v("key", s.key), v("state", s.state), v("mac", s.mac);
  v("vswitch_id", s.vswitch_id), v("primary_address", s.primary_address), v("ifname", s.ifname);
  v("ifindex", s.ifindex), v("mtu", s.mtu), v("table", s.table), v("gateway", s.gateway);
  v("gateway_mac", s.gateway_mac), v("age_s", s.age_s), v("failures", s.failures);
  v("last_error", s.last_error), v("addresses", s.addresses);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Enis>
void fields(V&& v, S& s) {
  v("enis", s.enis);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, OperationEntry>
void fields(V&& v, S& s) {
  v("id", s.id), v("kind", s.kind), v("eni_id", s.eni_id), v("client_token", s.client_token);
  v("vswitch_id", s.vswitch_id), v("ipv4_count", s.ipv4_count), v("ipv6_count", s.ipv6_count);
  v("addresses", s.addresses);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, WaitingEntry>
void fields(V&& v, S& s) {
  v("pod", s.pod), v("container_id", s.container_id), v("waited_s", s.waited_s);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Pool>
void fields(V&& v, S& s) {
  v("pools", s.pools), v("min_pool_size", s.min_pool_size), v("max_pool_size", s.max_pool_size);
  v("max_enis", s.max_enis), v("ipv4_per_eni", s.ipv4_per_eni);
  v("ipv6_per_eni", s.ipv6_per_eni), v("cool_down_s", s.cool_down_s);
  v("operations", s.operations), v("waiting", s.waiting);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Journal>
void fields(V&& v, S& s) {
  v("path", s.path), v("schema_version", s.schema_version), v("boot_id", s.boot_id);
  v("size_bytes", s.size_bytes), v("attachments", s.attachments), v("enis", s.enis);
  v("operations", s.operations);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, MetadataNic>
void fields(V&& v, S& s) {
  v("mac", s.mac), v("eni_id", s.eni_id), v("primary_address", s.primary_address);
  v("vswitch_id", s.vswitch_id), v("addresses", s.addresses);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Metadata>
void fields(V&& v, S& s) {
  v("instance_id", s.instance_id), v("instance_type", s.instance_type);
  v("region_id", s.region_id), v("zone_id", s.zone_id), v("vpc_id", s.vpc_id);
  v("vswitch_id", s.vswitch_id), v("mac", s.mac), v("nics", s.nics);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, MappingEntry>
void fields(V&& v, S& s) {
  v("status", s.status), v("address", s.address), v("eni_id", s.eni_id), v("pod", s.pod);
  v("container_id", s.container_id), v("in_journal", s.in_journal);
  v("in_kernel", s.in_kernel), v("in_cloud", s.in_cloud);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Mapping>
void fields(V&& v, S& s) {
  v("consistent", s.consistent), v("entries", s.entries);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, ConfigEntry>
void fields(V&& v, S& s) {
  v("key", s.key), v("value", s.value), v("source", s.source);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Config>
void fields(V&& v, S& s) {
  v("path", s.path), v("loaded", s.loaded), v("entries", s.entries), v("warnings", s.warnings);
  v("restart_needed", s.restart_needed);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, BandwidthOrder>
void fields(V&& v, S& s) {
  v("pod", s.pod), v("ifname", s.ifname), v("egress", s.egress), v("ingress", s.ingress);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Bandwidth>
void fields(V&& v, S& s) {
  v("pod", s.pod), v("container_id", s.container_id), v("ifname", s.ifname);
  v("egress", s.egress), v("ingress", s.ingress);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, ResourceTypes>
void fields(V&& v, S& s) {
  v("types", s.types);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, ResourceNames>
void fields(V&& v, S& s) {
  v("type", s.type), v("names", s.names);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, KeyValue>
void fields(V&& v, S& s) {
  v("key", s.key), v("value", s.value);
}
template <class V, class S>
  requires std::same_as<std::remove_const_t<S>, Resource>
void fields(V&& v, S& s) {
  v("type", s.type), v("name", s.name), v("config", s.config), v("trace", s.trace);
}

Json to_json(const std::string& value) { return value; }
template <class Number>
  requires std::is_arithmetic_v<Number>
Json to_json(Number value) {
  return value;
}
Json to_json(const std::map<std::string, std::uint64_t>& map) {
  Json object = Json::object();
  for (const auto& [key, value] : map) object[key] = value;
  return object;
}
template <class S>
  requires std::is_class_v<S>
Json to_json(const S& value);
template <class T>
Json to_json(const std::vector<T>& list) {
  Json array = Json::array();
  for (const auto& item : list) array.push_back(to_json(item));
  return array;
}
template <class S>
  requires std::is_class_v<S>
Json to_json(const S& value) {
  Json object = Json::object();
  fields([&](const char* key, const auto& member) { object[key] = to_json(member); }, value);
  return object;
}

// Each answers false when the JSON is of another type.
bool from_json(const Json& json, std::string& value) {
  if (!json.is_string()) return false;
  value = json.get_ref<const std::string&>();
  return true;
}
bool from_json(const Json& json, bool& value) {
  if (!json.is_boolean()) return false;
  value = json.get<bool>();
  return true;
}
template <class Number>
  requires(std::is_arithmetic_v<Number> && !std::same_as<Number, bool>)
bool from_json(const Json& json, Number& value) {
  if (std::floating_point<Number> ? !json.is_number() : !json.is_number_integer()) return false;
  value = json.get<Number>();
  return true;
}
bool from_json(const Json& json, std::map<std::string, std::uint64_t>& map) {
  if (!json.is_object()) return false;
  for (const auto& [key, value] : json.items()) {
    if (!from_json(value, map[key])) return false;
  }
  return true;
}
template <class S>
  requires std::is_class_v<S>
bool from_json(const Json& json, S& value);
template <class T>
bool from_json(const Json& json, std::vector<T>& list) {
  if (!json.is_array()) return false;
  for (const auto& item : json) {
    if (!from_json(item, list.emplace_back())) return false;
  }
  return true;
}

// The first key whose value does not fit; empty when all do.
template <class S>
std::string fill(const Json& json, S& value) {
  std::string wrong;
  fields(
      [&](const char* key, auto& member) {
        const auto found = json.find(key);
        if (found == json.end()) return;
        if (!from_json(*found, member) && wrong.empty()) wrong = key;
      },
      value);
  return wrong;
}
template <class S>
  requires std::is_class_v<S>
bool from_json(const Json& json, S& value) {
  return json.is_object() && fill(json, value).empty();
}

}  // namespace

template <class T>
std::string encode(const T& value) {
  return to_json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class T>
Result<T> decode(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return Error(Error::Kind::Invalid, "the reply is not JSON");
  if (!json.is_object()) return Error(Error::Kind::Invalid, "the reply is not a JSON object");
  T value;
  if (const std::string wrong = fill(json, value); !wrong.empty()) {
    return Error(Error::Kind::Invalid, fmt::format("key {} has another type than expected", wrong));
  }
  return value;
}

#define TERWAY_CLI_REPLY(Type)                    \
  template std::string encode<Type>(const Type&); \
  template Result<Type> decode<Type>(std::string_view)

TERWAY_CLI_REPLY(ErrorReply);
TERWAY_CLI_REPLY(Status);
TERWAY_CLI_REPLY(Pods);
TERWAY_CLI_REPLY(Datapath);
TERWAY_CLI_REPLY(EventEntry);
TERWAY_CLI_REPLY(Events);
TERWAY_CLI_REPLY(Enis);
TERWAY_CLI_REPLY(Pool);
TERWAY_CLI_REPLY(Journal);
TERWAY_CLI_REPLY(Metadata);
TERWAY_CLI_REPLY(Mapping);
TERWAY_CLI_REPLY(Config);
TERWAY_CLI_REPLY(BandwidthOrder);
TERWAY_CLI_REPLY(Bandwidth);
TERWAY_CLI_REPLY(ResourceTypes);
TERWAY_CLI_REPLY(ResourceNames);
TERWAY_CLI_REPLY(Resource);

}  // namespace terway::rpc::cli
