/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery (RFC 4861): what ARP is for IPv4. */
#pragma once

#include "checksum.h"
#include "fabric_maps.h"
#include "nd.h"

/* Flags of an advertisement. */
#define ND_ROUTER    0x80000000
#define ND_SOLICITED 0x40000000
#define ND_OVERRIDE  0x20000000

/* A whole neighbour advertisement behind its Ethernet header. */
struct nd_advertisement {
	struct ipv6hdr ip;
	struct nd_neighbour neighbour;
	struct nd_mac_option mac;
};

/* Turns the solicitation into its advertisement. */
static __always_inline bool nd_answer(struct __sk_buff *skb, const struct packet *packet,
				      const struct ip_address *target, bool is_gateway)
{
	struct nd_advertisement reply = {
		.ip = {.version = 6,
		       .payload_len = bpf_htons(sizeof(reply.neighbour) + sizeof(reply.mac)),
		       .nexthdr = IPPROTO_ICMPV6,
		       .hop_limit = ND_HOP_LIMIT},
		.neighbour = {.icmp = {.type = ND_NEIGHBOUR_ADVERTISEMENT}, .target = *target},
		.mac = {.type = ND_OPTION_TARGET_MAC, .length = 1},
	};
	__be32 next = bpf_htonl(IPPROTO_ICMPV6);
	__wsum sum;

	__builtin_memcpy(&reply.ip.saddr, target, sizeof(reply.ip.saddr));
	__builtin_memcpy(&reply.ip.daddr, &packet->source, sizeof(reply.ip.daddr));
	reply.neighbour.icmp.rest =
		bpf_htonl(ND_SOLICITED | ND_OVERRIDE | (is_gateway ? ND_ROUTER : 0));
	__builtin_memcpy(reply.mac.mac, fabric_gateway_mac, ETH_ALEN);
	sum = checksum_add(0, &reply.ip.saddr, 32);
	sum = checksum_add(sum, &next, sizeof(next));
	next = bpf_htonl(sizeof(reply.neighbour) + sizeof(reply.mac));
	sum = checksum_add(sum, &next, sizeof(next));
	sum = checksum_add(sum, &reply.neighbour, sizeof(reply.neighbour) + sizeof(reply.mac));
	reply.neighbour.icmp.checksum = checksum_fold(sum);
	return !bpf_skb_change_tail(skb, ETH_HLEN + sizeof(reply), 0) &&
	       packet_set_macs(skb, packet->mac_source, fabric_gateway_mac) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &reply, sizeof(reply), 0);
}

static __always_inline enum fabric_verdict nd_solicitation(struct __sk_buff *skb,
							   const struct fabric_port *port,
							   const struct packet *packet,
							   const struct ip_address *target)
{
	if (address_is_unspecified(&packet->source)) /* duplicate address detection */
		return FABRIC_ABSORBED;
	if (!prefix_contains(&port->vswitch_v6, target))
		return FABRIC_NO_NEIGHBOUR;
	if (fabric_owns(skb, port, target))
		return FABRIC_ABSORBED;
	return nd_answer(skb, packet, target, address_equal(target, &port->gateway_v6))
		       ? FABRIC_ANSWERED_ND
		       : FABRIC_MALFORMED;
}

/* The IP source has been checked. */
static __always_inline enum fabric_verdict fabric_nd(struct __sk_buff *skb,
						     const struct fabric_port *port,
						     const struct packet *packet,
						     struct cursor *cursor, __u8 type)
{
	struct nd_neighbour *neighbour = cursor->at;
	struct ip_address target;

	if (packet->hops != ND_HOP_LIMIT)
		return FABRIC_MALFORMED;
	if (type == ND_ROUTER_ADVERTISEMENT || type == ND_REDIRECT)
		return FABRIC_SPOOFED_ND;
	if (type == ND_ROUTER_SOLICITATION) {
		cursor->at += sizeof(struct icmp);
		return nd_options_claim_only(cursor, port->mac) ? FABRIC_ABSORBED
								: FABRIC_SPOOFED_ND;
	}
	if ((void *)(neighbour + 1) > cursor->end)
		return FABRIC_MALFORMED;
	target = neighbour->target;
	cursor->at = neighbour + 1;
	if (!nd_options_claim_only(cursor, port->mac))
		return FABRIC_SPOOFED_ND;
	if (type == ND_NEIGHBOUR_SOLICITATION)
		return nd_solicitation(skb, port, packet, &target);
	return address_is_v6_link_local(&target) || fabric_owns(skb, port, &target)
		       ? FABRIC_ABSORBED
		       : FABRIC_SPOOFED_ND;
}
