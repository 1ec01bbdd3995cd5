/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826): the fabric answers for the gateway and for every neighbour of the vSwitch. */
#pragma once

#include "arp.h"
#include "fabric_maps.h"
#include "packet.h"

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
	struct ip_address sender, target;
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
