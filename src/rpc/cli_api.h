// SPDX-License-Identifier: Apache-2.0
// What terway-cli asks the daemon, and what it answers: JSON over HTTP on a unix socket of mode
// 0600 (docs/formats/cli-api.md). Structs here, their JSON in cli_api.cpp, so that both ends agree.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace terway::rpc::cli {

inline constexpr char kSocket[] = "/var/run/eni/terway-cli.sock";

// GET unless said otherwise; each answers 200 with the struct beside it, or an ErrorReply with 404,
// 405 or 503.
inline constexpr char kStatusPath[] = "/v1/status";      // Status
inline constexpr char kPodsPath[] = "/v1/pods";          // Pods
inline constexpr char kEnisPath[] = "/v1/enis";          // Enis
inline constexpr char kPoolPath[] = "/v1/pool";          // Pool
inline constexpr char kJournalPath[] = "/v1/journal";    // Journal
inline constexpr char kMetadataPath[] = "/v1/metadata";  // Metadata
inline constexpr char kMappingPath[] = "/v1/mapping";    // Mapping
inline constexpr char kConfigPath[] = "/v1/config";      // Config
inline constexpr char kDatapathPath[] = "/v1/datapath";  // Datapath
// /v1/events: Events from now on; /v1/events/N: those after number N, waiting a second for one;
// "/flows" behind either: new flows as well as drops.
inline constexpr char kEventsPath[] = "/v1/events";
// PUT a BandwidthOrder: Bandwidth, as it is now.
inline constexpr char kBandwidthPath[] = "/v1/bandwidth";
// /v1/resources: ResourceTypes; /v1/resources/TYPE: ResourceNames; …/TYPE/NAME: Resource.
inline constexpr char kResourcesPath[] = "/v1/resources";
// Plain text: the Prometheus exposition format; "ok", or 503 and the reason.
inline constexpr char kMetricsPath[] = "/metrics";
inline constexpr char kHealthPath[] = "/healthz";
inline constexpr char kReadyPath[] = "/readyz";

// Times are wall clock, RFC 3339 with UTC ("2026-07-01T12:00:00Z"); ages and waits are in seconds.
// Addresses, MACs and states are the text that the rest of the product prints; empty: not known.

struct ErrorReply {
  std::string kind;  // Error::Kind as text
  std::string message;
  std::string code;        // the cloud's, if any
  std::string request_id;  // the cloud's, if any
};

struct PoolCounts {
  std::string family;  // "ipv4", "ipv6"
  std::uint32_t total = 0, idle = 0, held = 0, cooling = 0, releasing = 0, suspect = 0;
  std::uint32_t waiting = 0;   // pods that wait for one
  std::uint32_t capacity = 0;  // what the instance type allows
};

// The latest things that an operator should know of; repeated ones are counted, not listed again.
struct NoticeEntry {
  std::string kind;     // "VSwitchExhausted", "EniFailed", …
  std::string subject;  // an ENI, a vSwitch, an address
  std::string message;
  std::string last_seen;
  std::uint64_t count = 0;
};

struct Status {
  std::string version;
  std::string node;
  std::string instance_id;
  std::string instance_type;
  std::string region;
  std::string zone;
  std::string daemon_mode;  // "shared"
  std::string datapath;     // "veth"
  std::string fast_path;    // "on", or "off: why"
  std::string ip_stack;     // "ipv4", "dual"
  bool ready = false;       // an ADD can be served
  std::string reason;       // why not
  std::string cloud;  // "unknown" until the first full listing, then "in-sync" or "failing: why"
  std::string boot_id;
  std::string started;
  double uptime_s = 0;
  std::uint64_t pods = 0;
  std::vector<PoolCounts> pools;
  std::map<std::string, std::uint64_t> drift;  // kind of kernel object -> how many were put right
  std::vector<NoticeEntry> notices;
};

