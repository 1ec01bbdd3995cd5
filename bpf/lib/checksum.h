/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum (RFC 1071) of what a program builds itself. */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* From the sum that bpf_csum_diff() returns. */
static __always_inline __sum16 checksum_fold(__wsum sum)
{
	__u32 folded = (__u32)sum;

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return (__sum16)~folded;
}

/* `bytes` is a multiple of 4, at most 512. */
static __always_inline __wsum checksum_add(__wsum sum, const void *data, __u32 bytes)
{
	return (__wsum)bpf_csum_diff(0, 0, (__be32 *)data, bytes, sum);
}
