/* SPDX-License-Identifier: Apache-2.0 */
/* What was judged, and comes by again because bandwidth is limited: out of a token bucket, or to be
 * given its departure time where fq is. */
#pragma once

#include "passage.h"

/* Who sends it and who gets it, as far as they are pods of this node. */
static __always_inline bool shaped_ends(struct __sk_buff *skb, struct passage *p)
{
	struct cursor cursor = cursor_with(skb, ETH_HLEN + sizeof(struct ipv6hdr));

	if (!packet_parse_ethernet(&cursor, &p->packet) ||
	    passage_parse_ip(&p->packet, &cursor) != DROP_NONE)
		return false;
	p->source = pod_only(find_endpoint(&p->packet.source));
	p->destination = pod_only(find_endpoint(&p->packet.destination));
	return true;
}

static __always_inline int shaped_pace(struct __sk_buff *skb)
{
	struct passage p = {};
	enum drop_reason reason = DROP_NONE;

	if (!shaped_ends(skb, &p))
		return passage_drop(skb, &p, DROP_MALFORMED, DIRECTION_EGRESS);
	if (p.source && p.source->flags & ENDPOINT_PACED_EGRESS)
		reason = pace(skb, p.source->pod, DIRECTION_EGRESS, p.source->egress_rate);
	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_EGRESS);
	if (p.destination && p.destination->flags & ENDPOINT_PACED_INGRESS)
		reason = pace(skb, p.destination->pod, DIRECTION_INGRESS,
			      p.destination->ingress_rate);
	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_INGRESS);
	skb->mark = MARK_JUDGED;
	return TC_ACT_OK;
}

/* Only programs send by a pair of ours; anything else that comes out of it is nobody's. */
static __always_inline int shaped_go_on(struct __sk_buff *skb)
{
	struct passage p = {};
	__u32 mark = skb->mark, stack;

	if (!shaped_ends(skb, &p))
		return passage_drop(skb, &p, DROP_MALFORMED, DIRECTION_EGRESS);
	/* The pair took it for somebody else's: its MAC is the next device's. */
	forward_is_ours(skb);
	if (mark == MARK_SHAPED_INGRESS && p.destination)
		return forward_into_pod(skb, p.destination, true, false);
	if (mark == MARK_SHAPED_STACK && p.source) {
		if (p.source->mode == MODE_IPVLAN)
			return forward_to_stack_device(skb, &stack)
				       ? bpf_redirect(stack, BPF_F_INGRESS)
				       : passage_drop(skb, &p, DROP_NO_WAY_OUT, DIRECTION_EGRESS);
		skb->mark = MARK_JUDGED;
		return bpf_redirect(p.source->ifindex, BPF_F_INGRESS);
	}
	if (mark == MARK_SHAPED_EGRESS && p.destination && p.destination->mode != MODE_EXCLUSIVE)
		return forward_into_pod(skb, p.destination, true, false);
	if (mark == MARK_SHAPED_EGRESS && p.source && p.source->eni_ifindex)
		return forward_by_eni(skb, p.source);
	return passage_drop(skb, &p, DROP_NO_WAY_OUT, DIRECTION_EGRESS);
}
