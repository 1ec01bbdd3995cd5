/* SPDX-License-Identifier: Apache-2.0 */
/* Which IPVLAN slave's frame is on its way through its ENI on this CPU (struct sender in
 * bpf/abi.h). Of its own, for the program that fills it is another object. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "../abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sender);
} sender SEC(".maps");
