/* SPDX-License-Identifier: Apache-2.0 */
/* How a packet leaves a program: passed and counted, or dropped for a reason, counted and told. */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "packet.h"

static __always_inline void verdict_count(struct __sk_buff *skb, enum drop_reason reason,
					  enum direction direction)
{
	__u32 key = reason * DIRECTIONS + direction;
	struct count *count = bpf_map_lookup_elem(&counts, &key);

	if (!count)
		return;
	count->packets += skb->gso_segs ? skb->gso_segs : 1;
	count->bytes += skb->len;
}

static __always_inline bool event_within_budget(const struct config *config, __u64 now)
{
	__u32 zero = 0;
	struct event_budget *budget = bpf_map_lookup_elem(&events_budget, &zero);
	__u64 second = now >> 30;

	if (!budget || !config)
		return false;
	if (budget->second != second) {
		budget->second = second;
		budget->used = 0;
	}
	return budget->used++ < config->events_per_second;
}

static __always_inline void event_lost(void)
{
	__u32 zero = 0;
	__u64 *lost = bpf_map_lookup_elem(&events_lost, &zero);

	if (lost)
		*lost += 1;
}

static __noinline void event_tell(struct __sk_buff *skb, const struct packet *packet, __u32 pod,
				  __u32 kind_reason_direction)
{
	__u64 now = bpf_ktime_get_ns();
	struct event *event;

	if (!event_within_budget(settings(), now)) {
		event_lost();
		return;
	}
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		event_lost();
		return;
	}
	event->time = now;
	event->kind = kind_reason_direction;
	event->reason = kind_reason_direction >> 8;
	event->direction = kind_reason_direction >> 16;
	event->protocol = packet->transport;
	event->ifindex = skb->ifindex;
	event->pod = pod;
	event->length = skb->len;
	event->source = packet->source;
	event->destination = packet->destination;
	event->source_port = packet->source_port;
	event->destination_port = packet->destination_port;
	event->ethertype = packet->ethertype;
	event->tcp_flags = packet->tcp_flags;
	event->pad = 0;
	bpf_ringbuf_submit(event, 0);
}

/* What every pod's kernel sends by itself, and nobody needs to hear of. */
static __always_inline bool verdict_is_quiet(enum drop_reason reason)
{
	return reason == DROP_MULTICAST;
}

/* The only way to drop. `pod`: endpoint.pod, or 0. */
static __noinline int verdict_drop(struct __sk_buff *skb, const struct packet *packet, __u32 pod,
				   enum drop_reason reason, enum direction direction)
{
	verdict_count(skb, reason, direction);
	if (!verdict_is_quiet(reason))
		event_tell(skb, packet, pod, EVENT_DROP | reason << 8 | direction << 16);
	return TC_ACT_SHOT;
}
