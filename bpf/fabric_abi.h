/* SPDX-License-Identifier: Apache-2.0 */
/* What the fabric's program (fabric.bpf.c) and its owner (src/vpcsim/fabric.cpp) share: keys and
 * values of the maps, and the list of verdicts.
 */
#pragma once

#include <linux/types.h>

#include "ip_address.h"

#ifdef __cplusplus
namespace terway::fabric_abi
{
using abi::ip_address;
#define FABRIC_ASSERT static_assert
#else
#define FABRIC_ASSERT _Static_assert
#endif

/* The MAC by which every gateway, and every neighbour in a vSwitch, is known to an ENI. */
#define FABRIC_GATEWAY_MAC {0xee, 0xff, 0xff, 0xff, 0xff, 0xff}

/* What became of a frame that an ENI sent. Each frame has exactly one, and each is counted. */
enum fabric_verdict {
	/* Sent. */
	FABRIC_FORWARDED = 0, /* to the ENI that owns the destination */
	FABRIC_HAIRPINNED,    /* the same, and it is the ENI that sent it */
	FABRIC_ANSWERED_ARP,  /* a request for the gateway or a neighbour: answered by the fabric */
	FABRIC_ANSWERED_ND,   /* the same for a neighbour solicitation */
	FABRIC_ANSWERED_ECHO, /* a ping of the gateway */
	FABRIC_TOO_BIG,	      /* longer than the path's MTU: dropped, and the sender told */
	/* Taken without an answer, as a real network does: multicast, broadcast, duplicate address
	 * detection, gratuitous ARP. */
	FABRIC_ABSORBED,
	/* Dropped: it claims what is not of this ENI. */
	FABRIC_SPOOFED_MAC, /* the Ethernet source */
	FABRIC_SPOOFED_IP,  /* the IPv4 or IPv6 source */
	FABRIC_SPOOFED_ARP, /* the ARP sender's MAC or address */
	FABRIC_SPOOFED_ND,  /* a neighbour or router claim: target, link-layer option, or kind */
	/* Dropped: nobody could deliver it. */
	FABRIC_NO_DESTINATION, /* no attached ENI of this VPC owns the destination */
	FABRIC_NO_NEIGHBOUR,   /* asked for an address outside the vSwitch */
	FABRIC_WRONG_NEXT_HOP, /* sent to a MAC that is not the gateway's */
	FABRIC_MALFORMED,      /* truncated, or not what its headers say */
	FABRIC_NOT_CARRIED,    /* neither IPv4, IPv6 nor ARP */
	FABRIC_VERDICTS,
};
#define FABRIC_LAST_SENT FABRIC_TOO_BIG

/* Contains an address when (address & mask) == network. All zero contains nothing that is asked
 * for: IPv4 is v4-mapped, so `::` is the only address in it once mask is all ones. */
struct fabric_prefix {
	struct ip_address network;
	struct ip_address mask;
};

struct fabric_count {
	__u64 packets; /* segments, for what is sent as one large GSO packet */
	__u64 bytes;   /* with Ethernet headers, large packets as they come */
};

/* One attached ENI. Key: ifindex of the fabric's end of its veth. Only the counts change in an
 * entry's life. */
struct fabric_port {
	__u32 vpc;
	__u8 mac[6];
	__u8 pad[6];
	struct fabric_prefix vswitch_v4;
	struct fabric_prefix vswitch_v6; /* network :: and mask of ones where there is none */
	struct ip_address gateway_v4;
	struct ip_address gateway_v6; /* :: where there is none */
	struct fabric_count counts[FABRIC_VERDICTS];
};
FABRIC_ASSERT(sizeof(struct fabric_port) == 16 + 64 + 32 + 16 * FABRIC_VERDICTS,
	      "no implicit padding");

/* Who owns an address of a VPC: the table that both forwarding and anti-spoofing read. */
struct fabric_owner_key {
	__u32 vpc;
	struct ip_address address;
};
FABRIC_ASSERT(sizeof(struct fabric_owner_key) == 20, "no implicit padding");

struct fabric_owner {
	__u32 port; /* ifindex, a key of the map of ports */
	__u8 mac[6];
	__u8 pad[2];
};
FABRIC_ASSERT(sizeof(struct fabric_owner) == 12, "no implicit padding");

#ifdef __cplusplus
} /* namespace terway::fabric_abi */
#endif
