// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "mig/layout.h"

namespace aliquot::mig {

// What became of a request to change the MIG mode.
enum class ModeResult {
  kActive,         // the mode is in force
  kInUse,          // pending: clients hold the GPU
  kResetRequired,  // pending: the driver could not reset the GPU itself
};

// The hands of the applier: the few driver calls that change MIG. Calls may block for seconds.
// GPUs are named by UUID, because indices and handles change with a reset. Not thread-safe: used on
// the thread that owns the driver. Errors: kNotFound for an unknown GPU or instance,
// kFailedPrecondition for one in use, kResourceExhausted if there is no room, kInvalidArgument for
// an illegal placement, kPermissionDenied without privilege, kUnimplemented with MIG off, kDataLoss
// if the GPU is lost, kUnavailable if the driver is gone.
class MigDriver {
 public:
  virtual ~MigDriver() = default;

  // Every GPU of the node, ascending by index, those without MIG too.
  virtual Result<std::vector<GpuMigState>> ReadAll() = 0;
  virtual Result<GpuMigState> Read(const std::string& gpu) = 0;

  virtual Result<ModeResult> SetMode(const std::string& gpu, bool on) = 0;
  // Who else has the GPU open, as far as the host tells: for messages, when a change of the mode
  // finds clients that do not compute and so are in no list of holders.
  virtual std::vector<Holder> Clients(const std::string& gpu) = 0;
  // Resets the GPU, so that a pending mode takes effect. kUnimplemented where only a reboot can.
  virtual Status Reset(const std::string& gpu) = 0;

  // Returns the id. `profile` is an InstanceProfile::index.
  virtual Result<unsigned> CreateGpuInstance(const std::string& gpu, unsigned profile,
                                             Placement placement) = 0;
  // `profile` is a ComputeProfile::index. Drivers that cannot place compute instances, or do not
  // know `wished`, choose the place.
  virtual Result<unsigned> CreateComputeInstance(const std::string& gpu, unsigned gpu_instance_id,
                                                 unsigned profile, Placement wished) = 0;
  virtual Status DestroyComputeInstance(const std::string& gpu, unsigned gpu_instance_id,
                                        unsigned compute_instance_id) = 0;
  // Only once its compute instances are gone.
  virtual Status DestroyGpuInstance(const std::string& gpu, unsigned gpu_instance_id) = 0;
};

}  // namespace aliquot::mig
