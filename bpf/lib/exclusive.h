/* SPDX-License-Identifier: Apache-2.0 */
/* A pod whose NIC is an ENI of its own. The programs sit within the pod's reach: the daemon watches
 * that they stay, and the VPC checks addresses again. */
#pragma once

#include "egress.h"
#include "ingress.h"

/* What the host's stack must see (it translated the request) and the pod would send by its NIC:
 * over to the pair between the pod and the host. */
static __always_inline int exclusive_to_stack(struct __sk_buff *skb, const struct passage *p)
{
	__u8 mac[ETH_ALEN];

	if (!p->source->peer_inner_ifindex)
		return passage_drop(skb, p, DROP_NO_WAY_OUT, DIRECTION_EGRESS);
	__builtin_memcpy(mac, p->source->peer_mac, sizeof(mac));
	if (bpf_skb_store_bytes(skb, ETH_ALEN, mac, sizeof(mac), 0))
		return passage_drop(skb, p, DROP_REDIRECT, DIRECTION_EGRESS);
	verdict_count(skb, DROP_NONE, DIRECTION_EGRESS);
	return bpf_redirect(p->source->peer_inner_ifindex, 0);
}

/* To the next filter where bandwidth is limited: the detour through a token bucket. */
static __always_inline int exclusive_pass(const struct endpoint *pod, __u16 limited)
{
	return pod && pod->flags & limited ? TC_ACT_UNSPEC : TC_ACT_OK;
}

static __always_inline int exclusive_out(struct __sk_buff *skb)
{
	struct passage p = {
		.origin = {.place = PLACE_NIC, .ifindex = skb->ifindex},
	};
	enum way way = WAY_STACK;
	enum drop_reason reason = egress_judge(skb, &p, &way);

	if (!reason && passage_is_from_pod(&p) && way == WAY_STACK)
		return exclusive_to_stack(skb, &p);
	if (!reason && p.source)
		reason = egress_limit(skb, p.source);
	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_EGRESS);
	verdict_count(skb, DROP_NONE, DIRECTION_EGRESS);
	return exclusive_pass(p.source, ENDPOINT_SHAPED_EGRESS);
}

static __always_inline int exclusive_in(struct __sk_buff *skb)
{
	struct passage p = {};
	enum drop_reason reason = ingress_judge(skb, &p, false, false);

	if (!reason && !passage_is_to_pod(&p))
		return TC_ACT_OK;
	if (!reason &&
	    (p.destination->mode != MODE_EXCLUSIVE || p.destination->ifindex != skb->ifindex))
		reason = DROP_UNKNOWN_POD;
	if (reason)
		return passage_drop(skb, &p, reason, DIRECTION_INGRESS);
	verdict_count(skb, DROP_NONE, DIRECTION_INGRESS);
	return exclusive_pass(p.destination, ENDPOINT_SHAPED_INGRESS);
}
