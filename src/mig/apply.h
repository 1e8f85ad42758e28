// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "mig/checkpoint.h"
#include "mig/driver.h"
#include "mig/planner.h"

namespace aliquot::mig {

struct ApplyOptions {
  // Whether a GPU may be reset for a change of the MIG mode (Ampere).
  bool allow_reset = true;
  // Whether a mode change may be left waiting for a reboot where a reset is impossible. If not, it
  // is taken back.
  bool allow_reboot = false;
};

// How it ended for one GPU. It has the layout that the report says.
enum class GpuOutcome {
  kUnchanged,    // had nothing to do
  kDone,         // has the new layout
  kRolledBack,   // failed; has the layout it had before
  kRefused,      // failed before anything was touched
  kNeedsReboot,  // MIG mode changes at the next reboot; the rest then
  kStuck,        // failed, and so did the way back: has neither layout, `layout` says which
  kUnknown,      // failed, and the driver no longer says what the GPU has
};

struct GpuReport {
  std::string gpu;  // UUID
  GpuOutcome outcome = GpuOutcome::kUnchanged;
  std::string reason;            // why it failed or waits; empty for kUnchanged and kDone
  std::optional<Layout> layout;  // the GPU's now; absent if it cannot be read
};

struct ApplyReport {
  std::vector<GpuReport> gpus;
  std::vector<std::string> warnings;

  // Every GPU has what it should.
  bool done() const;
  bool needs_reboot() const;
  // Whether an unfinished change is left for Recover.
  bool unfinished() const;
};

// Carries out plans, GPU by GPU: a GPU either gets its new layout or keeps (or gets back) its old
// one; the failure of one does not stop the others. After every step the GPU is read again, so a
// step counts only if the GPU shows it. Before the first step the journal is saved, so an
// interrupted change is completed or undone by Recover at the next start. Not thread-safe; blocks
// as long as the driver's calls do. Borrows everything it is given.
class Applier {
 public:
  Applier(MigDriver& driver, JournalStore& journal, const Logger& log, ApplyOptions options)
      : driver_(driver), store_(journal), log_(log), options_(options) {}

  // Fails, with nothing touched, if something in use is in the way or an unfinished change waits
  // for Recover (kFailedPrecondition), or if the journal cannot be saved. A GPU that changed since
  // it was planned is refused in the report.
  Result<ApplyReport> Apply(const MigPlan& plan);

  // Finishes an interrupted change: forward if that works, else back. An empty report if there is
  // none. Call at start, before anything is offered, and after a reboot. Fails if the journal
  // cannot be read; then nothing is touched.
  Result<ApplyReport> Recover();

 private:
  enum class Reached { kYes, kAtReboot };

  Result<Reached> Reach(const std::string& gpu, const Layout& target);
  Result<Reached> SetMode(const GpuMigState& state, bool on);
  Result<Reached> Run(const GpuMigState& state, const Step& step);
  GpuReport ApplyGpu(const GpuPlan& plan, Journal::Gpu& entry);
  Result<Reached> Forward(const GpuPlan& plan, Journal::Gpu& entry);
  GpuReport RollBack(Journal::Gpu& entry, const Error& cause);
  GpuReport Finish(Journal::Gpu& entry, Reached reached);
  static Status CheckCurrent(const GpuPlan& plan, const GpuMigState& now);
  Result<Journal> LoadJournal();
  Status SaveJournal();
  // Drops the entries that are settled; keeps the rest for Recover.
  void CloseJournal(ApplyReport& report);

  MigDriver& driver_;
  JournalStore& store_;
  const Logger& log_;
  ApplyOptions options_;
  Journal journal_;
};

// "done", "rolled back", ...
std::string_view ToString(GpuOutcome outcome);

}  // namespace aliquot::mig
