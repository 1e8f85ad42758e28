// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"

namespace aliquot::agent {

// The reboot that was last ordered for a change of the MIG mode: for which label, and in which
// boot. Kept in the state directory, so that a mode that did not change does not cause a second.

// Returns once it survives a crash.
Status RecordReboot(const std::string& state_dir, const std::string& boot_id,
                    const std::string& label);
bool HasRebootRecord(const std::string& state_dir);
// The label, if the node did reboot since; else empty.
std::string RebootedFor(const std::string& state_dir, const std::string& boot_id);
void RemoveRebootRecord(const std::string& state_dir);

}  // namespace aliquot::agent
