// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/testing/driver_fake.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace aliquot::mig::testing {
namespace {

Error InUse() { return {Code::kFailedPrecondition, "In use by another client"}; }
Error NotSupported() { return {Code::kUnimplemented, "Not Supported"}; }
Error NotFound() { return {Code::kNotFound, "Not Found"}; }
Error InvalidArgument() { return {Code::kInvalidArgument, "Invalid Argument"}; }
Error InsufficientResources() { return {Code::kResourceExhausted, "Insufficient Resources"}; }

bool Overlap(const Placement& a, const Placement& b) {
  return std::max(a.start, b.start) < std::min(a.end(), b.end());
}

bool Contains(const std::vector<Placement>& places, const Placement& place) {
  return std::count(places.begin(), places.end(), place) > 0;
}

GpuInstance* FindInstance(GpuMigState& gpu, unsigned id) {
  for (GpuInstance& instance : gpu.instances) {
    if (instance.id == id) return &instance;
  }
  return nullptr;
}

std::string MigUuid(const std::string& gpu, unsigned gi, unsigned ci) {
  return fmt::format("MIG-{}-{}-{}", gpu.substr(4), gi, ci);
}

template <typename List>
void SortById(List& list) {
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

bool Busy(const GpuMigState& gpu) { return !gpu.holders.empty(); }

}  // namespace

void FakeMigDriver::Add(GpuMigState gpu) { gpus_.push_back(std::move(gpu)); }

void FakeMigDriver::Restart() {
  failures_.clear();
  death_ = std::numeric_limits<unsigned>::max();
  calls_ = 0;
  lifeline_.dead = false;
}

void FakeMigDriver::Reboot() {
  for (GpuMigState& gpu : gpus_) {
    for (const GpuInstance& instance : gpu.instances) {
      for (const ComputeInstance& compute : instance.compute) serials_.erase(compute.uuid);
    }
    gpu.instances.clear();
    gpu.holders.clear();
    if (gpu.mode_switch == ModeSwitch::kImmediate) gpu.pending_mode_on = false;
    gpu.mode_on = gpu.pending_mode_on;
  }
}

void FakeMigDriver::Hold(const std::string& device, Holder holder) {
  for (GpuMigState& gpu : gpus_) {
    if (gpu.uuid == device) return gpu.holders.push_back(std::move(holder));
    for (GpuInstance& instance : gpu.instances) {
      for (ComputeInstance& compute : instance.compute) {
        if (compute.uuid == device) return compute.holders.push_back(std::move(holder));
      }
    }
  }
  std::abort();  // a test holds a device that is not there
}

void FakeMigDriver::Release(const std::string& device) {
  for (GpuMigState& gpu : gpus_) {
    if (gpu.uuid == device) gpu.holders.clear();
    for (GpuInstance& instance : gpu.instances) {
      for (ComputeInstance& compute : instance.compute) {
        if (compute.uuid == device) compute.holders.clear();
      }
    }
  }
}

const GpuMigState& FakeMigDriver::Look(const std::string& gpu) const {
  for (const GpuMigState& there : gpus_) {
    if (there.uuid == gpu) return there;
  }
  std::abort();  // a test looks at a GPU that is not there
}

std::map<std::string, std::uint64_t> FakeMigDriver::Serials(const std::string& gpu) const {
  std::map<std::string, std::uint64_t> serials;
  for (const GpuInstance& instance : Look(gpu).instances) {
    for (const ComputeInstance& compute : instance.compute) {
      serials[compute.uuid] = serials_.at(compute.uuid);
    }
  }
  return serials;
}

template <typename T, typename Work>
T FakeMigDriver::Call(Work work) {
  const unsigned call = calls_++;
  const Error gone{Code::kUnavailable, "the process is dead"};
  if (lifeline_.dead) return gone;
  if (call == death_) {
    if (dies_after_work_) static_cast<void>(work());
    lifeline_.dead = true;
    return gone;
  }
  if (const auto failure = failures_.find(call); failure != failures_.end()) return failure->second;
  return work();
}

GpuMigState* FakeMigDriver::Find(const std::string& gpu) {
  for (GpuMigState& there : gpus_) {
    if (there.uuid == gpu) return &there;
  }
  return nullptr;
}

GpuMigState FakeMigDriver::Shown(GpuMigState gpu) const {
  if (hide_profiles_ && !gpu.mode_on) gpu.profiles.clear();
  return gpu;
}

Result<std::vector<GpuMigState>> FakeMigDriver::ReadAll() {
  using Answer = Result<std::vector<GpuMigState>>;
  return Call<Answer>([&]() -> Answer {
    std::vector<GpuMigState> shown;
    for (const GpuMigState& gpu : gpus_) shown.push_back(Shown(gpu));
    return shown;
  });
}

Result<GpuMigState> FakeMigDriver::Read(const std::string& gpu) {
  return Call<Result<GpuMigState>>([&]() -> Result<GpuMigState> {
    const GpuMigState* there = Find(gpu);
    if (there == nullptr) return NotFound();
    return Shown(*there);
  });
}

Result<ModeResult> FakeMigDriver::SetMode(const std::string& gpu, bool on) {
  return Call<Result<ModeResult>>([&]() -> Result<ModeResult> {
    GpuMigState* there = Find(gpu);
    if (there == nullptr) return NotFound();
    if (!there->mig_capable) return NotSupported();
    there->pending_mode_on = on;
    if (there->mode_on == on) return ModeResult::kActive;
    if (Busy(*there) || !there->instances.empty()) return ModeResult::kInUse;
    if (there->mode_switch == ModeSwitch::kWithReset && switching_ != Switching::kWorks) {
      return ModeResult::kResetRequired;
    }
    there->mode_on = on;
    return ModeResult::kActive;
  });
}

std::vector<Holder> FakeMigDriver::Clients(const std::string& gpu) {
  const GpuMigState* there = Find(gpu);
  return there == nullptr ? std::vector<Holder>() : there->holders;
}

Status FakeMigDriver::Reset(const std::string& gpu) {
  return Call<Status>([&]() -> Status {
    GpuMigState* there = Find(gpu);
    if (there == nullptr) return NotFound();
    if (switching_ == Switching::kNeedsReboot) return NotSupported();
    if (Busy(*there)) return InUse();
    for (const GpuInstance& instance : there->instances) {
      if (mig::InUse(instance)) return InUse();
    }
    there->instances.clear();
    there->mode_on = there->pending_mode_on;
    return {};
  });
}

std::optional<Error> FakeMigDriver::NoRoom(const GpuMigState& gpu, const InstanceProfile& profile,
                                           Placement placement) const {
  if (!Contains(profile.placements, placement)) return InvalidArgument();
  gpu::EngineCounts used = profile.engines;
  unsigned slices = profile.slices;
  unsigned same = 1;
  for (const GpuInstance& instance : gpu.instances) {
    if (Overlap(instance.placement, placement)) return InsufficientResources();
    const InstanceProfile& other = *FindProfile(gpu, instance.profile);
    slices += other.slices;
    same += other.index == profile.index;
    used.copy += other.engines.copy;
    used.decoder += other.engines.decoder;
    used.encoder += other.engines.encoder;
    used.jpeg += other.engines.jpeg;
    used.ofa += other.engines.ofa;
  }
  // The engines of the whole GPU are those of its largest profile. Counting them is another way to
  // say the rules of media extensions.
  const InstanceProfile& whole =
      *std::max_element(gpu.profiles.begin(), gpu.profiles.end(),
                        [](const auto& a, const auto& b) { return a.slices < b.slices; });
  const bool engines = used.copy <= whole.engines.copy && used.decoder <= whole.engines.decoder &&
                       used.encoder <= whole.engines.encoder && used.jpeg <= whole.engines.jpeg &&
                       used.ofa <= whole.engines.ofa;
  if (slices > whole.slices || same > profile.max_instances || !engines) {
    return InsufficientResources();
  }
  return {};
}

Result<unsigned> FakeMigDriver::CreateGpuInstance(const std::string& gpu, unsigned profile,
                                                  Placement placement) {
  return Call<Result<unsigned>>([&]() -> Result<unsigned> {
    GpuMigState* there = Find(gpu);
    if (there == nullptr) return NotFound();
    if (!there->mode_on) return NotSupported();
    const InstanceProfile* kind = FindProfile(*there, profile);
    if (kind == nullptr) return InvalidArgument();
    if (profile == refused_profile_) return InsufficientResources();
    if (auto error = NoRoom(*there, *kind, placement)) return *error;
    const unsigned id =
        MemorySlices(there->profiles) / placement.size - 1 + placement.start / placement.size;
    there->instances.push_back({id, profile, placement, {}});
    SortById(there->instances);
    return id;
  });
}

Result<unsigned> FakeMigDriver::CreateComputeInstance(const std::string& gpu,
                                                      unsigned gpu_instance_id, unsigned profile,
                                                      Placement wished) {
  return Call<Result<unsigned>>([&]() -> Result<unsigned> {
    GpuMigState* there = Find(gpu);
    if (there == nullptr) return NotFound();
    GpuInstance* instance = FindInstance(*there, gpu_instance_id);
    if (instance == nullptr) return NotFound();
    const ComputeProfile* kind =
        FindComputeProfile(*FindProfile(*there, instance->profile), profile);
    if (kind == nullptr) return NotSupported();
    std::vector<Placement> places = {wished};
    if (ignore_compute_placement_)
      places.assign(kind->placements.rbegin(), kind->placements.rend());
    if (!ignore_compute_placement_ && !Contains(kind->placements, wished)) return InvalidArgument();
    for (const Placement& place : places) {
      const bool taken =
          std::any_of(instance->compute.begin(), instance->compute.end(),
                      [&](const auto& other) { return Overlap(other.placement, place); });
      if (taken) continue;
      unsigned id = 0;
      while (std::any_of(instance->compute.begin(), instance->compute.end(),
                         [&](const auto& other) { return other.id == id; })) {
        ++id;
      }
      const std::string uuid = MigUuid(gpu, gpu_instance_id, id);
      instance->compute.push_back({id, profile, place, uuid, {}});
      SortById(instance->compute);
      serials_[uuid] = next_serial_++;
      ++created_;
      return id;
    }
    return InsufficientResources();
  });
}

Status FakeMigDriver::DestroyComputeInstance(const std::string& gpu, unsigned gpu_instance_id,
                                             unsigned compute_instance_id) {
  return Call<Status>([&]() -> Status {
    GpuMigState* there = Find(gpu);
    GpuInstance* instance = there == nullptr ? nullptr : FindInstance(*there, gpu_instance_id);
    if (instance == nullptr) return NotFound();
    for (auto at = instance->compute.begin(); at != instance->compute.end(); ++at) {
      if (at->id != compute_instance_id) continue;
      if (!at->holders.empty()) return InUse();
      serials_.erase(at->uuid);
      instance->compute.erase(at);
      ++destroyed_;
      return {};
    }
    return NotFound();
  });
}

Status FakeMigDriver::DestroyGpuInstance(const std::string& gpu, unsigned gpu_instance_id) {
  return Call<Status>([&]() -> Status {
    GpuMigState* there = Find(gpu);
    const GpuInstance* instance =
        there == nullptr ? nullptr : FindInstance(*there, gpu_instance_id);
    if (instance == nullptr) return NotFound();
    if (!instance->compute.empty()) return InUse();
    there->instances.erase(there->instances.begin() + (instance - there->instances.data()));
    return {};
  });
}

Status FakeJournalStore::Save(std::string_view text) {
  if (lifeline_.dead) return Error{Code::kUnavailable, "the process is dead"};
  if (saves_++ == failing_save_) return Error{Code::kUnavailable, "No space left on device"};
  text_ = std::string(text);
  return {};
}

Result<std::string> FakeJournalStore::Load() {
  if (!text_) return Error{Code::kNotFound, "no journal"};
  return *text_;
}

Status FakeJournalStore::Remove() {
  if (lifeline_.dead) return Error{Code::kUnavailable, "the process is dead"};
  text_.reset();
  return {};
}

}  // namespace aliquot::mig::testing
