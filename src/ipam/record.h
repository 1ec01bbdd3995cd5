// SPDX-License-Identifier: Apache-2.0
// The records that IPAM decides about, under the names that it uses. They are model's, for the
// journal keeps them.
#pragma once

#include "model/record.h"

namespace terway::ipam {

using model::address_state_from;
using model::AddressRecord;
using model::AddressState;
using model::Changes;
using model::eni_state_from;
using model::EniRecord;
using model::EniState;
using model::Operation;
using model::operation_kind_from;
using model::OperationKind;
using model::Snapshot;
using model::to_string;

}  // namespace terway::ipam
