/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod sends. */
#pragma once

#include "passage.h"

static __always_inline bool egress_is_claim(const struct packet *packet)
{
	return packet->ethertype == bpf_htons(ETH_P_IP) && packet->transport == IPPROTO_ICMP &&
	       packet->icmp_type == ICMP_REDIRECT;
}

/* Steps 1 to 6. `on_link`: it is for whoever is at the other end of the link, no flow of any kind.
 */
static __always_inline enum drop_reason egress_judge(struct __sk_buff *skb, struct passage *p,
						     enum way *way)
{
	struct cursor cursor = cursor_with(skb, ETH_HLEN + sizeof(struct ipv6hdr));
	const struct endpoint *destination;
	enum drop_reason reason;

	if (!packet_parse_ethernet(&cursor, &p->packet))
		return DROP_MALFORMED;
	if (skb->vlan_present)
		return DROP_NOT_CARRIED;
	if (p->packet.ethertype == bpf_htons(ETH_P_ARP)) {
		p->on_link = true;
		return spoof_arp(skb, &p->packet, &p->origin);
	}
	reason = passage_parse_ip(&p->packet, &cursor);
	if (reason)
		return reason;
	reason = spoof_ip(&p->packet, &p->origin, &p->source);
	if (reason)
		return reason;
	reason = passage_parse_transport(skb, &p->packet);
	if (reason)
		return reason;
	if (nd_is(&p->packet, p->packet.icmp_type)) {
		p->on_link = true;
		return spoof_nd(skb, &p->packet, &p->origin);
	}
	if (egress_is_claim(&p->packet))
		return DROP_SPOOFED_ND;
	if (passage_is_multicast(skb, &p->packet))
		return DROP_MULTICAST;
	if (!p->source) {
		p->on_link = true;
		return DROP_NONE;
	}
	destination = find_endpoint(&p->packet.destination);
	if (destination && destination->kind == ENDPOINT_BLOCKED)
		return DROP_BLOCKED;
	p->destination = pod_only(destination);
	reason = passage_track(skb, p, false, p->source->mode == MODE_VETH);
	if (reason)
		return reason;
	p->to_host = destination && destination->kind == ENDPOINT_HOST;
	if (p->to_host || p->flow & FLOW_BY_STACK || address_is_link_local(&p->packet.destination))
		*way = WAY_STACK;
	else if (p->destination && p->destination->mode != MODE_EXCLUSIVE)
		*way = WAY_POD;
	else
		*way = WAY_ENI;
	return DROP_NONE;
}

static __always_inline int egress_to_stack(struct __sk_buff *skb, const struct passage *p)
{
	verdict_count(skb, DROP_NONE, DIRECTION_EGRESS);
	if (p->source->flags & ENDPOINT_SHAPED_EGRESS) {
		skb->mark = MARK_SHAPED_STACK;
		return bpf_redirect(p->source->shaper_egress, 0);
	}
	forward_is_ours(skb);
	return TC_ACT_OK;
}

/* From the host end of a pair. */
static __always_inline int egress_go(struct __sk_buff *skb, struct passage *p, enum way way)
{
	const struct endpoint *source = p->source, *to = p->destination;

	if (way == WAY_STACK || p->packet.hops <= 1 ||
	    (way == WAY_POD && !forward_fits(skb, &p->packet, to)))
		return egress_to_stack(skb, p);
	if (way == WAY_ENI && (source->mode != MODE_VETH || !source->eni_ifindex))
		return passage_drop(skb, p, DROP_NO_WAY_OUT, DIRECTION_EGRESS);
	verdict_count(skb, DROP_NONE, DIRECTION_EGRESS);
	forward_is_ours(skb);
	if (!(way == WAY_POD ? forward_write(skb, &p->packet, to->mac, false)
			     : forward_write(skb, &p->packet, source->gateway_mac, true)))
		return passage_drop(skb, p, DROP_REDIRECT, DIRECTION_EGRESS);
	if (source->flags & ENDPOINT_SHAPED_EGRESS) {
		skb->mark = MARK_SHAPED_EGRESS;
		return bpf_redirect(source->shaper_egress, 0);
	}
	return way == WAY_POD
		       ? forward_into_pod(skb, to, true, source->flags & ENDPOINT_PACED_EGRESS)
		       : forward_by_eni(skb, source);
}

static __always_inline int egress_from_veth(struct __sk_buff *skb)
{
	struct passage p = {
		.origin = {.place = PLACE_HOST_END, .ifindex = skb->ifindex},
	};
	enum way way = WAY_STACK;
	enum drop_reason reason = egress_judge(skb, &p, &way);

	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_EGRESS);
	if (passage_is_from_pod(&p))
		return egress_go(skb, &p, way);
	verdict_count(skb, DROP_NONE, DIRECTION_EGRESS);
	return TC_ACT_OK;
}

/* At the egress of the device itself: what leaves by it now. */
static __always_inline enum drop_reason egress_limit(struct __sk_buff *skb,
						     const struct endpoint *from)
{
	if (from->priority)
		skb->priority = from->priority;
	if (!(from->flags & ENDPOINT_PACED_EGRESS))
		return DROP_NONE;
	return pace(skb, from->pod, DIRECTION_EGRESS, from->egress_rate);
}

/* What the host's stack sends by a shared ENI. Where it sends for a pod (a Service of kube-proxy
 * has translated the destination), the reply has to come back through the stack. */
static __always_inline int egress_from_stack(struct __sk_buff *skb)
{
	struct cursor cursor = cursor_with(skb, ETH_HLEN + sizeof(struct ipv6hdr));
	struct passage p = {};
	enum drop_reason reason;

	if (!packet_parse_ethernet(&cursor, &p.packet) ||
	    passage_parse_ip(&p.packet, &cursor) != DROP_NONE)
		return TC_ACT_OK;
	p.source = pod_only(find_endpoint(&p.packet.source));
	if (!p.source)
		return TC_ACT_OK;
	reason = passage_parse_transport(skb, &p.packet);
	if (!reason)
		reason = passage_track(skb, &p, true, true);
	if (!reason)
		reason = egress_limit(skb, p.source);
	return reason ? passage_drop(skb, &p, reason, DIRECTION_EGRESS) : TC_ACT_OK;
}
