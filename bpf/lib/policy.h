/* SPDX-License-Identifier: Apache-2.0 */
/* May this flow be? Asked once for a flow, and again when the rules of one of its ends have changed
 * since. An end is NULL where it is no pod of this node: its rules are another node's business. */
#pragma once

#include <stdbool.h>

#include "maps.h"
#include "packet.h"

/* An end without rules is open. A number of rules that nothing here knows is closed. */
static __always_inline bool policy_allows(const struct endpoint *initiator,
					  const struct endpoint *responder)
{
	return !(initiator && initiator->rules_egress) && !(responder && responder->rules_ingress);
}

static __always_inline __u32 policy_epoch(const struct endpoint *end)
{
	return end ? end->epoch : 0;
}

/* Was the flow allowed by rules that are still in force? */
static __always_inline bool policy_is_current(const struct flow *flow,
					      const struct endpoint *initiator,
					      const struct endpoint *responder)
{
	return (!initiator || flow->epoch_egress == initiator->epoch) &&
	       (!responder || flow->epoch_ingress == responder->epoch);
}