struct PodEntry {
  std::string namespace_;  // "namespace" in JSON
  std::string name;
  std::string uid;
  std::string owner_kind;
  std::string container_id;
  std::string ifname;
  std::string state;  // "Intent", "Wired", "Removing"; "Waiting" while there is no address
  std::vector<std::string> addresses;
  std::string eni_id;
  std::string host_ifname;
  std::string host_mac;
  std::string pod_mac;
  std::uint32_t mtu = 0;
  std::string netns;
  std::string created;
  bool sticky = false;
  std::string egress_limit;  // as in Bandwidth
  std::string ingress_limit;
  std::string priority;  // "guaranteed", "burstable", "best-effort"
};
struct Pods {
  std::vector<PodEntry> pods;
};

struct AddressEntry {
  std::string address;
  std::string state;  // "Idle", "Held", "Cooling", "Releasing", "Suspect"
  std::string pod;    // "namespace/name" of the owner, or of the last one while cooling
  std::string container_id;
  double age_s = 0;    // in this state
  double until_s = 0;  // cooling: what is left of it
  bool sticky = false;
};

struct EniEntry {
  std::string id;
  std::string key;
  std::string state;  // "Creating" … "Ready" … "Gone"
  std::string mac;
  std::string vswitch_id;
  std::string primary_address;
  std::string ifname;  // of its NIC, once there
  std::int64_t ifindex = 0;
  std::uint32_t mtu = 0;
  std::uint32_t table = 0;
  std::string gateway;
  std::string gateway_mac;
  double age_s = 0;  // in this state
  std::uint32_t failures = 0;
  std::string last_error;
  std::vector<AddressEntry> addresses;
};
struct Enis {
  std::vector<EniEntry> enis;
};

struct OperationEntry {
  std::uint64_t id = 0;
  std::string kind;  // "CreateEni", "AssignIpv4", …
  std::string eni_id;
  std::string client_token;
  std::string vswitch_id;
  std::uint32_t ipv4_count = 0;
  std::uint32_t ipv6_count = 0;
  std::vector<std::string> addresses;
};

struct WaitingEntry {
  std::string pod;
  std::string container_id;
  double waited_s = 0;
};

struct Pool {
  std::vector<PoolCounts> pools;
  std::uint32_t min_pool_size = 0;
  std::uint32_t max_pool_size = 0;
  std::uint32_t max_enis = 0;  // that pods may use
  std::uint32_t ipv4_per_eni = 0;
  std::uint32_t ipv6_per_eni = 0;
  double cool_down_s = 0;
  std::vector<OperationEntry> operations;  // of the cloud, under way
  std::vector<WaitingEntry> waiting;
};

// The journal as it lies on disk, not as the daemon remembers it.
struct Journal {
  std::string path;
  std::uint32_t schema_version = 0;
  std::string boot_id;
  std::uint64_t size_bytes = 0;
  std::vector<PodEntry> attachments;
  std::vector<EniEntry> enis;
  std::vector<OperationEntry> operations;
};

struct MetadataNic {
  std::string mac;
  std::string eni_id;
  std::string primary_address;
  std::string vswitch_id;
  std::vector<std::string> addresses;
};
struct Metadata {
  std::string instance_id;
  std::string instance_type;
  std::string region_id;
  std::string zone_id;
  std::string vpc_id;
  std::string vswitch_id;
  std::string mac;
  std::vector<MetadataNic> nics;
};

// One address and who knows of it.
struct MappingEntry {
  std::string status;  // "ok", or what disagrees: "not in the cloud", "not in the kernel", …
  std::string address;
  std::string eni_id;
  std::string pod;
  std::string container_id;
  bool in_journal = false;
  bool in_kernel = false;  // its route to the pod; only asked of addresses that pods hold
  bool in_cloud = false;
};
struct Mapping {
  bool consistent = false;
  std::vector<MappingEntry> entries;
};

