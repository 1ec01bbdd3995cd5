// SPDX-License-Identifier: Apache-2.0
// terway-lab's command line.
#pragma once

namespace terway::lab {

// The program's exit status: 0, 1 for what failed, 2 for a wrong call.
int run_command_line(int argc, char** argv);

}  // namespace terway::lab
