// SPDX-License-Identifier: Apache-2.0
#include "model/record.h"

#include <array>

namespace terway::model {

namespace {

template <class Value>
struct Word {
  Value value;
  std::string_view text;
};

constexpr std::array<Word<EniState>, 10> kEniStates{{
    {EniState::Creating, "Creating"},
    {EniState::Created, "Created"},
    {EniState::Attaching, "Attaching"},
    {EniState::Attached, "Attached"},
    {EniState::NicSeen, "NicSeen"},
    {EniState::Ready, "Ready"},
    {EniState::Draining, "Draining"},
    {EniState::Detaching, "Detaching"},
    {EniState::Deleting, "Deleting"},
    {EniState::Gone, "Gone"},
}};

constexpr std::array<Word<AddressState>, 5> kAddressStates{{
    {AddressState::Idle, "Idle"},
    {AddressState::Held, "Held"},
    {AddressState::Cooling, "Cooling"},
    {AddressState::Releasing, "Releasing"},
    {AddressState::Suspect, "Suspect"},
}};

constexpr std::array<Word<OperationKind>, 10> kOperationKinds{{
    {OperationKind::CreateEni, "CreateEni"},
    {OperationKind::AttachEni, "AttachEni"},
    {OperationKind::DetachEni, "DetachEni"},
    {OperationKind::DeleteEni, "DeleteEni"},
    {OperationKind::AssignIpv4, "AssignIpv4"},
    {OperationKind::UnassignIpv4, "UnassignIpv4"},
    {OperationKind::AssignIpv6, "AssignIpv6"},
    {OperationKind::UnassignIpv6, "UnassignIpv6"},
    {OperationKind::DescribeEni, "DescribeEni"},
    {OperationKind::DescribeVSwitch, "DescribeVSwitch"},
}};

template <class Value, std::size_t Size>
std::string_view text_of(const std::array<Word<Value>, Size>& words, Value value) {
  for (const auto& word : words) {
    if (word.value == value) return word.text;
  }
  return "?";
}

template <class Value, std::size_t Size>
std::optional<Value> value_of(const std::array<Word<Value>, Size>& words, std::string_view text) {
  for (const auto& word : words) {
    if (word.text == text) return word.value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(EniState state) { return text_of(kEniStates, state); }
std::optional<EniState> eni_state_from(std::string_view text) { return value_of(kEniStates, text); }

std::string_view to_string(AddressState state) { return text_of(kAddressStates, state); }
std::optional<AddressState> address_state_from(std::string_view text) {
  return value_of(kAddressStates, text);
}

std::string_view to_string(OperationKind kind) { return text_of(kOperationKinds, kind); }
std::optional<OperationKind> operation_kind_from(std::string_view text) {
  return value_of(kOperationKinds, text);
}

}  // namespace terway::model