struct ConfigEntry {
  std::string key;
  std::string value;   // JSON text; secrets are "***"
  std::string source;  // "file", "default"
};
struct Config {
  std::string path;
  std::string loaded;
  std::vector<ConfigEntry> entries;
  std::vector<std::string> warnings;
  std::vector<std::string>
      restart_needed;  // keys changed in the file since, that a reload cannot take
};

struct ResourceTypes {
  std::vector<std::string> types;
};
struct ResourceNames {
  std::string type;
  std::vector<std::string> names;
};
struct KeyValue {
  std::string key;
  std::string value;
};
struct Resource {
  std::string type;
  std::string name;
  std::vector<KeyValue> config;
  std::vector<KeyValue> trace;
};

// The fast path, read from the kernel.
struct EndpointEntry {
  std::string address;
  std::string kind;  // "pod", "host", "blocked"
  std::string mode;  // "veth", "ipvlan", "exclusive"; this and all below: of pods
  std::string pod;
  std::uint32_t number = 0;
  std::int64_t ifindex = 0;
  std::int64_t eni_ifindex = 0;  // 0: no way out
  std::string mac;
  std::string gateway_mac;
  std::uint32_t mtu = 0;
};
struct MapEntry {
  std::string name;
  std::uint32_t entries = 0;
  std::uint32_t max_entries = 0;
};
struct ProgramEntry {
  std::string name;
  std::uint32_t id = 0;
  std::string tag;
  std::uint32_t instructions = 0;
  std::uint32_t machine_bytes = 0;
  std::uint32_t links = 0;  // hooks where it is
};
struct AttachmentEntry {
  std::string link;
  std::string hook;  // "ingress", "egress"
  std::string program;
  std::uint32_t id = 0;
  bool current = false;
};
struct PacketCount {
  std::string reason;     // empty: passed
  std::string direction;  // "egress": what pods send
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};
struct FeatureEntry {
  std::string name;
  bool there = false;
  bool required = false;
  std::string use;
};
struct Datapath {
  std::string setting;  // "auto", "bpf", "stack"
  bool on = false;
  std::string reason;  // why not; else what was found at the start
  std::string kernel;
  std::vector<FeatureEntry> features;
  std::vector<EndpointEntry> endpoints;
  std::vector<std::string> host_stack;
  std::vector<MapEntry> maps;
  std::vector<ProgramEntry> programs;
  std::vector<AttachmentEntry> attachments;
  std::vector<PacketCount> counts;
  std::uint64_t events_lost = 0;
};

// A drop, or the first packet of a flow.
struct EventEntry {
  std::uint64_t number = 0;
  double time_s = 0;      // since the machine started
  std::string kind;       // "drop", "flow"
  std::string reason;     // of a drop: "spoofed_ip", …
  std::string text;       // what that means
  std::string direction;  // "egress": what pods send
  std::string pod;
  std::string protocol;  // "tcp", "udp", "icmp", "arp", or a number
  std::string source;
  std::string destination;
  std::uint32_t source_port = 0;
  std::uint32_t destination_port = 0;
  std::uint32_t length = 0;
  std::int64_t ifindex = 0;  // of the program that saw it
  std::string tcp_flags;     // "SA"
};
struct Events {
  std::uint64_t last = 0;  // to be asked for next
  std::vector<EventEntry> events;
};

// Other limits for a pod's interface.
struct BandwidthOrder {
  std::string pod;     // "namespace/name", or a container id
  std::string ifname;  // empty: its only one
  std::string egress;  // "10M", "none" (model/bandwidth.h); empty: as it is
  std::string ingress;
};
struct Bandwidth {
  std::string pod;
  std::string container_id;
  std::string ifname;
  std::string egress;
  std::string ingress;
};

// T is any of the structs above that a path or an error answers with.
template <class T>
std::string encode(const T& value);
// Absent keys keep their defaults and unknown ones are ignored, so that neighbouring versions
// understand each other. Invalid: not JSON, not an object, or a key of another type (the message
// names it).
template <class T>
Result<T> decode(std::string_view json);

}  // namespace terway::rpc::cli
