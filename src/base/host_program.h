// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/status.h"

namespace aliquot {

// Runs a program where another process lives, and waits for it: with that one's mounts, network,
// IPC objects and host name, as a container runs programs of its host. `process` is its directory,
// "/proc/1" for the first process of the machine; empty: where this process lives. A program
// without a slash is looked up there, in the usual six directories. Its output goes to standard
// error.
//
// The status it ends with. An error if it could not be begun, with what that takes, or was killed;
// kDeadlineExceeded if that was done here, because it took longer than `timeout`. Entering needs
// CAP_SYS_ADMIN and CAP_SYS_CHROOT, and in a container hostPID: without it "/proc/1" is the
// container's own. Blocks as long as the program runs; thread-safe.
Result<int> RunOnHost(const std::string& process, const std::vector<std::string>& command,
                      std::chrono::milliseconds timeout);

}  // namespace aliquot
