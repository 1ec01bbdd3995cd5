// SPDX-License-Identifier: Apache-2.0
// terwayd: the daemon on each node.
#include "agent/command_line.h"

int main(int argc, char** argv) { return terway::agent::run_command_line(argc, argv); }
