// SPDX-License-Identifier: Apache-2.0
/* For packet tests, in place of the program that tells which IPVLAN slave a frame came from: notes
 * that the frame was sent from the namespace that the test names, and goes on with the program
 * under test.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "lib/sender.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

volatile __u32 test_netns;

SEC("tc")
int note_sender(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct sender *by = bpf_map_lookup_elem(&sender, &zero);

	if (!by)
		return TC_ACT_UNSPEC;
	by->skb = (__u64)(unsigned long)skb;
	by->netns = test_netns;
	bpf_tail_call(skb, &under_test, 0);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Apache-2.0";
