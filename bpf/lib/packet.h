/* SPDX-License-Identifier: Apache-2.0 */
/* A frame, parsed once into a value: what comes after asks the value, never the bytes. */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "address.h"

#define IP_DONT_FRAGMENT  0x4000
#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET	  0x1fff

struct packet {
	/* One behind the other, as in the frame. */
	__u8 mac_destination[ETH_ALEN] __attribute__((aligned(4)));
	__u8 mac_source[ETH_ALEN];
	__be16 ethertype;
	/* The rest is set for IPv4 and IPv6 only. */
	__u8 transport; /* IPPROTO_*; for IPv6 the first next-header */
	__u8 hops;	/* TTL or hop limit */
	bool fragment;
	bool dont_fragment; /* always so for IPv6 */
	__u16 transport_offset;
	struct ip_address source __attribute__((aligned(8)));
	struct ip_address destination __attribute__((aligned(8)));
	/* Of a fragment; for IPv6 set by transport.h, as is all that follows. */
	__u32 fragment_id;
	__u16 fragment_offset; /* bytes; 0: the first one */
	bool fragment_more;
	__u8 tcp_flags;
	__be16 source_port; /* of ICMP echo: its identifier, twice */
	__be16 destination_port;
	__u8 icmp_type;
};

/* Reads forward through the linear part of an skb. Contract of every packet_parse_*: reads at the
 * cursor, moves it behind what was read, and returns false, the cursor unmoved, when the bytes are
 * not there or are not what they claim to be. */
struct cursor {
	void *at;
	void *start;
	void *end;
};

/* Headers that a driver left in fragments are pulled into the linear part first. That may copy, so
 * who sends much asks for little. */
static __always_inline struct cursor cursor_with(struct __sk_buff *skb, __u32 wanted)
{
	__u32 there = skb->data_end - skb->data;

	if (there < wanted && there < skb->len)
		bpf_skb_pull_data(skb, skb->len < wanted ? skb->len : wanted);
	return (struct cursor){
		.at = (void *)(long)skb->data,
		.start = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
	};
}

static __always_inline struct cursor cursor_of(struct __sk_buff *skb)
{
	return cursor_with(skb, ETH_HLEN + sizeof(struct ipv6hdr) + 40);
}

/* Packet bytes are read as wide as they are: left to itself, the compiler takes them one by one. */
static __always_inline void packet_copy_words(void *to, const void *from, int words)
{
	__u32 *out = to;
	const __u32 *in = from;

	for (int i = 0; i < words; i++)
		out[i] = in[i];
}

static __always_inline bool packet_parse_ethernet(struct cursor *cursor, struct packet *packet)
{
	struct ethhdr *eth = cursor->at;

	if ((void *)(eth + 1) > cursor->end)
		return false;
	cursor->at = eth + 1;
	packet_copy_words(packet->mac_destination, eth, 3);
	packet->ethertype = eth->h_proto;
	return true;
}

static __always_inline bool packet_parse_ipv4(struct cursor *cursor, struct packet *packet)
{
	struct iphdr *ip = cursor->at;
	__u16 fragment;
	__u32 length;

	if ((void *)(ip + 1) > cursor->end || ip->version != 4 || ip->ihl < 5)
		return false;
	length = ip->ihl * 4;
	if (cursor->at + length > cursor->end)
		return false;
	cursor->at += length;
	fragment = bpf_ntohs(ip->frag_off);
	packet->transport = ip->protocol;
	packet->hops = ip->ttl;
	packet->fragment = fragment & (IP_MORE_FRAGMENTS | IP_OFFSET);
	packet->fragment_id = ip->id;
	packet->fragment_offset = (fragment & IP_OFFSET) * 8;
	packet->fragment_more = fragment & IP_MORE_FRAGMENTS;
	packet->dont_fragment = fragment & IP_DONT_FRAGMENT;
	packet->transport_offset = ETH_HLEN + length;
	packet->source = address_from_v4(ip->saddr);
	packet->destination = address_from_v4(ip->daddr);
	return true;
}

static __always_inline bool packet_parse_ipv6(struct cursor *cursor, struct packet *packet)
{
	struct ipv6hdr *ip = cursor->at;

	if ((void *)(ip + 1) > cursor->end || ip->version != 6)
		return false;
	cursor->at = ip + 1;
	packet->transport = ip->nexthdr;
	packet->hops = ip->hop_limit;
	packet->fragment = ip->nexthdr == IPPROTO_FRAGMENT;
	packet->dont_fragment = true;
	packet->transport_offset = ETH_HLEN + sizeof(*ip);
	packet->source = address_from_v6(&ip->saddr);
	packet->destination = address_from_v6(&ip->daddr);
	return true;
}

static __always_inline bool mac_equal(const void *a, const void *b)
{
	const __u16 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/* Writes both MACs of the frame. Invalidates pointers into the packet. */
static __always_inline bool packet_set_macs(struct __sk_buff *skb, const __u8 *destination,
					    const __u8 *source)
{
	__u8 macs[2 * ETH_ALEN];

	__builtin_memcpy(macs, destination, ETH_ALEN);
	__builtin_memcpy(macs + ETH_ALEN, source, ETH_ALEN);
	return !bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0);
}
