// SPDX-License-Identifier: Apache-2.0
// terway-lab: a cluster on this machine.
#include "lab/command_line.h"

int main(int argc, char** argv) { return terway::lab::run_command_line(argc, argv); }
