// SPDX-License-Identifier: Apache-2.0
#include "vpcsim/command_line.h"

int main(int argc, char** argv) { return terway::vpcsim::run_command_line(argc, argv); }
