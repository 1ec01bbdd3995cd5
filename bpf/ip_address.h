/* SPDX-License-Identifier: Apache-2.0 */
/* An address of either family in the maps of all programs: 16 bytes in network order, IPv4
 * v4-mapped (RFC 4291 2.5.5.2).
 */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
namespace terway::abi
{
#endif

struct ip_address {
	__be32 word[4];
};

#ifdef __cplusplus
static_assert(sizeof(ip_address) == 16);
} /* namespace terway::abi */
#else
_Static_assert(sizeof(struct ip_address) == 16, "an address is 16 bytes");
#endif
