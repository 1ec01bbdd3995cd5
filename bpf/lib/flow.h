/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: who began them, whether they go by the host's stack, how far they are. One lookup
 * for a packet of a flow that is known; nothing is written unless something changed. */
#pragma once

#include "maps.h"
#include "policy.h"
#include "transport.h"
#include "verdict.h"

/* How stale `seen` may be before it is written, in jiffies. */
#define FLOW_SEEN_EVERY 256

/* What a packet's flow is judged by. */
struct flow_ends {
	/* Pods of this node, or NULL. */
	const struct endpoint *source;
	const struct endpoint *destination;
	/* The packet was sent on by the host's stack (to the pod, or for it). */
	bool from_stack;
	/* Veth: there is a way by the stack, and a connection picked up in the middle takes it. */
	bool may_use_stack;
};

static __always_inline __u64 flow_half(const struct ip_address *address, int half)
{
	return bpf_be64_to_cpu(*((const __u64 *)address + half));
}

/* As bytes of (address, port). An address in a packet is aligned for this. */
static __always_inline bool flow_source_is_low(const struct packet *packet)
{
	__u64 a = flow_half(&packet->source, 0), b = flow_half(&packet->destination, 0);

	if (a != b)
		return a < b;
	a = flow_half(&packet->source, 1);
	b = flow_half(&packet->destination, 1);
	if (a != b)
		return a < b;
	return bpf_ntohs(packet->source_port) <= bpf_ntohs(packet->destination_port);
}

/* Returns whether the packet's source is the `low` end. */
static __always_inline bool flow_key_of(const struct packet *packet, struct flow_key *key)
{
	bool low = flow_source_is_low(packet);

	key->low = low ? packet->source : packet->destination;
	key->high = low ? packet->destination : packet->source;
	key->low_port = low ? packet->source_port : packet->destination_port;
	key->high_port = low ? packet->destination_port : packet->source_port;
	key->protocol = packet->transport;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
	return low;
}

static __always_inline bool flow_begins(const struct packet *packet)
{
	return packet->transport == IPPROTO_TCP &&
	       (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline bool flow_is_over(__u32 flags)
{
	const __u32 both = FLOW_FIN_LOW | FLOW_FIN_HIGH;

	return flags & FLOW_RESET || (flags & both) == both;
}

static __always_inline bool flow_to_host_stack(const struct packet *packet)
{
	const struct config *config = settings();
	struct prefix_key key = {.length = 128, .address = packet->destination};

	return config && config->flags & CONFIG_HOST_STACK_CIDRS &&
	       bpf_map_lookup_elem(&host_stack, &key);
}

static __always_inline __u32 flow_changed(__u32 flags, const struct packet *packet, bool low,
					  bool from_stack)
{
	bool from_initiator = !(flags & FLOW_FROM_LOW) == !low;

	if (!from_initiator)
		flags |= FLOW_REPLIED;
	else if (from_stack)
		flags |= FLOW_BY_STACK;
	if (packet->tcp_flags & TCP_FIN)
		flags |= low ? FLOW_FIN_LOW : FLOW_FIN_HIGH;
	if (packet->tcp_flags & TCP_RST)
		flags |= FLOW_RESET;
	return flags;
}

static __always_inline __u32 flow_pod(const struct endpoint *end)
{
	return end ? end->pod : 0;
}

/* The first packet, or the first that is seen. */
static __noinline enum drop_reason flow_begin(struct __sk_buff *skb, const struct packet *packet,
					      const struct flow_key *key,
					      const struct flow_ends *ends, __u32 *flags)
{
	const struct endpoint *source = ends->source, *destination = ends->destination;
	bool low =
		address_equal(&key->low, &packet->source) && key->low_port == packet->source_port;
	bool in_middle = packet->transport == IPPROTO_TCP && !flow_begins(packet);
	const struct config *config = settings();
	struct flow flow = {.seen = bpf_jiffies64()};

	if (!policy_allows(source, destination))
		return DROP_POLICY;
	flow.flags = (low ? FLOW_FROM_LOW : 0) | (flow_begins(packet) ? FLOW_SYN : 0);
	if ((in_middle && ends->may_use_stack) || (source && flow_to_host_stack(packet)))
		flow.flags |= FLOW_BY_STACK;
	flow.flags = flow_changed(flow.flags, packet, low, ends->from_stack);
	flow.epoch_egress = policy_epoch(source);
	flow.epoch_ingress = policy_epoch(destination);
	bpf_map_update_elem(&flows, key, &flow, BPF_ANY);
	*flags = flow.flags;
	if (!config || !(config->flags & CONFIG_WATCH_FLOWS))
		return DROP_NONE;
	if (source)
		event_tell(skb, packet, source->pod, EVENT_FLOW | DIRECTION_EGRESS << 16);
	else
		event_tell(skb, packet, flow_pod(destination),
			   EVENT_FLOW | DIRECTION_INGRESS << 16);
	return DROP_NONE;
}

/* Finds or begins the flow of a packet. `flags`: enum flow_flag, set where it is not dropped. */
static __always_inline enum drop_reason flow_track(struct __sk_buff *skb,
						   const struct packet *packet,
						   const struct flow_ends *ends, __u32 *flags)
{
	const struct endpoint *initiator, *responder;
	struct flow_key key;
	bool low = flow_key_of(packet, &key);
	struct flow *flow = bpf_map_lookup_elem(&flows, &key);
	__u32 now;

	if (!flow || (flow_is_over(flow->flags) && flow_begins(packet)))
		return flow_begin(skb, packet, &key, ends, flags);
	initiator = !(flow->flags & FLOW_FROM_LOW) == !low ? ends->source : ends->destination;
	responder = !(flow->flags & FLOW_FROM_LOW) == !low ? ends->destination : ends->source;
	if (!policy_is_current(flow, initiator, responder)) {
		if (!policy_allows(initiator, responder))
			return DROP_POLICY;
		if (initiator)
			flow->epoch_egress = initiator->epoch;
		if (responder)
			flow->epoch_ingress = responder->epoch;
	}
	*flags = flow_changed(flow->flags, packet, low, ends->from_stack);
	if (*flags != flow->flags)
		flow->flags = *flags;
	now = bpf_jiffies64();
	if (now - flow->seen >= FLOW_SEEN_EVERY)
		flow->seen = now;
	return DROP_NONE;
}
