// SPDX-License-Identifier: Apache-2.0
// This instance's ENIs as the cloud knows them: `terway-cli eni list|delete`. For a node whose
// daemon is gone for good; while it runs, it alone decides about its ENIs.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/account.h"
#include "cli/commands.h"

namespace terway::cli {

// Of this instance, by the metadata service.
Result<std::string> list_cloud_enis(Account& account, const Output& output);

// Detaches and deletes them, and waits until they are gone. All are checked first, and none is
// touched unless each is a secondary ENI of this instance that carries the tag of our making
// (Invalid names the first that is not) and no running daemon has it (`managed`: the ids that it
// listed).
Result<std::string> delete_cloud_enis(Account& account, const std::vector<std::string>& ids,
                                      const std::vector<std::string>& managed,
                                      const Output& output);

}  // namespace terway::cli
