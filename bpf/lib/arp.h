/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826), IPv4 over Ethernet. */
#pragma once

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

static __always_inline bool arp_is_ipv4(const struct arp_ipv4 *arp)
{
	return arp->hardware == bpf_htons(ARPHRD_ETHER) && arp->protocol == bpf_htons(ETH_P_IP) &&
	       arp->hardware_length == ETH_ALEN && arp->protocol_length == 4;
}

static __always_inline bool arp_parse(struct cursor *cursor, struct arp_ipv4 *arp)
{
	if (cursor->at + sizeof(*arp) > cursor->end)
		return false;
	__builtin_memcpy(arp, cursor->at, sizeof(*arp));
	cursor->at += sizeof(*arp);
	return arp_is_ipv4(arp);
}

static __always_inline struct ip_address arp_address(const __u8 *four)
{
	__be32 v4;

	__builtin_memcpy(&v4, four, sizeof(v4));
	return address_from_v4(v4);
}
