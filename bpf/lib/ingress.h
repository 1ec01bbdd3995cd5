/* SPDX-License-Identifier: Apache-2.0 */
/* What comes to a pod. Nobody's claims are checked here: the VPC and the host are trusted to tell
 * who sent it. */
#pragma once

#include "passage.h"

/* Steps 1 to 6. What is for the host itself is on the link, too. */
static __always_inline enum drop_reason ingress_judge(struct __sk_buff *skb, struct passage *p,
						      bool from_stack, bool may_use_stack)
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
		return DROP_NONE;
	}
	reason = passage_parse_ip(&p->packet, &cursor);
	if (reason)
		return reason;
	destination = find_endpoint(&p->packet.destination);
	p->destination = pod_only(destination);
	reason = passage_parse_transport(skb, &p->packet);
	if (reason)
		return reason;
	if (nd_is(&p->packet, p->packet.icmp_type) ||
	    address_is_v6_link_local(&p->packet.destination)) {
		p->on_link = true;
		return DROP_NONE;
	}
	if (address_is_multicast(&p->packet.destination))
		return DROP_MULTICAST;
	if (!p->destination) {
		/* A Service's address, by whatever NIC it is asked, is the stack's to translate. */
		p->to_host = destination ? destination->kind == ENDPOINT_HOST
					 : !from_stack && flow_to_host_stack(&p->packet);
		p->on_link = p->to_host;
		return p->to_host ? DROP_NONE : DROP_UNKNOWN_POD;
	}
	if (from_stack)
		p->source = pod_only(find_endpoint(&p->packet.source));
	return passage_track(skb, p, from_stack, may_use_stack);
}

static __always_inline int ingress_to_veth(struct __sk_buff *skb)
{
	struct passage p = {};
	enum drop_reason reason = ingress_judge(skb, &p, false, true);

	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_INGRESS);
	if (!passage_is_to_pod(&p))
		return TC_ACT_OK;
	if (p.destination->mode != MODE_VETH)
		return passage_drop(skb, &p, DROP_UNKNOWN_POD, DIRECTION_INGRESS);
	forward_is_ours(skb);
	/* It is counted where the stack sends it to the pod. */
	if (p.flow & FLOW_BY_STACK || p.packet.hops <= 1 ||
	    !forward_fits(skb, &p.packet, p.destination))
		return TC_ACT_OK;
	verdict_count(skb, DROP_NONE, DIRECTION_INGRESS);
	if (!forward_write(skb, &p.packet, p.destination->mac, false))
		return passage_drop(skb, &p, DROP_REDIRECT, DIRECTION_INGRESS);
	return forward_into_pod(skb, p.destination, true, false);
}

/* Is the device that the stack sends it by the pod's? */
static __always_inline bool ingress_is_here(struct __sk_buff *skb, const struct endpoint *to)
{
	return skb->ifindex == (to->mode == MODE_EXCLUSIVE ? to->peer_ifindex : to->ifindex);
}

static __always_inline int ingress_from_stack(struct __sk_buff *skb)
{
	struct passage p = {};
	enum drop_reason reason = ingress_judge(skb, &p, true, true);

	if (!reason && !passage_is_to_pod(&p))
		return TC_ACT_OK;
	if (!reason && !ingress_is_here(skb, p.destination))
		reason = DROP_UNKNOWN_POD;
	if (!reason && p.destination->flags & ENDPOINT_PACED_INGRESS)
		reason = pace(skb, p.destination->pod, DIRECTION_INGRESS,
			      p.destination->ingress_rate);
	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_INGRESS);
	verdict_count(skb, DROP_NONE, DIRECTION_INGRESS);
	if (p.destination->flags & ENDPOINT_SHAPED_INGRESS) {
		skb->mark = MARK_SHAPED_INGRESS;
		return bpf_redirect(p.destination->shaper_ingress, 0);
	}
	return TC_ACT_OK;
}
