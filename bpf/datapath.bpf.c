// SPDX-License-Identifier: Apache-2.0
/* Pods' packets on a node. One core judges, for three ways to attach it: veth pods on a shared ENI,
 * IPVLAN pods on a shared ENI, pods with an ENI of their own. Each packet is judged once on its
 * way; who sends it on to another device marks it (bpf/abi.h).
 *
 * The order of things, whatever the device:
 *   1. parse                      lib/packet.h, lib/transport.h
 *   2. who sent it                lib/spoof.h: addresses and MACs are the pod's; ARP and ND
 *   3. ports of later fragments   lib/fragments.h
 *   4. what stays on the link     multicast, link-local
 *   5. to whom                    the map of endpoints; Services translate here, before
 *   6. its flow                   lib/flow.h, lib/related.h; a new one, or new rules: lib/policy.h
 *   7. which way                  lib/forward.h: the host's stack, a pod of this node, its ENI
 * Policy so sees a Service's backend and never its own address. A drop is a return of
 * verdict_drop(): lib/verdict.h.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "lib/passage.h"
#include "lib/egress.h"
#include "lib/ingress.h"
#include "lib/shaped.h"
#include "lib/ipvlan.h"
#include "lib/exclusive.h"

/* --- veth pods on a shared ENI --- */

/* clsact ingress of a pod's host end: what the pod sends. A mark does not come out of a pod's
 * namespace, so one that is here is ours: from its token bucket, to the stack. */
SEC("tc")
int pod_egress(struct __sk_buff *skb)
{
	if (skb->mark == MARK_JUDGED) {
		skb->mark = 0;
		return TC_ACT_OK;
	}
	return egress_from_veth(skb);
}

/* clsact egress of a pod's host end: what the host's stack sends to the pod. */
SEC("tc")
int pod_ingress(struct __sk_buff *skb)
{
	if (skb->mark == MARK_JUDGED)
		return TC_ACT_OK;
	if (skb->mark == MARK_PACED)
		return shaped_pace(skb);
	return ingress_from_stack(skb);
}

/* clsact ingress of a shared ENI: what the VPC sends. */
SEC("tc")
int eni_ingress(struct __sk_buff *skb)
{
	return ingress_to_veth(skb);
}

/* clsact egress of a shared ENI: what the host's stack sends for pods, and all that programs send
 * by it. */
SEC("tc")
int eni_egress(struct __sk_buff *skb)
{
	if (skb->mark == MARK_JUDGED)
		return TC_ACT_OK;
	if (skb->mark == MARK_PACED)
		return shaped_pace(skb);
	return egress_from_stack(skb);
}

/* clsact ingress of the far end of a pair whose near end has a token bucket. */
SEC("tc")
int shaper_exit(struct __sk_buff *skb)
{
	return shaped_go_on(skb);
}

/* --- IPVLAN pods on a shared ENI: its flag is VEPA, so every frame of a slave comes by here --- */

/* clsact egress of the ENI: what pods send, to whomever, and what the host's stack sends. */
SEC("tc")
int ipvlan_egress(struct __sk_buff *skb)
{
	return ipvlan_out(skb);
}

/* clsact ingress of the ENI, in front of ipvlan's receiver: what the VPC sends, and what the egress
 * has turned around. */
SEC("tc")
int ipvlan_ingress(struct __sk_buff *skb)
{
	return ipvlan_in(skb);
}

/* --- pods with an ENI of their own: attached to the NIC, in the pod's namespace. What goes between
 * the pod and the host's stack passes pod_egress and pod_ingress at the host end of another pair
 * --- */

SEC("tc")
int exclusive_egress(struct __sk_buff *skb)
{
	return exclusive_out(skb);
}

SEC("tc")
int exclusive_ingress(struct __sk_buff *skb)
{
	return exclusive_in(skb);
}

/* --- for the daemon --- */

/* What time it is for flow.seen; run by BPF_PROG_TEST_RUN. */
SEC("tc")
int read_jiffies(struct __sk_buff *skb)
{
	(void)skb;
	return (int)bpf_jiffies64();
}

char LICENSE[] SEC("license") = "Apache-2.0";
