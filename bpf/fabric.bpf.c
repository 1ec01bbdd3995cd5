// SPDX-License-Identifier: Apache-2.0
/* The VPC between the nodes: runs at clsact ingress of every port, a port being the fabric's end of
 * an ENI's veth. Frames that claim what is not of their ENI are dropped and counted, ARP and ND are
 * answered, and the rest goes to the ENI that owns its destination. No host stack, no bridge.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "lib/fabric_maps.h"
#include "lib/fabric_arp.h"
#include "lib/fabric_nd.h"
#include "lib/fabric_echo.h"
#include "lib/fabric_path_mtu.h"

/* May this ENI send from that address? `::` and fe80:: are nobody's and go nowhere: they pass where
 * they stay on the link (multicast, and what the gateway or ND answers); likewise 0.0.0.0, which
 * only multicast and broadcast may come from. */
static __always_inline bool source_is_genuine(struct __sk_buff *skb, const struct fabric_port *port,
					      const struct packet *packet, bool on_link)
{
	if (fabric_owns(skb, port, &packet->source))
		return true;
	if (address_is_unspecified(&packet->source))
		return address_is_multicast(&packet->destination);
	return address_is_v6_link_local(&packet->source) && on_link;
}

static __always_inline enum fabric_verdict forward(struct __sk_buff *skb,
						   const struct fabric_port *port,
						   const struct packet *packet, __u32 *to)
{
	const struct fabric_owner *owner = fabric_find_owner(port, &packet->destination);
	__u8 mac[ETH_ALEN];

	if (!owner)
		return FABRIC_NO_DESTINATION;
	if (path_mtu_exceeded(skb, packet))
		return path_mtu_answer(skb, port, packet) ? FABRIC_TOO_BIG : FABRIC_MALFORMED;
	*to = owner->port;
	__builtin_memcpy(mac, owner->mac, ETH_ALEN);
	if (!packet_set_macs(skb, mac, fabric_gateway_mac))
		return FABRIC_MALFORMED;
	return *to == skb->ifindex ? FABRIC_HAIRPINNED : FABRIC_FORWARDED;
}

static __always_inline enum fabric_verdict ip(struct __sk_buff *skb, const struct fabric_port *port,
					      const struct packet *packet, struct cursor *cursor,
					      __u32 *to)
{
	bool to_gateway = address_equal(&packet->destination, &port->gateway_v4) ||
			  (address_equal(&packet->destination, &port->gateway_v6) &&
			   !address_is_unspecified(&port->gateway_v6));
	bool multicast = address_is_multicast(&packet->destination);
	__u8 type = 0; /* of ICMP and ICMPv6 */
	bool nd;

	if (cursor->at + 1 <= cursor->end)
		type = *(__u8 *)cursor->at;
	nd = nd_is(packet, type);
	if (!source_is_genuine(skb, port, packet, nd || multicast || to_gateway))
		return FABRIC_SPOOFED_IP;
	if (nd)
		return fabric_nd(skb, port, packet, cursor, type);
	if (multicast)
		return FABRIC_ABSORBED;
	if (!mac_equal(packet->mac_destination, fabric_gateway_mac))
		return FABRIC_WRONG_NEXT_HOP;
	if (to_gateway && echo_is_request(packet, type))
		return echo_answer(skb, packet) ? FABRIC_ANSWERED_ECHO : FABRIC_MALFORMED;
	return forward(skb, port, packet, to);
}

/* `to`: the port by which it leaves; set to where it came from by whoever answers. */
static __always_inline enum fabric_verdict judge(struct __sk_buff *skb,
						 const struct fabric_port *port, __u32 *to)
{
	struct cursor cursor = cursor_of(skb);
	struct packet packet = {};

	if (!packet_parse_ethernet(&cursor, &packet))
		return FABRIC_MALFORMED;
	if (!mac_equal(packet.mac_source, port->mac))
		return FABRIC_SPOOFED_MAC;
	if (packet.ethertype == bpf_htons(ETH_P_ARP))
		return fabric_arp(skb, port, &cursor);
	if (packet.ethertype == bpf_htons(ETH_P_IP)) {
		if (!packet_parse_ipv4(&cursor, &packet))
			return FABRIC_MALFORMED;
	} else if (packet.ethertype == bpf_htons(ETH_P_IPV6)) {
		if (!packet_parse_ipv6(&cursor, &packet))
			return FABRIC_MALFORMED;
	} else {
		return FABRIC_NOT_CARRIED;
	}
	return ip(skb, port, &packet, &cursor, to);
}

/* The one way out. A port that is not in the map is none of ours. */
SEC("tc")
int fabric_ingress(struct __sk_buff *skb)
{
	__u32 from = skb->ifindex, to = from;
	__u32 packets = skb->gso_segs ? skb->gso_segs : 1, bytes = skb->len;
	struct fabric_port *port = bpf_map_lookup_elem(&fabric_ports, &from);
	__u32 verdict;

	if (!port)
		return TC_ACT_SHOT;
	verdict = judge(skb, port, &to);
	/* One register for the check and the use: 5.10 does not relate copies of a scalar. */
	asm volatile("" : "+r"(verdict));
	if (verdict >= FABRIC_VERDICTS)
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&port->counts[verdict].packets, packets);
	__sync_fetch_and_add(&port->counts[verdict].bytes, bytes);
	return verdict <= FABRIC_LAST_SENT ? bpf_redirect(to, 0) : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Apache-2.0";
