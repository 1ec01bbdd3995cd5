// SPDX-License-Identifier: Apache-2.0
// vpcsim's command line: the server, and the commands that talk to a running one.
#pragma once

namespace terway::vpcsim {

// The program's exit status.
int run_command_line(int argc, char** argv);

}  // namespace terway::vpcsim
