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
// "what: No such file or directory" with a code that fits errno.
Error ErrnoError(std::string_view what, int error_number);

}  // namespace aliquot
