// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "cli/mig_options.h"
#include "gpu/driver_source.h"
#include "mig/checkpoint.h"
#include "mig/nvml_driver.h"
#include "mig/planner.h"

namespace aliquot::cli {

// The node whose MIG a command reads or changes: its driver, and its GPUs as last read.
class MigNode {
 public:
  // Sets the environment variables that the simulated library reads; call it before any thread is
  // started.
  static Result<std::unique_ptr<MigNode>> Open(const MigOptions& options);

  mig::NvmlMigDriver& driver() { return *driver_; }
  // Empty for this machine.
  const std::string& simulated_node() const { return library_->simulated_node(); }

  // Reads every GPU again.
  Status Refresh();
  const std::vector<mig::GpuMigState>& gpus() const { return gpus_; }
  const std::vector<mig::UnreadableGpu>& unreadable() const { return driver_->unreadable(); }

 private:
  explicit MigNode(std::unique_ptr<gpu::Driver> library) : library_(std::move(library)) {}

  std::unique_ptr<gpu::Driver> library_;  // before driver_, which uses it
  std::unique_ptr<mig::NvmlMigDriver> driver_;
  std::vector<mig::GpuMigState> gpus_;
};

// "GPU 3 (GPU-...) cannot be read: why".
std::string Describe(const mig::UnreadableGpu& gpu);

// A plan, and what it had to leave out.
struct MigNodePlan {
  mig::MigPlan plan;
  std::vector<std::string> left_out;  // GPUs that are meant but cannot be read, one line each
};

// How the node gets to what `entries` want of it; with `mode_only`, only the MIG modes. Fails if
// some GPU cannot be planned.
Result<MigNodePlan> PlanConfig(const MigNode& node, const std::vector<mig::ConfigEntry>& entries,
                               bool mode_only);

// How the node gets to the layouts of `checkpoint`. kNotFound if one is of a GPU that is not there.
Result<MigNodePlan> PlanCheckpoint(const MigNode& node, const mig::Checkpoint& checkpoint,
                                   bool mode_only);

}  // namespace aliquot::cli
