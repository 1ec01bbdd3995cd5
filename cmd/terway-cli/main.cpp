// SPDX-License-Identifier: Apache-2.0
// terway-cli: the operator's shell.
#include "cli/cli.h"

int main(int argc, char** argv) { return terway::cli::run(argc, argv); }
