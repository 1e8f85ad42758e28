// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "mig/apply.h"

namespace aliquot::mig {

// The layout that a node was given, kept for its next boot: a checkpoint, with the boot in which it
// was true ("BootId", which others ignore). MIG devices do not outlive a reboot, nor does the mode
// from Hopper on.

std::string LayoutPath(const std::string& state_dir);

// Names this boot of the machine below `root`, "" being this one's. Empty if it does not tell.
std::string BootId(const std::string& root);

// Remembers what `gpus` have now. Writes only what is new.
Status RememberLayout(const std::string& state_dir, const std::string& boot_id,
                      const std::vector<GpuMigState>& gpus);
// Nothing is to be created again. Success also if nothing was remembered.
Status ForgetLayout(const std::string& state_dir);

// Whether a layout is remembered from another boot than this one.
bool RestoreIsDue(const std::string& state_dir, const std::string& boot_id);

// Creates again what a reboot took, once per boot. GPUs that have instances by now are left alone,
// for somebody made them since, and so are those of `recovered`. A GPU that cannot get its layout
// keeps what it has, which is logged. Fails if the file or the driver cannot be read. The caller
// holds the lock of MIG changes.
Status RestoreLayout(MigDriver& driver, JournalStore& journal, const std::string& state_dir,
                     const std::string& boot_id, const ApplyReport& recovered, const Logger& log);

}  // namespace aliquot::mig
