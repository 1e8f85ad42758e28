// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "gpu/nvml_api.h"
#include "gpu/nvml_session.h"
#include "mig/driver.h"

namespace aliquot::mig {

// A GPU that is there but whose state the driver does not tell.
struct UnreadableGpu {
  unsigned index = 0;
  std::string uuid;    // empty if the driver does not tell that either
  std::string reason;  // for people
};

// MIG through NVML. Holds a session; GPUs are looked up by UUID at every call, because handles and
// indices change with a reset.
class NvmlMigDriver final : public MigDriver {
 public:
  // Resets the GPU at the PCI bus id ("00000000:1a:00.0"), as NVML itself cannot. The session is
  // closed meanwhile: an open one counts as a client.
  using ResetGpu = std::function<Status(const std::string& bus_id)>;

  // What NVML cannot do, but the machine it runs on can. A simulated node has none of it.
  struct Host {
    ResetGpu reset;  // without it, only a reboot changes a pending mode
    // Who has the device node ("/dev/nvidia0") open.
    std::function<std::vector<Holder>(const std::string& device_path)> clients;
  };

  // `api` must outlive the driver.
  static Result<std::unique_ptr<NvmlMigDriver>> Open(const gpu::NvmlApi& api, Host host = {});

  // Leaves out GPUs that cannot be read, so that a broken one does not stand in the way of the
  // others; `unreadable` names them afterwards. Fails if the driver as a whole does not answer.
  Result<std::vector<GpuMigState>> ReadAll() override;
  const std::vector<UnreadableGpu>& unreadable() const { return unreadable_; }

  Result<GpuMigState> Read(const std::string& gpu) override;
  Result<ModeResult> SetMode(const std::string& gpu, bool on) override;
  std::vector<Holder> Clients(const std::string& gpu) override;
  Status Reset(const std::string& gpu) override;
  Result<unsigned> CreateGpuInstance(const std::string& gpu, unsigned profile,
                                     Placement placement) override;
  Result<unsigned> CreateComputeInstance(const std::string& gpu, unsigned gpu_instance_id,
                                         unsigned profile, Placement wished) override;
  Status DestroyComputeInstance(const std::string& gpu, unsigned gpu_instance_id,
                                unsigned compute_instance_id) override;
  Status DestroyGpuInstance(const std::string& gpu, unsigned gpu_instance_id) override;

 private:
  NvmlMigDriver(const gpu::NvmlApi& api, gpu::NvmlSession session, Host host)
      : api_(api), session_(std::in_place, std::move(session)), host_(std::move(host)) {}

  // The session, opened again if a reset left it closed.
  Status Connect();
  Result<gpu::abi::Device> Find(const std::string& gpu);
  Result<gpu::abi::GpuInstance> FindInstance(const std::string& gpu, unsigned id);

  const gpu::NvmlApi& api_;
  std::optional<gpu::NvmlSession> session_;  // absent only if it could not be opened again
  Host host_;
  std::vector<UnreadableGpu> unreadable_;
};

}  // namespace aliquot::mig
