/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind the IP header: extension headers of IPv6, ports, TCP's flags, fragments. */
#pragma once

#include <linux/tcp.h>
#include <linux/udp.h>

#include "icmp.h"
#include "maps.h"
#include "packet.h"

/* Headers of IPv6 that are walked through, and how far. The kernel's own senders use at most three;
 * what has more is dropped, for its ports cannot be told. */
#define EXTENSIONS_MAX	     6
#define TRANSPORT_OFFSET_MAX 511

#define TCP_FIN	     0x01
#define TCP_SYN	     0x02
#define TCP_RST	     0x04
#define TCP_ACK	     0x10
#define TCP_FLAGS_AT 13

#define FRAGMENT_V6_OFFSET 0xfff8
#define FRAGMENT_V6_MORE   0x0001

struct extension {
	__u8 next;
	__u8 length; /* in units of 8 bytes, the first not counted */
};

struct fragment_v6 {
	__u8 next;
	__u8 reserved;
	__be16 offset; /* in units of 8 bytes, shifted left by 3; the lowest bit: more follow */
	__be32 id;
};

static __always_inline bool transport_is_icmp(const struct packet *packet)
{
	return packet->ethertype == bpf_htons(ETH_P_IP) ? packet->transport == IPPROTO_ICMP
							: packet->transport == IPPROTO_ICMPV6;
}

/* Moves packet->transport and packet->transport_offset behind the extension headers. Two fragment
 * headers are one too many. */
static __always_inline bool transport_skip_extensions(struct __sk_buff *skb, struct packet *packet)
{
	bool seen = false;

	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		struct fragment_v6 fragment;
		struct extension extension;

		switch (packet->transport) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (bpf_skb_load_bytes(skb, packet->transport_offset, &extension,
					       sizeof(extension)))
				return false;
			packet->transport = extension.next;
			packet->transport_offset += 8 + extension.length * 8;
			break;
		case IPPROTO_FRAGMENT:
			if (seen || bpf_skb_load_bytes(skb, packet->transport_offset, &fragment,
						       sizeof(fragment)))
				return false;
			seen = packet->fragment = true;
			packet->fragment_id = fragment.id;
			packet->fragment_offset = bpf_ntohs(fragment.offset) & FRAGMENT_V6_OFFSET;
			packet->fragment_more = bpf_ntohs(fragment.offset) & FRAGMENT_V6_MORE;
			packet->transport = fragment.next;
			packet->transport_offset += sizeof(fragment);
			break;
		default:
			return packet->transport_offset <= TRANSPORT_OFFSET_MAX;
		}
		/* Whatever is behind it is not at the packet's beginning. */
		if (packet->fragment_offset)
			return true;
	}
	return false;
}

static __always_inline bool transport_has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_UDPLITE || protocol == IPPROTO_DCCP;
}

static __always_inline bool icmp_is_echo(const struct packet *packet, __u8 type)
{
	if (packet->ethertype == bpf_htons(ETH_P_IP))
		return type == ICMP_ECHO || type == ICMP_ECHO_REPLY;
	return type == ICMPV6_ECHO || type == ICMPV6_ECHO_REPLY;
}

/* Fills what is read from the transport header, which has so many bytes at least. */
static __always_inline void transport_take(struct packet *packet, const void *header)
{
	const __be16 *word = header;

	if (transport_is_icmp(packet)) {
		packet->icmp_type = *(const __u8 *)header;
		if (icmp_is_echo(packet, packet->icmp_type))
			packet->source_port = packet->destination_port = word[2];
		return;
	}
	packet->source_port = word[0];
	packet->destination_port = word[1];
	if (packet->transport == IPPROTO_TCP)
		packet->tcp_flags = ((const __u8 *)header)[TCP_FLAGS_AT];
}

/* The header that begins at transport_offset. What has neither ports nor an identifier keeps 0. */
static __always_inline bool transport_parse(struct __sk_buff *skb, struct packet *packet)
{
	bool tcp = packet->transport == IPPROTO_TCP;
	__u32 offset = packet->transport_offset;
	__u32 copied[TCP_FLAGS_AT / 4 + 1];
	void *at;

	if (!transport_has_ports(packet->transport) && !transport_is_icmp(packet))
		return true;
	/* 5.10 forgets the bounds of what it keeps on the stack. */
	asm volatile("" : "+r"(offset));
	offset &= TRANSPORT_OFFSET_MAX;
	at = (void *)(long)skb->data + offset;
	if (at + sizeof(copied) <= (void *)(long)skb->data_end) {
		transport_take(packet, at);
		return true;
	}
	copied[2] = copied[3] = 0;
	if (bpf_skb_load_bytes(skb, offset, copied, tcp ? sizeof(copied) : 8))
		return false;
	transport_take(packet, copied);
	return true;
}
