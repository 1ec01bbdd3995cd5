/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP (RFC 792) and ICMPv6 (RFC 4443). Their first eight bytes are laid out alike. <linux/icmp.h>
 * drags in the C library's sockets. */
#pragma once

#include <linux/types.h>

#define ICMP_ECHO_REPLY	      0
#define ICMP_UNREACHABLE      3
#define ICMP_FRAGMENTATION    4 /* the code of an ICMP_UNREACHABLE: fragmentation needed */
#define ICMP_ECHO	      8
#define ICMPV6_PACKET_TOO_BIG 2
#define ICMPV6_ECHO	      128
#define ICMPV6_ECHO_REPLY     129

struct icmp {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 rest; /* the MTU of "too big": all of it in ICMPv6, the lower half in ICMP */
};
