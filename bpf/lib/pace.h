/* SPDX-License-Identifier: Apache-2.0 */
/* Earliest departure time: each packet of a pod's direction leaves when those before it are through
 * at the configured rate; fq, the root qdisc of the device that it leaves by, holds it until then.
 * No credit is saved up while nothing is sent, so nothing bursts. */
#pragma once

#include "maps.h"

/* What would wait longer is dropped. Less than fq's own horizon of 10 s. */
#define PACE_HORIZON_NS 2000000000ULL

static __always_inline __u64 *pace_next(const struct pacing_key *key)
{
	__u64 zero = 0, *next = bpf_map_lookup_elem(&pacing, key);

	if (next)
		return next;
	bpf_map_update_elem(&pacing, key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&pacing, key);
}

/* Sets skb->tstamp; at the egress of the device only: until there the kernel forgets it. */
static __noinline enum drop_reason pace(struct __sk_buff *skb, __u32 pod, __u32 direction,
					__u64 rate)
{
	struct pacing_key key = {.pod = pod, .direction = direction};
	__u64 now = bpf_ktime_get_ns(), *next, departure, takes;

	if (!rate)
		return DROP_NONE;
	next = pace_next(&key);
	if (!next)
		return DROP_QUEUE_FULL;
	takes = skb->wire_len * 1000000000ULL / rate;
	departure = *next;
	if (departure < now) {
		departure = now;
		*next = now;
	}
	if (departure - now > PACE_HORIZON_NS)
		return DROP_QUEUE_FULL;
	__sync_fetch_and_add(next, takes);
	if (departure > skb->tstamp)
		skb->tstamp = departure;
	return DROP_NONE;
}
