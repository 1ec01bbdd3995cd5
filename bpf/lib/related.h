/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors belong to the flow of the packet that they quote, and pass where it may: without them
 * there is no path MTU discovery. */
#pragma once

#include "flow.h"

#define ICMP_REDIRECT	       5
#define ICMP_TIME_EXCEEDED     11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMPV6_ERROR_MAX       4 /* 1 to 4 are errors */

static __always_inline bool icmp_is_error(const struct packet *packet)
{
	__u8 type = packet->icmp_type;

	if (packet->fragment_offset || !transport_is_icmp(packet))
		return false;
	if (packet->ethertype == bpf_htons(ETH_P_IP))
		return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED ||
		       type == ICMP_PARAMETER_PROBLEM;
	return type && type <= ICMPV6_ERROR_MAX;
}

static __always_inline bool related_quoted_ip(struct __sk_buff *skb, __u32 at,
					      struct packet *quoted)
{
	if (quoted->ethertype == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
			return false;
		quoted->transport = ip.protocol;
		quoted->transport_offset = at + ip.ihl * 4;
		quoted->source = address_from_v4(ip.saddr);
		quoted->destination = address_from_v4(ip.daddr);
		return !(bpf_ntohs(ip.frag_off) & IP_OFFSET);
	}
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 6)
		return false;
	quoted->transport = ip.nexthdr;
	quoted->transport_offset = at + sizeof(ip);
	quoted->source = address_from_v6(&ip.saddr);
	quoted->destination = address_from_v6(&ip.daddr);
	return transport_skip_extensions(skb, quoted) && !quoted->fragment_offset;
}

static __noinline enum drop_reason related_find(struct __sk_buff *skb, const struct packet *packet,
						__u32 *flags)
{
	struct packet quoted = {.ethertype = packet->ethertype};
	const struct flow *flow;
	__be16 ports[4]; /* or the first half of ICMP: the identifier is the third */
	struct flow_key key;

	if (!related_quoted_ip(skb, packet->transport_offset + sizeof(struct icmp), &quoted) ||
	    !address_equal(&quoted.source, &packet->destination) ||
	    bpf_skb_load_bytes(skb, quoted.transport_offset, ports, sizeof(ports)))
		return DROP_NO_FLOW;
	if (transport_has_ports(quoted.transport)) {
		quoted.source_port = ports[0];
		quoted.destination_port = ports[1];
	} else if (transport_is_icmp(&quoted) && icmp_is_echo(&quoted, bpf_ntohs(ports[0]) >> 8)) {
		quoted.source_port = quoted.destination_port = ports[2];
	}
	flow_key_of(&quoted, &key);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow)
		return DROP_NO_FLOW;
	*flags = flow->flags;
	return DROP_NONE;
}
