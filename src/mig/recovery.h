// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "gpu/driver_source.h"
#include "mig/apply.h"

namespace aliquot::mig {

// The journal of MIG changes in a directory for state.
std::string JournalPath(const std::string& state_dir);

// The right to change MIG on this node, held while the descriptor is open: one process at a time
// per state directory, which is made if it is missing. kFailedPrecondition if another has it.
Result<UniqueFd> LockMigChanges(const std::string& state_dir);

// Finishes an interrupted change, as Applier::Recover, whose errors these are. A change that was
// allowed to wait for a reboot goes on waiting if there was none. The caller holds the lock.
Result<ApplyReport> RecoverMigChanges(MigDriver& driver, JournalStore& journal, const Logger& log);

// A driver source that finishes an interrupted MIG change as soon as the driver is there, before
// anyone sees its GPUs, and after a reboot of the node creates again what was on them
// (boot_restore.h). A change that cannot be finished is logged and does not keep the driver back:
// the journal stays, and the next Load tries again. `log` must outlive it.
class RecoveringDriverSource final : public gpu::DriverSource {
 public:
  // `boot_id` names this boot of the node; empty if it is not known: then nothing is created again.
  RecoveringDriverSource(std::unique_ptr<gpu::DriverSource> inner, std::string state_dir,
                         std::string boot_id, const Logger& log)
      : inner_(std::move(inner)),
        state_dir_(std::move(state_dir)),
        boot_id_(std::move(boot_id)),
        log_(log) {}
  Result<std::unique_ptr<gpu::Driver>> Load() override;

 private:
  Status Recover(const gpu::Driver& driver);

  std::unique_ptr<gpu::DriverSource> inner_;
  std::string state_dir_;
  std::string boot_id_;
  const Logger& log_;
};

}  // namespace aliquot::mig
