// SPDX-License-Identifier: Apache-2.0
// What the plugin itself says on standard output, where the daemon has no part in it.
#pragma once

#include "cni/command.h"
#include "plugin/text.h"

namespace terway::plugin {

// cniVersion of the configuration when it looks like one, else the newest we speak.
Text spoken_version(Text config);

// A CNI error object (SPEC 1.1.0, "Error").
using ErrorText = Buffer<8192>;
void write_error(ErrorText& into, Text version, cni::Code code, Text message, Text details);

// Prints it and returns the exit status.
int fail(Text version, cni::Code code, Text message, Text details);

// VERSION's answer.
int print_versions(Text version);

// What the system says about an error number.
Text system_message(int error_number);

// All of it to a descriptor; false when the reader is gone.
bool write_all(int fd, Text text);

}  // namespace terway::plugin
