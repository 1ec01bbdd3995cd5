/* SPDX-License-Identifier: Apache-2.0 */
/* What the datapath's programs (datapath.bpf.c) and the daemon (src/datapath) share: keys and
 * values of the maps, the reasons of drops, the layout of events. Everything that is written here
 * is pinned under /sys/fs/bpf/terway/v<TERWAY_ABI>/, so that it outlives the daemon: whoever
 * changes a layout raises TERWAY_ABI and says in src/datapath/migrate.cpp what becomes of what is
 * there.
 *
 * Addresses are 16 bytes in network order, IPv4 v4-mapped (RFC 4291 2.5.5.2). Numbers are in host
 * order unless their type says otherwise.
 */
#pragma once

#include <linux/types.h>

#include "ip_address.h"

#ifdef __cplusplus
namespace terway::abi
{
#define ABI_ASSERT static_assert
#else
#define ABI_ASSERT _Static_assert
#endif

#define TERWAY_ABI 1

/* --- endpoints: who an address is, on this node -------------------------------------------------
 */

enum endpoint_kind {
	/* A pod of this node. */
	ENDPOINT_POD = 1,
	/* Ends in the host's stack: the node's own addresses, the node-local DNS address. */
	ENDPOINT_HOST,
	/* Not to be reached by pods (the metadata service, where access is switched off). */
	ENDPOINT_BLOCKED,
};

enum endpoint_mode {
	MODE_VETH = 1,
	MODE_IPVLAN,
	MODE_EXCLUSIVE,
};

enum endpoint_flag {
	/* Goes through the device `shaper_egress` / `shaper_ingress` (a token bucket is its root
	 * qdisc) before it goes on. */
	ENDPOINT_SHAPED_EGRESS = 1 << 0,
	ENDPOINT_SHAPED_INGRESS = 1 << 1,
	/* Gets a departure time (skb->tstamp) by `egress_rate` / `ingress_rate` instead. Only where
	 * fq is the root qdisc of the device that it leaves by: the ENI, and for what stays on the
	 * node or comes in, the host end of the pod that gets it. */
	ENDPOINT_PACED_EGRESS = 1 << 2,
	ENDPOINT_PACED_INGRESS = 1 << 3,
	/* The pod's interface has a smaller MTU than its ENI: what is longer goes to the host's
	 * stack, which fragments it or says so. */
	ENDPOINT_SMALL_MTU = 1 << 4,
};

/* Value of `endpoints`; its key is a struct ip_address. One for each address of a pod: both
 * families of a dual-stack pod share `pod`. Of a HOST or BLOCKED entry only `kind` is read. */
struct endpoint {
	__u8 kind;   /* enum endpoint_kind */
	__u8 mode;   /* enum endpoint_mode */
	__u16 flags; /* enum endpoint_flag */
	__u32 pod; /* number of the pod on this node, never 0, not reused while flows of it may live
		    */
	/* Where its packets come from and go to. VETH: the host end of its pair. IPVLAN: the parent
	 * ENI. EXCLUSIVE: the NIC, as numbered inside the pod's namespace: a number of the node's
	 * own choice that no other pod's NIC has. */
	__u32 ifindex;
	/* The way out. 0 while there is none: then what would leave is dropped (NO_WAY_OUT). */
	__u32 eni_ifindex;
	__u8 mac[6]; /* of the pod's interface: the only source it may use */
	__u16 mtu;   /* of the pod's interface */
	/* The ready Ethernet header, as in the frame, of this address's family. */
	__u8 gateway_mac[6];
	__u8 eni_mac[6];
	__u32 netns; /* inode number of the pod's namespace: who really sent it, in IPVLAN mode */
	__u32 shaper_egress; /* ifindex; 0: none */
	__u32 shaper_ingress;
	__u32 priority; /* skb->priority of what leaves by the ENI; 0: as it is */
	/* For policy: the rule sets in force and their epoch (a flow remembers the epoch at which
	 * it was allowed). 0: none, everything is allowed. */
	__u32 epoch;
	__u64 egress_rate; /* bytes per second of L2 frames; 0: unlimited */
	__u64 ingress_rate;
	__u32 rules_egress;
	__u32 rules_ingress;
	/* EXCLUSIVE only: the pair between the pod and the host's stack; 0 where there is none. */
	__u32 peer_ifindex;	  /* of its host end, on the node … */
	__u32 peer_inner_ifindex; /* … and of its other end, in the pod's namespace */
	__u8 peer_mac[6];	  /* of the end in the pod */
	__u8 pad[2];
};
ABI_ASSERT(sizeof(struct endpoint) == 96, "no implicit padding");

/* --- connections --------------------------------------------------------------------------------
 */

/* Both directions of a flow have one entry: `low` is the smaller of the two ends as bytes of
 * (address, port). ICMP echo has its identifier in both ports; protocols without ports have 0. */
struct flow_key {
	struct ip_address low;
	struct ip_address high;
	__be16 low_port;
	__be16 high_port;
	__u8 protocol; /* IPPROTO_* */
	__u8 pad[3];
};
ABI_ASSERT(sizeof(struct flow_key) == 40, "no implicit padding");

enum flow_flag {
	/* The initiator is the `low` end. */
	FLOW_FROM_LOW = 1 << 0,
	/* A reply was seen. */
	FLOW_REPLIED = 1 << 1,
	/* It began through the host's stack (from it to the pod, from the pod to a CIDR of
	 * `host_stack`), which may have translated it: so both directions go there. So does a TCP
	 * connection of a veth pod that was picked up in the middle, since nobody knows. */
	FLOW_BY_STACK = 1 << 2,
	FLOW_FIN_LOW = 1 << 3, /* a FIN was seen of this end */
	FLOW_FIN_HIGH = 1 << 4,
	FLOW_RESET = 1 << 5,
	FLOW_SYN = 1 << 6, /* TCP: begun with a SYN, not picked up in the middle */
};

/* Value of `flows` (an LRU hash). Programs write it only when something changes, `seen` once in 256
 * jiffies (about a second). Lifetimes are the daemon's, by `seen` and flags (src/datapath/flows.h).
 */
struct flow {
	__u32 flags; /* enum flow_flag */
	/* The lower half of the kernel's jiffies, whose rate is the resolution of
	 * CLOCK_MONOTONIC_COARSE: a clock costs three times the lookup of a flow. The program
	 * `read_jiffies` returns what time it is. */
	__u32 seen;
	__u32 epoch_egress;  /* of the initiator's / the responder's rules, when they allowed it; */
	__u32 epoch_ingress; /* 0 where that end is no pod of this node */
};
ABI_ASSERT(sizeof(struct flow) == 16, "no implicit padding");

/* Ports of a fragmented datagram: its first fragment tells the others (`fragments`, an LRU hash).
 */
struct fragment_key {
	struct ip_address source;
	struct ip_address destination;
	__u32 id;
	__u8 protocol;
	__u8 pad[3];
};
ABI_ASSERT(sizeof(struct fragment_key) == 40, "no implicit padding");

struct fragment {
	__be16 source_port;
	__be16 destination_port;
};

/* --- drops and events ---------------------------------------------------------------------------
 */

/* Every drop leaves through one of these, and is counted. X(name, what it means) */
#define DROP_REASONS(X)                                                          \
	X(MALFORMED, "truncated, or not what its headers say")                   \
	X(NOT_CARRIED, "neither IPv4, IPv6 nor ARP")                             \
	X(SPOOFED_MAC, "its Ethernet source is not the pod's")                   \
	X(SPOOFED_IP, "its source is not an address of the pod")                 \
	X(SPOOFED_ARP, "an ARP claim of what is not the pod's")                  \
	X(SPOOFED_ND, "a neighbour or router claim of what is not the pod's")    \
	X(MULTICAST, "multicast or broadcast, which a VPC does not carry")       \
	X(BLOCKED, "pods may not reach this address")                            \
	X(UNKNOWN_POD, "to an address of this ENI that no pod has")              \
	X(NO_WAY_OUT, "the pod's ENI is not there, or its gateway is not known") \
	X(FRAGMENT, "a later fragment whose first one was not seen")             \
	X(POLICY, "a policy does not allow it")                                  \
	X(NO_FLOW, "an ICMP error of no flow that is known")                     \
	X(QUEUE_FULL, "beyond what a bandwidth limit lets wait")                 \
	X(REDIRECT, "the kernel did not take it (header could not be written)")  \
	X(UNKNOWN_SENDER, "which pod of its ENI sent it is not known")

enum drop_reason {
	DROP_NONE = 0,
#define DROP_ENUM(name, text) DROP_##name,
	DROP_REASONS(DROP_ENUM)
#undef DROP_ENUM
	DROP_REASON_COUNT,
};

/* Which way, seen from the pod. */
enum direction {
	DIRECTION_EGRESS = 0,
	DIRECTION_INGRESS,
	DIRECTIONS,
};

/* Value of `counts` (per CPU; key: reason * DIRECTIONS + direction; DROP_NONE counts what passed).
 */
struct count {
	__u64 packets; /* segments, for what is one large GSO packet */
	__u64 bytes;
};

/* Value of `events_budget` (per CPU, one). */
struct event_budget {
	__u64 second; /* of 2^30 ns, of CLOCK_MONOTONIC */
	__u32 used;
	__u32 pad;
};

/* `events_lost` is one __u64 per CPU. */

enum event_kind {
	EVENT_DROP = 1,
	EVENT_FLOW, /* the first packet of a flow; only while `watch_flows` is set */
};

/* A record of the ring buffer `events`. At most config.events_per_second of them on each CPU; what
 * is beyond is counted in `events_lost`. */
struct event {
	__u64 time;  /* ns of CLOCK_MONOTONIC */
	__u8 kind;   /* enum event_kind */
	__u8 reason; /* enum drop_reason */
	__u8 direction;
	__u8 protocol;
	__u32 ifindex; /* of the program that saw it */
	__u32 pod;     /* endpoint.pod; 0 where there is none */
	__u32 length;
	struct ip_address source;
	struct ip_address destination;
	__be16 source_port;
	__be16 destination_port;
	__be16 ethertype;
	__u8 tcp_flags;
	__u8 pad;
};
ABI_ASSERT(sizeof(struct event) == 64, "no implicit padding");

/* --- settings -----------------------------------------------------------------------------------
 */

enum config_flag {
	CONFIG_WATCH_FLOWS = 1 << 0,	  /* somebody listens: tell new flows */
	CONFIG_HOST_STACK_CIDRS = 1 << 1, /* the trie `host_stack` has entries */
	/* The program that fills `sender` is attached. Without it nothing leaves by an ENI in
	 * IPVLAN mode (UNKNOWN_SENDER). */
	CONFIG_SENDERS = 1 << 2,
};

/* The one value of `config`. */
struct config {
	__u32 flags;		 /* enum config_flag */
	__u32 events_per_second; /* on each CPU */
	/* IPVLAN: a device of ours that is up and whose ingress is the host's stack (the receiver
	 * of ipvlan would take what comes in on the ENI for itself). Its reverse path filter is
	 * loose or off. */
	__u32 stack_ifindex;
	/* IPVLAN: the mark of what was judged at the ENI's egress and turned around; random, for
	 * pods set marks as they like. Never 0. */
	__u32 turn_mark;
	__u8 stack_mac[6]; /* of that device */
	__u8 pad[2];
};
ABI_ASSERT(sizeof(struct config) == 24, "no implicit padding");

/* Key of `host_stack`, an LPM trie of CIDRs that pods reach through the host's stack (Services of a
 * kube-proxy, host_stack_cidrs). Its value, a byte, says nothing. */
struct prefix_key {
	__u32 length; /* bits of the 128, IPv4: 96 + n */
	struct ip_address address;
};
ABI_ASSERT(sizeof(struct prefix_key) == 20, "no implicit padding");

/* Value of `sender` (per CPU, one), in IPVLAN mode: written when ipvlan_start_xmit is entered,
 * zeroed when it returns. The ENI's egress runs in between, on the same CPU. */
struct sender {
	__u64 skb;   /* the address of its struct sk_buff; 0: nobody */
	__u32 netns; /* inode number of the slave's namespace */
	__u32 pad;
};
ABI_ASSERT(sizeof(struct sender) == 16, "no implicit padding");

/* Of `pacing`, a hash: when the next packet of a pod may leave, in ns of CLOCK_MONOTONIC (__u64).
 */
struct pacing_key {
	__u32 pod;
	__u32 direction; /* enum direction */
};

/* skb->mark of a packet that a program has judged and sent on, for the next program on its way;
 * never seen outside of it. Marks do not cross namespaces, but in IPVLAN mode a pod's own do: there
 * it means nothing. */
#define MARK_JUDGED 0x7e000000U
/* The same, and the next program gives it its departure time. */
#define MARK_PACED 0x7e000001U
/* The same, on its way through the token bucket of the pod that sends (then to where it goes, or to
 * the host's stack) / that gets it. */
#define MARK_SHAPED_EGRESS  0x7e000002U
#define MARK_SHAPED_STACK   0x7e000003U
#define MARK_SHAPED_INGRESS 0x7e000004U

#ifdef __cplusplus
} /* namespace terway::abi */
#endif
