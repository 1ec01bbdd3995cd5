/* SPDX-License-Identifier: Apache-2.0 */
/* The fabric's maps and its settings; written by user space, read by the program. */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "../fabric_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* ifindex */
	__type(value, struct fabric_port);
} fabric_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct fabric_owner_key);
	__type(value, struct fabric_owner);
} fabric_owners SEC(".maps");

/* The longest IP packet that the paths between ENIs carry; 0: any. */
volatile __u32 fabric_path_mtu;

static __always_inline const struct fabric_owner *fabric_find_owner(const struct fabric_port *port,
								    const struct ip_address *a)
{
	struct fabric_owner_key key = {.vpc = port->vpc, .address = *a};

	return bpf_map_lookup_elem(&fabric_owners, &key);
}

/* Is it an address of the ENI behind this port? */
static __always_inline bool fabric_owns(struct __sk_buff *skb, const struct fabric_port *port,
					const struct ip_address *a)
{
	const struct fabric_owner *owner = fabric_find_owner(port, a);

	return owner && owner->port == skb->ifindex;
}

static __always_inline bool prefix_contains(const struct fabric_prefix *prefix,
					    const struct ip_address *a)
{
	for (int i = 0; i < 4; i++)
		if ((a->word[i] & prefix->mask.word[i]) != prefix->network.word[i])
			return false;
	return true;
}

static const __u8 fabric_gateway_mac[6] = FABRIC_GATEWAY_MAC;
