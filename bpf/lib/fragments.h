/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments have the ports of their first one, which is remembered. A later fragment that comes
 * before its first is dropped: its datagram is sent again, or lost as on any path that reorders. */
#pragma once

#include "maps.h"
#include "transport.h"

/* A later fragment that begins inside of the transport header could change the ports or the flags
 * that the first one was judged by (RFC 1858). */
#define FRAGMENT_OFFSET_MIN 20

static __always_inline struct fragment_key fragment_key_of(const struct packet *packet)
{
	struct fragment_key key = {
		.source = packet->source,
		.destination = packet->destination,
		.id = packet->fragment_id,
		.protocol = packet->transport,
	};

	return key;
}

/* Called for the first fragment once it is known to be genuine. */
static __noinline void fragment_remember(const struct packet *packet)
{
	struct fragment_key key = fragment_key_of(packet);
	struct fragment fragment = {
		.source_port = packet->source_port,
		.destination_port = packet->destination_port,
	};

	bpf_map_update_elem(&fragments, &key, &fragment, BPF_ANY);
}

static __noinline enum drop_reason fragment_recall(struct packet *packet)
{
	struct fragment_key key = fragment_key_of(packet);
	const struct fragment *first;

	if (packet->fragment_offset < FRAGMENT_OFFSET_MIN)
		return DROP_MALFORMED;
	first = bpf_map_lookup_elem(&fragments, &key);
	if (!first)
		return DROP_FRAGMENT;
	packet->source_port = first->source_port;
	packet->destination_port = first->destination_port;
	return DROP_NONE;
}
