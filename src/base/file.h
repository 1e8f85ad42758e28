// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace aliquot {

// The whole file. kNotFound if it does not exist, kResourceExhausted above `max_bytes`.
Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes = 16u << 20);
// Replaces `path` in one step: readers see the old content or the new, never a part. The directory
// must exist. `mode` is the permission bits of the new file, not subject to the umask.
Status WriteFileAtomically(const std::string& path, std::string_view content, unsigned mode = 0644);
// As WriteFileAtomically, and on return the new content survives a loss of power: file and
// directory have reached the disk. Slow (a disk may take tens of milliseconds); for what others
// build on.
Status WriteFileDurably(const std::string& path, std::string_view content, unsigned mode = 0644);
// Makes creations, renames and removals in `directory` survive a loss of power.
Status SyncDirectory(const std::string& directory);
// "what: No such file or directory" with a code that fits errno.
Error ErrnoError(std::string_view what, int error_number);

}  // namespace aliquot
