// SPDX-License-Identifier: Apache-2.0
/* For bench/datapath: the least that a program can do to carry a pod's packets. What the datapath's
 * programs do beyond this (who are you, may you, which flow is it, count it) is their price.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 eni_ifindex;
const volatile __u32 pod_ifindex; /* host end of its veth */
const volatile __u32 macs[3];	  /* destination and source, as on the wire */

/* What calling any program costs. */
SEC("tc")
int floor_empty(struct __sk_buff *skb __attribute__((unused)))
{
	return TC_ACT_UNSPEC;
}

/* At the host end of the pod's veth. */
SEC("tc")
int floor_leave(struct __sk_buff *skb)
{
	__u32 *header = (__u32 *)(long)skb->data;

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	if (header + 3 > (__u32 *)(long)skb->data_end)
		return TC_ACT_SHOT;
	header[0] = macs[0];
	header[1] = macs[1];
	header[2] = macs[2];
	return bpf_redirect(eni_ifindex, 0);
}

/* At the ENI, or at the host end of another pod's veth. */
SEC("tc")
int floor_enter(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	return bpf_redirect_peer(pod_ifindex, 0);
}

char LICENSE[] SEC("license") = "Apache-2.0";
