// SPDX-License-Identifier: Apache-2.0
#include "model/attachment.h"

namespace terway::model {

std::string_view to_string(AttachmentState state) {
  switch (state) {
    case AttachmentState::Intent:
      return "Intent";
    case AttachmentState::Wired:
      return "Wired";
    case AttachmentState::Removing:
      return "Removing";
  }
  return "?";
}

std::optional<AttachmentState> attachment_state_from(std::string_view text) {
  for (const auto state :
       {AttachmentState::Intent, AttachmentState::Wired, AttachmentState::Removing}) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

}  // namespace terway::model
