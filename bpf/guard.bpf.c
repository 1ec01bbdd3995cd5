// SPDX-License-Identifier: Apache-2.0
/* Keeps pods with NET_ADMIN inside their own network namespace. In the machine's first user
 * namespace the kernel lets such a pod make, move and delete links of any namespace that it can
 * name, and those that its links have a peer in, the node's among them, it can name by a small
 * number (IFLA_LINK_NETNSID, IFLA_TARGET_NETNSID).
 *
 * Nothing here reads netlink messages: wherever in a message or a batch a namespace is named, the
 * kernel looks it up by one of three functions and then asks for CAP_NET_ADMIN in it. So a lookup
 * that leads from a pod to the node or to another pod is noted (fexit), and the capability is
 * refused to who has such a note (lsm). Before 6.13 the kernel does not ask after it has looked up
 * where a new veth's peer goes; there the peer's entry in sysfs is refused, and with it the peer.
 *
 * Who is a pod? A message through a socket of a pod's namespace, whoever sends it: names by number
 * need no permission, and the host's tools do not use them. A descriptor of a namespace is a
 * permission of its own, which CNI plugins use from within pods; so those are refused only to
 * processes that became what they are (exec) inside a pod, and to their children, wherever these
 * have gone since (setns, unshare).
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/errno.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "guard_abi.h"

/* Of what the kernel hands them, these programs read what they need. */
#pragma clang diagnostic ignored "-Wunused-parameter"

char LICENSE[] SEC("license") = "GPL";

/* As far as they are read here; offsets are found when this is loaded. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common {
	unsigned int inum;
};
struct net {
	struct ns_common ns;
};
struct nsproxy {
	struct net *net_ns;
};
struct task_struct {
	struct nsproxy *nsproxy;
	int tgid;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct sock_common {
	possible_net_t skc_net;
};
struct sock {
	struct sock_common __sk_common;
};
struct sk_buff {
	struct sock *sk;
};
#pragma clang attribute pop

struct cred;
struct kernfs_node;
struct linux_binprm;
struct user_namespace;

/* What is known of a task. */
struct guard_task {
	__u32 home;    /* the pod's namespace in which it, or its ancestor, became a program */
	__u32 subject; /* while it sends netlink messages: the pod on whose behalf */
	__u32 reach;   /* enum guard_reach: what it is to be refused for; 0: nothing */
	__u32 target;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct guard_space);
	__uint(max_entries, 16384);
} guard_spaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct guard_task);
} guard_tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} guard_refusals SEC(".maps");

/* The daemon's pid while it finds out whether the kernel asks BPF at all (`bpf` in its list of
 * LSMs): the answer is `asked`. */
__u32 asker;
__u32 asked;

static __always_inline struct guard_task *own_state(__u64 flags)
{
	return bpf_task_storage_get(&guard_tasks, bpf_get_current_task_btf(), NULL, flags);
}

static __always_inline __u32 role_of(__u32 inum)
{
	struct guard_space *space = bpf_map_lookup_elem(&guard_spaces, &inum);

	return space ? space->role : 0;
}

/* --- who ------------------------------------------------------------------------------------- */

SEC("lsm/bprm_committed_creds")
int BPF_PROG(guard_exec, const struct linux_binprm *bprm)
{
	__u32 inum = bpf_get_current_task_btf()->nsproxy->net_ns->ns.inum;
	struct guard_task *task;

	if (role_of(inum) != GUARD_POD)
		return 0;
	task = own_state(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (task && !task->home)
		task->home = inum;
	return 0;
}

SEC("lsm/task_alloc")
int BPF_PROG(guard_fork, struct task_struct *child, unsigned long clone_flags, int ret)
{
	struct guard_task *parent = own_state(0);
	struct guard_task *task;

	if (ret || !parent || !parent->home)
		return ret;
	task = bpf_task_storage_get(&guard_tasks, child, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!task)
		return -ENOMEM;
	task->home = parent->home;
	return 0;
}

/* --- what it reaches for --------------------------------------------------------------------- */

SEC("fentry/netlink_rcv_skb")
int BPF_PROG(guard_netlink, struct sk_buff *skb)
{
	struct guard_task *task = own_state(0);
	__u32 subject;

	if (task && task->home) {
		subject = task->home;
	} else {
		subject = skb->sk->__sk_common.skc_net.net->ns.inum;
		if (role_of(subject) != GUARD_POD)
			return 0;
		task = own_state(BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!task)
			return 0;
	}
	task->reach = 0;
	task->subject = subject;
	return 0;
}

SEC("fexit/netlink_rcv_skb")
int BPF_PROG(guard_netlink_done)
{
	struct guard_task *task = own_state(0);

	if (task) {
		task->subject = 0;
		task->reach = 0;
	}
	return 0;
}

static __always_inline int looked_up(struct net *net, enum guard_reach reach)
{
	struct guard_task *task = own_state(0);
	__u32 target;

	if (!task || !task->subject)
		return 0;
	/* The holder of a descriptor was allowed to open it; see above. */
	if (reach == GUARD_BY_FD && !task->home)
		return 0;
	target = net->ns.inum;
	if (target == task->subject || !role_of(target))
		return 0;
	task->reach = reach;
	task->target = target;
	return 0;
}

SEC("fexit/get_net_ns_by_id")
int BPF_PROG(guard_by_id, const struct net *net, int id, struct net *found)
{
	return looked_up(found, GUARD_BY_ID);
}

SEC("fexit/get_net_ns_by_pid")
int BPF_PROG(guard_by_pid, int pid, struct net *found)
{
	return looked_up(found, GUARD_BY_PID);
}

SEC("fexit/get_net_ns_by_fd")
int BPF_PROG(guard_by_fd, int fd, struct net *found)
{
	return looked_up(found, GUARD_BY_FD);
}

/* --- no -------------------------------------------------------------------------------------- */

static __always_inline int judge(void)
{
	struct guard_task *task = own_state(0);
	struct guard_refusal *refusal;

	if (!task || !task->reach)
		return 0;
	refusal = bpf_ringbuf_reserve(&guard_refusals, sizeof(*refusal), 0);
	if (refusal) {
		refusal->time = bpf_ktime_get_ns();
		refusal->pid = bpf_get_current_pid_tgid() >> 32;
		refusal->reach = task->reach;
		refusal->subject = task->subject;
		refusal->target = task->target;
		bpf_get_current_comm(refusal->program, sizeof(refusal->program));
		bpf_ringbuf_submit(refusal, 0);
	}
	return -EPERM;
}

SEC("lsm/capable")
int BPF_PROG(guard_capable, const struct cred *cred, struct user_namespace *ns, int cap,
	     unsigned int opts, int ret)
{
	if (ret || cap != CAP_NET_ADMIN)
		return ret;
	if (asker && asker == (__u32)(bpf_get_current_pid_tgid() >> 32))
		asked = 1;
	return judge();
}

SEC("lsm/kernfs_init_security")
int BPF_PROG(guard_kernfs, struct kernfs_node *directory, struct kernfs_node *node, int ret)
{
	return ret ? ret : judge();
}
