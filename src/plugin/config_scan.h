// SPDX-License-Identifier: Apache-2.0
// The few strings of the network configuration that the plugin needs itself. The daemon parses the
// whole of it; here is no JSON library.
#pragma once

#include "plugin/text.h"

namespace terway::plugin {

// The text of the string value under a key of the outermost object; empty when there is none, when
// it is no string, or when it has a backslash (no path and no version of ours does).
Text find_string(Text json, Text key);

}  // namespace terway::plugin
