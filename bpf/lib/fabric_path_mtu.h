/* SPDX-License-Identifier: Apache-2.0 */
/* A path that carries less than the ENIs do: what a router on it would say (RFC 1191, RFC 8201).
 * IPv4 packets that may be fragmented pass whole: their receiver would put them together anyway. */
#pragma once

#include "checksum.h"
#include "fabric_maps.h"
#include "icmp.h"
#include "packet.h"
#include "wire_length.h"

/* Of the packet that was too big: the longest IPv4 header and all of TCP's fixed one. More than the
 * checksum's place of any packet that is left to the NIC to sum, or the kernel would refuse to cut.
 */
#define PATH_MTU_QUOTED 80

struct too_big_v4 {
	struct iphdr ip;
	struct icmp icmp;
};

struct too_big_v6 {
	struct ipv6hdr ip;
	struct icmp icmp;
};

static __always_inline bool path_mtu_exceeded(struct __sk_buff *skb, const struct packet *packet)
{
	return fabric_path_mtu && packet->dont_fragment &&
	       wire_length(skb, packet) > fabric_path_mtu;
}

/* Cuts the packet to what is quoted and makes room for `headers` bytes in front of it. Cutting also
 * makes a GSO packet an ordinary one. */
static __always_inline bool path_mtu_quote(struct __sk_buff *skb, __u8 *quoted, __u32 headers)
{
	return !bpf_skb_load_bytes(skb, ETH_HLEN, quoted, PATH_MTU_QUOTED) &&
	       !bpf_skb_change_tail(skb, ETH_HLEN + PATH_MTU_QUOTED, 0) &&
	       !bpf_skb_adjust_room(skb, headers, BPF_ADJ_ROOM_MAC, 0);
}

static __always_inline bool path_mtu_answer_v4(struct __sk_buff *skb,
					       const struct fabric_port *port,
					       const struct packet *packet)
{
	struct too_big_v4 reply = {
		.ip = {.version = 4,
		       .ihl = 5,
		       .tot_len = bpf_htons(sizeof(reply) + PATH_MTU_QUOTED),
		       .ttl = 64,
		       .protocol = IPPROTO_ICMP,
		       .saddr = port->gateway_v4.word[3],
		       .daddr = packet->source.word[3]},
		.icmp = {.type = ICMP_UNREACHABLE, .code = ICMP_FRAGMENTATION},
	};
	__u8 quoted[PATH_MTU_QUOTED] __attribute__((aligned(4)));
	__wsum sum;

	reply.icmp.rest = bpf_htonl(fabric_path_mtu);
	reply.ip.check = checksum_fold(checksum_add(0, &reply.ip, sizeof(reply.ip)));
	if (!path_mtu_quote(skb, quoted, sizeof(reply)))
		return false;
	sum = checksum_add(0, &reply.icmp, sizeof(reply.icmp));
	reply.icmp.checksum = checksum_fold(checksum_add(sum, quoted, sizeof(quoted)));
	return !bpf_skb_store_bytes(skb, ETH_HLEN, &reply, sizeof(reply), 0);
}

static __always_inline bool path_mtu_answer_v6(struct __sk_buff *skb,
					       const struct fabric_port *port,
					       const struct packet *packet)
{
	struct too_big_v6 reply = {
		.ip = {.version = 6,
		       .payload_len = bpf_htons(sizeof(reply.icmp) + PATH_MTU_QUOTED),
		       .nexthdr = IPPROTO_ICMPV6,
		       .hop_limit = 64},
		.icmp = {.type = ICMPV6_PACKET_TOO_BIG},
	};
	__be32 pseudo[2] = {bpf_htonl(sizeof(reply.icmp) + PATH_MTU_QUOTED),
			    bpf_htonl(IPPROTO_ICMPV6)};
	__u8 quoted[PATH_MTU_QUOTED] __attribute__((aligned(4)));
	__wsum sum;

	__builtin_memcpy(&reply.ip.saddr, &port->gateway_v6, sizeof(reply.ip.saddr));
	__builtin_memcpy(&reply.ip.daddr, &packet->source, sizeof(reply.ip.daddr));
	reply.icmp.rest = bpf_htonl(fabric_path_mtu);
	if (!path_mtu_quote(skb, quoted, sizeof(reply)))
		return false;
	sum = checksum_add(0, &reply.ip.saddr, 32);
	sum = checksum_add(sum, pseudo, sizeof(pseudo));
	sum = checksum_add(sum, &reply.icmp, sizeof(reply.icmp));
	reply.icmp.checksum = checksum_fold(checksum_add(sum, quoted, sizeof(quoted)));
	return !bpf_skb_store_bytes(skb, ETH_HLEN, &reply, sizeof(reply), 0);
}

static __always_inline bool path_mtu_answer(struct __sk_buff *skb, const struct fabric_port *port,
					    const struct packet *packet)
{
	bool told = packet->ethertype == bpf_htons(ETH_P_IP)
			    ? path_mtu_answer_v4(skb, port, packet)
			    : path_mtu_answer_v6(skb, port, packet);

	return told && packet_set_macs(skb, packet->mac_source, fabric_gateway_mac);
}
