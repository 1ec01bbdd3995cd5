/* SPDX-License-Identifier: Apache-2.0 */
/* Where it goes, once it may: to the host's stack, to a pod of this node, or out by its ENI. */
#pragma once

#include <stddef.h>

#include "spoof.h"
#include "verdict.h"
#include "wire_length.h"

#ifndef PACKET_HOST
#define PACKET_HOST	 0
#define PACKET_BROADCAST 1
#define PACKET_MULTICAST 2
#define PACKET_OTHERHOST 3
#endif

enum way {
	WAY_STACK,
	WAY_POD, /* of this node */
	WAY_ENI,
};

static __always_inline bool forward_fits(struct __sk_buff *skb, const struct packet *packet,
					 const struct endpoint *to)
{
	return !(to->flags & ENDPOINT_SMALL_MTU) || wire_length(skb, packet) <= to->mtu;
}

/* The kernel's view of to whom a frame is follows from its MAC, which is stale when somebody
 * changed the device's. Multicast and broadcast never get here. */
static __always_inline void forward_is_ours(struct __sk_buff *skb)
{
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
}

/* One hop less. What a NIC summed over the whole packet stays right: in IPv4 the header's checksum
 * makes up for it, in IPv6 the sum is changed with it. */
static __always_inline void forward_hop(struct __sk_buff *skb, void *ip, bool v4)
{
	struct iphdr *ip4 = ip;
	struct ipv6hdr *ip6 = ip;
	__u32 check;

	if (!v4) {
		ip6->hop_limit--;
		bpf_csum_update(skb, bpf_htons(0xfffe)); /* -1 in the lower byte of a word */
		return;
	}
	/* RFC 1141: the TTL is the upper byte of its word. */
	check = ip4->check + bpf_htons(0x0100);
	ip4->check = check + (check >= 0xffff);
	ip4->ttl--;
}

/* As a router does: one hop less, and the MACs of the next link. Written in place: a helper's write
 * takes longer than the lookup of an endpoint. `macs`: both of them, or the destination alone. */
static __always_inline bool forward_write(struct __sk_buff *skb, const struct packet *packet,
					  const __u8 *macs, bool both)
{
	void *data = (void *)(long)skb->data;
	__u32 *word = data;
	__u16 *half = data;

	if (data + ETH_HLEN + sizeof(struct iphdr) > (void *)(long)skb->data_end)
		return false;
	word[0] = *(const __u32 *)macs;
	if (both)
		packet_copy_words(word + 1, macs + 4, 2);
	else
		half[2] = *(const __u16 *)(macs + 4);
	forward_hop(skb, data + ETH_HLEN, packet->ethertype == bpf_htons(ETH_P_IP));
	return true;
}

/* Behind the ENI's IPVLAN port: in at its ingress again, where its receiver finds the slave. */
static __always_inline int forward_turn(struct __sk_buff *skb, const struct endpoint *to)
{
	const struct config *config = settings();

	skb->mark = config ? config->turn_mark : 0;
	return bpf_redirect(to->ifindex, BPF_F_INGRESS);
}

/* The packet carries the pod's MAC already. A veth pod gets it straight into its namespace, where
 * the hook allows that, unless its bandwidth is limited. */
static __always_inline int forward_into_pod(struct __sk_buff *skb, const struct endpoint *to,
					    bool from_ingress, bool paced)
{
	if (to->flags & ENDPOINT_SHAPED_INGRESS && skb->mark != MARK_SHAPED_INGRESS) {
		skb->mark = MARK_SHAPED_INGRESS;
		return bpf_redirect(to->shaper_ingress, 0);
	}
	if (to->mode == MODE_IPVLAN)
		return forward_turn(skb, to);
	paced |= to->flags & ENDPOINT_PACED_INGRESS;
	if (from_ingress && !paced) {
		skb->mark = 0;
		return bpf_redirect_peer(to->ifindex, 0);
	}
	skb->mark = paced ? MARK_PACED : MARK_JUDGED;
	return bpf_redirect(to->ifindex, 0);
}

static __always_inline int forward_by_eni(struct __sk_buff *skb, const struct endpoint *from)
{
	const struct config *config;

	if (from->priority)
		skb->priority = from->priority;
	skb->mark = from->flags & ENDPOINT_PACED_EGRESS ? MARK_PACED : MARK_JUDGED;
	if (from->mode == MODE_IPVLAN) {
		config = settings();
		skb->mark = config ? config->turn_mark : 0;
	}
	return bpf_redirect(from->eni_ifindex, 0);
}

/* From where the stack does not get it by itself: behind an IPVLAN port. False where there is no
 * such device. */
static __always_inline bool forward_to_stack_device(struct __sk_buff *skb, __u32 *ifindex)
{
	const struct config *config = settings();
	__u8 mac[ETH_ALEN];

	if (!config || !config->stack_ifindex)
		return false;
	*ifindex = config->stack_ifindex;
	__builtin_memcpy(mac, config->stack_mac, sizeof(mac));
	skb->mark = 0;
	return !bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0);
}
