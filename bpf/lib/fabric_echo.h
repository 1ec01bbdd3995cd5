/* SPDX-License-Identifier: Apache-2.0 */
/* Ping of the gateway: the packet is turned around. */
#pragma once

#include <stddef.h>

#include "fabric_maps.h"
#include "icmp.h"
#include "packet.h"

static __always_inline bool echo_is_request(const struct packet *packet, __u8 type)
{
	if (packet->fragment)
		return false;
	if (packet->ethertype == bpf_htons(ETH_P_IP))
		return packet->transport == IPPROTO_ICMP && type == ICMP_ECHO;
	return packet->transport == IPPROTO_ICMPV6 && type == ICMPV6_ECHO;
}

/* Source and destination are swapped, which leaves every checksum but that of the type as it is. */
static __always_inline bool echo_answer(struct __sk_buff *skb, const struct packet *packet)
{
	bool v4 = packet->ethertype == bpf_htons(ETH_P_IP);
	__u32 at = packet->transport_offset;
	__u32 addresses =
		ETH_HLEN + (v4 ? offsetof(struct iphdr, saddr) : offsetof(struct ipv6hdr, saddr));
	__be16 from = bpf_htons((v4 ? ICMP_ECHO : ICMPV6_ECHO) << 8);
	__be16 to = bpf_htons((v4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY) << 8);
	__u8 swapped[32];
	__u8 type = bpf_ntohs(to) >> 8;

	if (v4) {
		__builtin_memcpy(swapped, &packet->destination.word[3], 4);
		__builtin_memcpy(swapped + 4, &packet->source.word[3], 4);
		if (bpf_skb_store_bytes(skb, addresses, swapped, 8, 0))
			return false;
	} else {
		__builtin_memcpy(swapped, &packet->destination, 16);
		__builtin_memcpy(swapped + 16, &packet->source, 16);
		if (bpf_skb_store_bytes(skb, addresses, swapped, 32, 0))
			return false;
	}
	return !bpf_l4_csum_replace(skb, at + offsetof(struct icmp, checksum), from, to, 2) &&
	       !bpf_skb_store_bytes(skb, at, &type, sizeof(type), 0) &&
	       packet_set_macs(skb, packet->mac_source, fabric_gateway_mac);
}
