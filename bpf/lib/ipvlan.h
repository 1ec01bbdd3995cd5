/* SPDX-License-Identifier: Apache-2.0 */
/* Pods behind the IPVLAN port of a shared ENI. The map of endpoints says whose an address is, never
 * the port: a pod with NET_ADMIN gives its slave any address. */
#pragma once

#include "egress.h"
#include "ingress.h"

static __always_inline bool ipvlan_is_turned(struct __sk_buff *skb, const struct config *config)
{
	return config->turn_mark && skb->mark == config->turn_mark;
}

/* Inode number of the namespace of the slave that sent it; 0: the host did. */
static __always_inline __u32 ipvlan_sender(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct sender *by = bpf_map_lookup_elem(&sender, &zero);

	return by && by->skb == (__u64)(unsigned long)skb ? by->netns : 0;
}

/* What comes in is counted where the stack sends it to the pod. */
static __always_inline int ipvlan_to_stack(struct __sk_buff *skb, const struct passage *p,
					   enum direction direction)
{
	__u32 ifindex;

	if (!forward_to_stack_device(skb, &ifindex))
		return passage_drop(skb, p, DROP_NO_WAY_OUT, direction);
	if (direction == DIRECTION_EGRESS)
		verdict_count(skb, DROP_NONE, direction);
	return bpf_redirect(ifindex, BPF_F_INGRESS);
}

/* To a pod of this node, from the egress of the ENI. They are neighbours on one link: no hop. */
static __always_inline int ipvlan_to_pod(struct __sk_buff *skb, const struct passage *p,
					 enum direction direction)
{
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, p->destination->mac, sizeof(mac));
	if (bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0))
		return passage_drop(skb, p, DROP_REDIRECT, direction);
	verdict_count(skb, DROP_NONE, direction);
	return forward_into_pod(skb, p->destination, false,
				p->source && p->source->flags & ENDPOINT_PACED_EGRESS);
}

static __always_inline int ipvlan_shape(struct __sk_buff *skb, const struct passage *p,
					enum way way)
{
	verdict_count(skb, DROP_NONE, DIRECTION_EGRESS);
	skb->mark = way == WAY_STACK ? MARK_SHAPED_STACK : MARK_SHAPED_EGRESS;
	return bpf_redirect(p->source->shaper_egress, 0);
}

static __always_inline int ipvlan_from_pod(struct __sk_buff *skb, __u32 netns)
{
	struct passage p = {
		.origin = {.place = PLACE_PARENT, .ifindex = skb->ifindex, .netns = netns},
	};
	enum way way = WAY_STACK;
	enum drop_reason reason = egress_judge(skb, &p, &way);

	/* Neighbours are permanent entries: there is nothing to ask or to tell on the link. */
	if (!reason && !passage_is_from_pod(&p))
		reason = DROP_MULTICAST;
	if (!reason && way == WAY_ENI)
		reason = egress_limit(skb, p.source);
	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_EGRESS);
	if (p.source->flags & ENDPOINT_SHAPED_EGRESS)
		return ipvlan_shape(skb, &p, way);
	if (way == WAY_STACK)
		return ipvlan_to_stack(skb, &p, DIRECTION_EGRESS);
	if (way == WAY_POD)
		return ipvlan_to_pod(skb, &p, DIRECTION_EGRESS);
	verdict_count(skb, DROP_NONE, DIRECTION_EGRESS);
	return TC_ACT_OK;
}

/* What the host's stack sends to a pod, or for one. */
static __always_inline int ipvlan_from_host(struct __sk_buff *skb)
{
	struct cursor cursor = cursor_with(skb, ETH_HLEN + sizeof(struct ipv6hdr));
	struct passage p = {};
	enum drop_reason reason;

	/* ipvlan sends pods' multicast and broadcast from a queue of its own, where nobody knows
	 * any more who it was, but has their type set; what the host sends has none yet. */
	if (skb->pkt_type == PACKET_BROADCAST || skb->pkt_type == PACKET_MULTICAST)
		return passage_drop(skb, &p, DROP_MULTICAST, DIRECTION_EGRESS);
	if (!packet_parse_ethernet(&cursor, &p.packet) ||
	    passage_parse_ip(&p.packet, &cursor) != DROP_NONE)
		return TC_ACT_OK;
	p.source = pod_only(find_endpoint(&p.packet.source));
	p.destination = pod_only(find_endpoint(&p.packet.destination));
	if (!p.source && !p.destination)
		return TC_ACT_OK;
	reason = passage_parse_transport(skb, &p.packet);
	if (!reason)
		reason = passage_track(skb, &p, true, true);
	if (p.destination && p.destination->mode != MODE_EXCLUSIVE)
		return reason ? passage_drop(skb, &p, reason, DIRECTION_INGRESS)
			      : ipvlan_to_pod(skb, &p, DIRECTION_INGRESS);
	if (!reason && p.source)
		reason = egress_limit(skb, p.source);
	return reason ? passage_drop(skb, &p, reason, DIRECTION_EGRESS) : TC_ACT_OK;
}

static __always_inline int ipvlan_out(struct __sk_buff *skb)
{
	const struct config *config = settings();
	const struct packet nothing = {};
	__u32 netns;

	if (!config || !(config->flags & CONFIG_SENDERS))
		return verdict_drop(skb, &nothing, 0, DROP_UNKNOWN_SENDER, DIRECTION_EGRESS);
	if (ipvlan_is_turned(skb, config)) {
		skb->mark = 0;
		return TC_ACT_OK;
	}
	netns = ipvlan_sender(skb);
	return netns ? ipvlan_from_pod(skb, netns) : ipvlan_from_host(skb);
}

static __always_inline int ipvlan_in(struct __sk_buff *skb)
{
	const struct config *config = settings();
	struct passage p = {};
	enum drop_reason reason;

	/* The pod that gets it could read the mark, and use it. */
	if (config && ipvlan_is_turned(skb, config)) {
		skb->mark = 0;
		return TC_ACT_OK;
	}
	reason = ingress_judge(skb, &p, false, false);
	if (!reason && p.to_host)
		return ipvlan_to_stack(skb, &p, DIRECTION_INGRESS);
	if (!reason && !passage_is_to_pod(&p))
		return TC_ACT_OK;
	if (!reason &&
	    (p.destination->mode != MODE_IPVLAN || p.destination->ifindex != skb->ifindex))
		reason = DROP_UNKNOWN_POD;
	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_INGRESS);
	if (p.flow & FLOW_BY_STACK)
		return ipvlan_to_stack(skb, &p, DIRECTION_INGRESS);
	verdict_count(skb, DROP_NONE, DIRECTION_INGRESS);
	if (!(p.destination->flags & ENDPOINT_SHAPED_INGRESS))
		return TC_ACT_OK;
	skb->mark = MARK_SHAPED_INGRESS;
	return bpf_redirect(p.destination->shaper_ingress, 0);
}
