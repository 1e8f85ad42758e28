// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/arbiter_server.h"

#include <algorithm>
#include <utility>

namespace aliquot::grants {
namespace {

using Compute = config::Isolation::Compute;
using TenantClass = config::Isolation::TenantClass;

constexpr std::uint32_t kWhole = 1'000'000;  // weights are in millionths

arbiter::ComputeMode ModeOf(Compute compute) {
  switch (compute) {
    case Compute::kFair:
      return arbiter::ComputeMode::kFair;
    case Compute::kCapped:
      return arbiter::ComputeMode::kCapped;
    case Compute::kNone:
      break;
  }
  return arbiter::ComputeMode::kOff;
}

arbiter::TenantClass ClassOf(TenantClass tenant_class) {
  switch (tenant_class) {
    case TenantClass::kLatency:
      return arbiter::TenantClass::kLatency;
    case TenantClass::kBestEffort:
      return arbiter::TenantClass::kBestEffort;
    case TenantClass::kNormal:
      break;
  }
  return arbiter::TenantClass::kNormal;
}

arbiter::GrantSpec SpecOf(const ServedGrant& grant) {
  arbiter::GrantSpec spec;
  spec.id = grant.id;
  spec.directory = grant.directory;
  for (const ServedDevice& device : grant.devices) {
    // The arbiter takes 0 for no limit.
    const std::uint64_t limit =
        device.memory_bytes ? std::max<std::uint64_t>(1, *device.memory_bytes) : 0;
    spec.devices.push_back({device.uuid, limit, device.weight_ppm, kWhole});
  }
  spec.tenant_class = ClassOf(grant.tenant_class);
  spec.compute = ModeOf(grant.compute);
  if (grant.quantum) spec.quantum = *grant.quantum;
  return spec;
}

}  // namespace

const char* NameOf(arbiter::GrantEvent::Kind kind) {
  switch (kind) {
    case arbiter::GrantEvent::Kind::kGateTimeOut:
      return "gate-time-out";
    case arbiter::GrantEvent::Kind::kRanFree:
      return "ran-free";
    case arbiter::GrantEvent::Kind::kNoMarkers:
      return "no-markers";
    case arbiter::GrantEvent::Kind::kMisbehaved:
      return "misbehaved";
    case arbiter::GrantEvent::Kind::kTurnedAway:
      break;
  }
  return "turned-away";
}

Result<std::unique_ptr<ShareServer>> ArbiterServer::Start(
    std::function<void(const arbiter::GrantEvent&)> on_event, const Logger& log) {
  arbiter::Server::Options options;
  options.on_event = std::move(on_event);
  auto server = arbiter::Server::Start(std::move(options), log);
  if (!server.ok()) return server.error();
  return std::unique_ptr<ShareServer>(std::make_unique<ArbiterServer>(*std::move(server)));
}

Status ArbiterServer::Add(const ServedGrant& grant) { return server_->AddGrant(SpecOf(grant)); }

Status ArbiterServer::Update(const ServedGrant& grant) {
  return server_->UpdateGrant(SpecOf(grant));
}

std::map<std::string, GrantUse> ArbiterServer::Look() {
  std::map<std::string, GrantUse> uses;
  for (const arbiter::GrantUsage& usage : server_->Snapshot()) {
    GrantUse& use = uses[usage.id];
    for (const arbiter::ProcessUsage& process : usage.processes) {
      use.processes.push_back(static_cast<pid_t>(process.pid));
    }
    for (const arbiter::DeviceUsage& device : usage.devices) {
      use.devices.push_back({device.uuid, device.charged, device.peak, device.denied,
                             device.compute.used, device.compute.granted, device.compute.waited,
                             device.compute.counted});
    }
  }
  return uses;
}

void ArbiterServer::SetProcessMemory(const gpu::ProcessSnapshot& processes) {
  for (const auto& [uuid, memory] : processes.memory) {
    arbiter::DeviceMemory device;
    device.uuid = uuid;
    device.total = memory.total_bytes;
    device.free = memory.free_bytes;
    // The monotonic clock is the steady one.
    device.taken = processes.taken_at.time_since_epoch();
    for (const gpu::GpuProcess& process : processes.processes) {
      if (process.device_uuid != uuid || !process.memory_bytes) continue;
      device.used_by_pid[process.pid] = *process.memory_bytes;
    }
    server_->SetDeviceMemory(device);
  }
}

}  // namespace aliquot::grants
