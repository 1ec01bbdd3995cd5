/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of 16 bytes, IPv4 v4-mapped: one path for both families. */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../ip_address.h"

static __always_inline struct ip_address address_from_v4(__be32 v4)
{
	struct ip_address address = {{0, 0, bpf_htonl(0xffff), v4}};

	return address;
}

static __always_inline struct ip_address address_from_v6(const void *sixteen)
{
	const __be32 *word = sixteen;
	struct ip_address address = {{word[0], word[1], word[2], word[3]}};

	return address;
}

static __always_inline bool address_equal(const struct ip_address *a, const struct ip_address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

static __always_inline bool address_is_v4(const struct ip_address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == bpf_htonl(0xffff);
}

/* 0.0.0.0 or :: */
static __always_inline bool address_is_unspecified(const struct ip_address *a)
{
	return !a->word[0] && !a->word[1] && !a->word[3] &&
	       (!a->word[2] || a->word[2] == bpf_htonl(0xffff));
}

/* 169.254.0.0/16, fe80::/10: ends at the router. */
static __always_inline bool address_is_link_local(const struct ip_address *a)
{
	if (address_is_v4(a))
		return (a->word[3] & bpf_htonl(0xffff0000)) == bpf_htonl(0xa9fe0000);
	return (a->word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* fe80::/10. Its IPv4 counterpart has no special standing in a VPC. */
static __always_inline bool address_is_v6_link_local(const struct ip_address *a)
{
	return (a->word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* 224.0.0.0/4, 255.255.255.255, ff00::/8 */
static __always_inline bool address_is_multicast(const struct ip_address *a)
{
	if (address_is_v4(a))
		return (a->word[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) ||
		       a->word[3] == 0xffffffff;
	return (a->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}
