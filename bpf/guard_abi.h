/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard (guard.bpf.c) and the daemon (src/datapath/guard.h) share. Pinned under
 * /sys/fs/bpf/terway/guard/v<GUARD_ABI>/: whoever changes a layout raises GUARD_ABI.
 */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
namespace terway::guard_abi
{
#endif

#define GUARD_ABI 1

/* Value of `guard_spaces`; its key is the inode number of a network namespace. Namespaces that are
 * not in it are nobody's concern: what a pod makes inside itself, other nodes' on this machine. */
enum guard_role {
	GUARD_HOST = 1, /* the node's own: nobody in it is hindered */
	GUARD_POD,
};

struct guard_space {
	__u32 role; /* enum guard_role */
	__u32 pad;
	__u64 owner; /* whose pod it is: the daemon's business */
};

/* How a refused message reached beyond its namespace. */
enum guard_reach {
	GUARD_BY_ID = 1,  /* IFLA_LINK_NETNSID, IFLA_TARGET_NETNSID */
	GUARD_BY_PID,	  /* IFLA_NET_NS_PID */
	GUARD_BY_FD,	  /* IFLA_NET_NS_FD */
	GUARD_IPVLAN_SET, /* mode or flags of the parent's port */
	GUARD_IPVLAN_NEW, /* an IPVLAN on an IPVLAN */
};

/* A record of the ring buffer `guard_refusals`. */
struct guard_refusal {
	__u64 time; /* ns of CLOCK_MONOTONIC */
	__u32 pid;  /* in the machine's first pid namespace */
	__u32 reach;
	__u32 subject; /* inode of the pod's namespace */
	__u32 target;  /* of the one that it reached for */
	char program[16];
};

#ifdef __cplusplus
} /* namespace terway::guard_abi */
#endif
