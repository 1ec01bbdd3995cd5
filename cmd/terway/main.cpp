// SPDX-License-Identifier: Apache-2.0
// The CNI plugin `terway`.
#include "plugin/plugin.h"

int main() { return terway::plugin::run(); }
