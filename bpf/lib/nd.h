/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery (RFC 4861): its messages, and what they claim. */
#pragma once

#include "icmp.h"
#include "packet.h"

#define ND_ROUTER_SOLICITATION	   133
#define ND_ROUTER_ADVERTISEMENT	   134
#define ND_NEIGHBOUR_SOLICITATION  135
#define ND_NEIGHBOUR_ADVERTISEMENT 136
#define ND_REDIRECT		   137
#define ND_HOP_LIMIT		   255

#define ND_OPTION_SOURCE_MAC 1
#define ND_OPTION_TARGET_MAC 2

/* A neighbour solicitation or advertisement, up to its options. */
struct nd_neighbour {
	struct icmp icmp;
	struct ip_address target;
};

struct nd_mac_option {
	__u8 type;
	__u8 length; /* in units of 8 bytes */
	__u8 mac[ETH_ALEN];
};

static __always_inline bool nd_is(const struct packet *packet, __u8 type)
{
	return packet->ethertype == bpf_htons(ETH_P_IPV6) && packet->transport == IPPROTO_ICMPV6 &&
	       type >= ND_ROUTER_SOLICITATION && type <= ND_REDIRECT;
}

/* Is every link-layer address among the options the port's? Four options are looked at: Linux sends
 * one or two. */
static __always_inline bool nd_options_claim_only(struct cursor *cursor, const __u8 *mac)
{
	for (int i = 0; i < 4; i++) {
		struct nd_mac_option *option = cursor->at;

		if ((void *)(option + 1) > cursor->end)
			return true;
		if ((option->type == ND_OPTION_SOURCE_MAC ||
		     option->type == ND_OPTION_TARGET_MAC) &&
		    !mac_equal(option->mac, mac))
			return false;
		if (option->length != 1)
			return true;
		cursor->at = option + 1;
	}
	return true;
}
