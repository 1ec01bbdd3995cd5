/* SPDX-License-Identifier: Apache-2.0 */
/* A packet on its way through a program, and what has been found out about it so far. */
#pragma once

#include "flow.h"
#include "forward.h"
#include "fragments.h"
#include "pace.h"
#include "packet.h"
#include "related.h"
#include "spoof.h"
#include "transport.h"
#include "verdict.h"

struct passage {
	struct packet packet;
	struct origin origin;
	/* Pods of this node, or NULL. */
	const struct endpoint *source;
	const struct endpoint *destination;
	__u32 flow; /* enum flow_flag */
	/* It is for whoever is at the other end of the link: ARP, ND and the like, no flow. */
	bool on_link;
	bool to_host; /* the destination is the host's own */
};

/* An IPv6 header with IPv4 addresses in it (RFC 4291 2.5.5.2) would be taken for the IPv4 pod's. */
static __always_inline bool passage_is_mapped(const struct packet *packet)
{
	return address_is_v4(&packet->source) || address_is_v4(&packet->destination);
}

static __always_inline enum drop_reason passage_parse_ip(struct packet *packet,
							 struct cursor *cursor)
{
	if (packet->ethertype == bpf_htons(ETH_P_IP))
		return packet_parse_ipv4(cursor, packet) ? DROP_NONE : DROP_MALFORMED;
	if (packet->ethertype != bpf_htons(ETH_P_IPV6))
		return DROP_NOT_CARRIED;
	return packet_parse_ipv6(cursor, packet) && !passage_is_mapped(packet) ? DROP_NONE
									       : DROP_MALFORMED;
}

/* Extension headers and ports. Called when the source is known to be genuine: a first fragment's
 * ports are remembered. */
static __always_inline enum drop_reason passage_parse_transport(struct __sk_buff *skb,
								struct packet *packet)
{
	if (packet->ethertype == bpf_htons(ETH_P_IPV6) && !transport_skip_extensions(skb, packet))
		return DROP_MALFORMED;
	if (packet->fragment_offset)
		return fragment_recall(packet);
	if (!transport_parse(skb, packet))
		return DROP_MALFORMED;
	if (packet->fragment_more)
		fragment_remember(packet);
	return DROP_NONE;
}

static __always_inline bool passage_is_multicast(struct __sk_buff *skb, const struct packet *packet)
{
	return address_is_multicast(&packet->destination) || skb->pkt_type == PACKET_BROADCAST ||
	       skb->pkt_type == PACKET_MULTICAST;
}

static __always_inline enum drop_reason passage_track(struct __sk_buff *skb, struct passage *p,
						      bool from_stack, bool may_use_stack)
{
	struct flow_ends ends = {.source = p->source,
				 .destination = p->destination,
				 .from_stack = from_stack,
				 .may_use_stack = may_use_stack};

	if (icmp_is_error(&p->packet))
		return related_find(skb, &p->packet, &p->flow);
	return flow_track(skb, &p->packet, &ends, &p->flow);
}

/* Is it more than talk on the link? The pod is there then; the verifier wants to see it asked. */
static __always_inline bool passage_is_from_pod(const struct passage *p)
{
	return !p->on_link && p->source;
}

static __always_inline bool passage_is_to_pod(const struct passage *p)
{
	return !p->on_link && p->destination;
}

static __always_inline int passage_drop(struct __sk_buff *skb, const struct passage *p,
					enum drop_reason reason, enum direction direction)
{
	const struct endpoint *pod = direction == DIRECTION_EGRESS ? p->source : p->destination;

	return verdict_drop(skb, &p->packet, pod ? pod->pod : 0, reason, direction);
}
