/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826): the fabric answers for the gateway and for every neighbour of the vSwitch. */
#pragma once

#include "fabric_maps.h"
#include "packet.h"

/* <linux/if_arp.h> drags in the C library's sockets. */
#define ARPHRD_ETHER  1
#define ARPOP_REQUEST 1
#define ARPOP_REPLY   2

/* IPv4 over Ethernet; addresses are not aligned. */
struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__u8 sender[4];
	__u8 target_mac[ETH_ALEN];
	__u8 target[4];
} __attribute__((packed));

static __always_inline bool arp_parse(struct cursor *cursor, struct arp_ipv4 *arp)
{
	if (cursor->at + sizeof(*arp) > cursor->end)
		return false;
	__builtin_memcpy(arp, cursor->at, sizeof(*arp));
	cursor->at += sizeof(*arp);
	return arp->hardware == bpf_htons(ARPHRD_ETHER) && arp->protocol == bpf_htons(ETH_P_IP) &&
	       arp->hardware_length == ETH_ALEN && arp->protocol_length == 4;
}

static __always_inline struct fabric_address arp_address(const __u8 *four)
{
	__be32 v4;

	__builtin_memcpy(&v4, four, sizeof(v4));
	return address_from_v4(v4);
}

static __always_inline bool arp_answer(struct __sk_buff *skb, const struct arp_ipv4 *request)
{
	struct arp_ipv4 reply = *request;

	reply.operation = bpf_htons(ARPOP_REPLY);
	__builtin_memcpy(reply.target_mac, request->sender_mac, ETH_ALEN);
	__builtin_memcpy(reply.target, request->sender, 4);
	__builtin_memcpy(reply.sender_mac, fabric_gateway_mac, ETH_ALEN);
	__builtin_memcpy(reply.sender, request->target, 4);
	return packet_set_macs(skb, request->sender_mac, fabric_gateway_mac) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &reply, sizeof(reply), 0);
}

/* A sender of 0.0.0.0 claims nothing (RFC 5227 2.1.1): a probe, and the way in which an ENI without
 * an address of its own asks for its gateway. */
static __always_inline enum fabric_verdict
fabric_arp(struct __sk_buff *skb, const struct fabric_port *port, struct cursor *cursor)
{
	struct fabric_address sender, target;
	struct arp_ipv4 arp;

	if (!arp_parse(cursor, &arp))
		return FABRIC_MALFORMED;
	sender = arp_address(arp.sender);
	target = arp_address(arp.target);
	if (!mac_equal(arp.sender_mac, port->mac))
		return FABRIC_SPOOFED_ARP;
	if (!address_is_unspecified(&sender) && !fabric_owns(skb, port, &sender))
		return FABRIC_SPOOFED_ARP;
	if (arp.operation != bpf_htons(ARPOP_REQUEST))
		return FABRIC_ABSORBED;
	if (!prefix_contains(&port->vswitch_v4, &target))
		return FABRIC_NO_NEIGHBOUR;
	if (fabric_owns(skb, port, &target)) /* gratuitous, or its own duplicate detection */
		return FABRIC_ABSORBED;
	return arp_answer(skb, &arp) ? FABRIC_ANSWERED_ARP : FABRIC_MALFORMED;
}
