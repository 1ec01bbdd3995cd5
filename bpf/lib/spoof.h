/* SPDX-License-Identifier: Apache-2.0 */
/* Who sent it? A pod may use its own MAC and addresses and nothing else, in Ethernet, IP, ARP and
 * neighbour discovery alike. What a pod's kernel sends by itself (duplicate address detection,
 * solicitations, multicast reports) is no claim. */
#pragma once

#include "arp.h"
#include "maps.h"
#include "nd.h"
#include "related.h"
#include "transport.h"

/* The device at which a pod's packets are judged. */
enum place {
	PLACE_HOST_END, /* of a veth pair, or of the peer of an exclusive ENI's pod */
	PLACE_PARENT,	/* an ENI in IPVLAN mode */
	PLACE_NIC,	/* an exclusive ENI, in the pod's namespace */
};

struct origin {
	enum place place;
	__u32 ifindex;
	__u32 netns; /* PLACE_PARENT: of the slave that sent it */
};

static __always_inline bool origin_is(const struct origin *origin, const struct endpoint *endpoint)
{
	if (!endpoint || endpoint->kind != ENDPOINT_POD)
		return false;
	switch (origin->place) {
	case PLACE_HOST_END:
		return endpoint->mode == MODE_VETH ? endpoint->ifindex == origin->ifindex
		       : endpoint->mode == MODE_EXCLUSIVE
			       ? endpoint->peer_ifindex == origin->ifindex
			       : false;
	case PLACE_PARENT:
		return endpoint->mode == MODE_IPVLAN && endpoint->ifindex == origin->ifindex &&
		       endpoint->netns == origin->netns;
	case PLACE_NIC:
		return endpoint->mode == MODE_EXCLUSIVE && endpoint->ifindex == origin->ifindex;
	}
	return false;
}

/* Of an endpoint that is here. */
static __always_inline bool origin_has_mac(const struct origin *origin,
					   const struct endpoint *endpoint, const __u8 *mac)
{
	if (origin->place == PLACE_HOST_END && endpoint->mode == MODE_EXCLUSIVE)
		return mac_equal(endpoint->peer_mac, mac);
	return mac_equal(endpoint->mac, mac);
}

/* May the pod claim that this address is at this MAC? */
static __always_inline enum drop_reason spoof_claim(const struct origin *origin,
						    const struct ip_address *address,
						    const __u8 *mac, enum drop_reason otherwise)
{
	const struct endpoint *endpoint = find_endpoint(address);

	if (!origin_is(origin, endpoint))
		return otherwise;
	return origin_has_mac(origin, endpoint, mac) ? DROP_NONE : DROP_SPOOFED_MAC;
}

/* A sender of 0.0.0.0 claims nothing (RFC 5227 2.1.1), but what it asks for tells whose it is only
 * where that is its own. */
static __noinline enum drop_reason spoof_arp(struct __sk_buff *skb, struct packet *packet,
					     const struct origin *origin)
{
	struct arp_ipv4 arp;
	struct ip_address sender;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) || !arp_is_ipv4(&arp))
		return DROP_MALFORMED;
	sender = packet->source = arp_address(arp.sender);
	packet->destination = arp_address(arp.target);
	if (!mac_equal(arp.sender_mac, packet->mac_source))
		return DROP_SPOOFED_ARP;
	if (address_is_unspecified(&sender))
		return arp.operation == bpf_htons(ARPOP_REQUEST) ? DROP_NONE : DROP_SPOOFED_ARP;
	return spoof_claim(origin, &sender, packet->mac_source, DROP_SPOOFED_ARP);
}

/* The gateway of veth pods, fe80::1: the host end has it. */
static __always_inline bool address_is_v6_gateway(const struct ip_address *a)
{
	return a->word[0] == bpf_htonl(0xfe800000) && !a->word[1] && !a->word[2] &&
	       a->word[3] == bpf_htonl(1);
}

/* An own address: global, then it is in the map; link-local, then anything but the gateway's. */
static __always_inline enum drop_reason spoof_nd_target(const struct origin *origin,
							const struct packet *packet,
							const struct ip_address *target)
{
	if (address_is_v6_link_local(target))
		return address_is_v6_gateway(target) ? DROP_SPOOFED_ND : DROP_NONE;
	return spoof_claim(origin, target, packet->mac_source, DROP_SPOOFED_ND);
}

/* Is every link-layer address among the options that of the frame? Linux sends two options at most;
 * more than are looked at here could hide one. */
static __always_inline bool spoof_nd_options(struct __sk_buff *skb, const struct packet *packet,
					     __u32 at)
{
	for (int i = 0; i < 6; i++) {
		struct nd_mac_option option;

		if (bpf_skb_load_bytes(skb, at, &option, sizeof(option)) || !option.length)
			return true;
		if ((option.type == ND_OPTION_SOURCE_MAC || option.type == ND_OPTION_TARGET_MAC) &&
		    !mac_equal(option.mac, packet->mac_source))
			return false;
		at += option.length * 8;
	}
	return false;
}

/* The IP source was checked before. */
static __noinline enum drop_reason spoof_nd(struct __sk_buff *skb, const struct packet *packet,
					    const struct origin *origin)
{
	struct nd_neighbour neighbour;
	bool solicitation = packet->icmp_type == ND_NEIGHBOUR_SOLICITATION;

	if (packet->hops != ND_HOP_LIMIT || packet->fragment)
		return DROP_MALFORMED;
	if (packet->icmp_type == ND_ROUTER_SOLICITATION)
		return spoof_nd_options(skb, packet, packet->transport_offset + sizeof(struct icmp))
			       ? DROP_NONE
			       : DROP_SPOOFED_ND;
	if (!solicitation && packet->icmp_type != ND_NEIGHBOUR_ADVERTISEMENT)
		return DROP_SPOOFED_ND;
	if (bpf_skb_load_bytes(skb, packet->transport_offset, &neighbour, sizeof(neighbour)))
		return DROP_MALFORMED;
	if (!spoof_nd_options(skb, packet, packet->transport_offset + sizeof(neighbour)))
		return DROP_SPOOFED_ND;
	if (solicitation && !address_is_unspecified(&packet->source))
		return DROP_NONE;
	return spoof_nd_target(origin, packet, &neighbour.target);
}

/* `source` is the pod that sent it; NULL for what stays on the link (`::`, fe80::). */
static __always_inline enum drop_reason
spoof_ip(const struct packet *packet, const struct origin *origin, const struct endpoint **source)
{
	const struct endpoint *endpoint = find_endpoint(&packet->source);

	*source = 0;
	if (origin_is(origin, endpoint)) {
		*source = endpoint;
		return origin_has_mac(origin, endpoint, packet->mac_source) ? DROP_NONE
									    : DROP_SPOOFED_MAC;
	}
	if (address_is_unspecified(&packet->source) && address_is_multicast(&packet->destination))
		return DROP_NONE;
	if (address_is_v6_link_local(&packet->source) &&
	    (address_is_multicast(&packet->destination) ||
	     address_is_v6_link_local(&packet->destination)))
		return DROP_NONE;
	return DROP_SPOOFED_IP;
}
