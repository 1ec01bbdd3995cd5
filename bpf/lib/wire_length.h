/* SPDX-License-Identifier: Apache-2.0 */
/* How long a packet will be on the wire. */
#pragma once

#include <linux/udp.h>

#include "packet.h"

/* The longest IP packet that it will be there: a large GSO packet is a row of segments. */
static __always_inline __u32 wire_length(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 headers = packet->transport_offset - ETH_HLEN;
	__u8 offset = 0;

	if (!skb->gso_size)
		return skb->len - ETH_HLEN;
	if (packet->transport != IPPROTO_TCP)
		return headers + sizeof(struct udphdr) + skb->gso_size;
	/* Data offset: the upper half of byte 12, in words. */
	bpf_skb_load_bytes(skb, packet->transport_offset + 12, &offset, sizeof(offset));
	return headers + (offset >> 4) * 4 + skb->gso_size;
}
