// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mig/checkpoint.h"
#include "mig/driver.h"

namespace aliquot::mig::testing {

// When a process dies, nothing it does afterwards happens. Shared by the fakes of one process.
struct Lifeline {
  bool dead = false;
};

// GPUs in memory that behave as hardware does: ids, places, limits, what is in use, and how the
// mode changes. Knows nothing of the planner's rules; its own are written down again here.
class FakeMigDriver final : public MigDriver {
 public:
  // How far a change of mode of an idle GPU gets. Ampere only.
  enum class Switching {
    kWorks,
    kNeedsReset,   // Reset works
    kNeedsReboot,  // only Reboot helps
  };

  void Add(GpuMigState gpu);
  void SetSwitching(Switching switching) { switching_ = switching; }
  // Older drivers do not list profiles with MIG off.
  void HideProfilesWithoutMode() { hide_profiles_ = true; }
  // Older drivers put compute instances where they like, here: last.
  void IgnoreComputePlacement() { ignore_compute_placement_ = true; }
  // Makes creation of this profile fail as a driver with rules we do not know would.
  void RefuseProfile(unsigned profile) { refused_profile_ = profile; }

  // Every call counts, from 0. The call fails with `error` and does nothing.
  void FailCall(unsigned call, Error error) { failures_[call] = std::move(error); }
  // The process dies at that call, before or after the call did its work.
  void DieAtCall(unsigned call, bool after_work) {
    death_ = call;
    dies_after_work_ = after_work;
  }
  // A new process: calls count from 0 again, and nothing fails.
  void Restart();
  unsigned calls() const { return calls_; }
  Lifeline& lifeline() { return lifeline_; }

  // As the node's reboot: pending modes take effect, instances are gone, Hopper and later forget
  // the mode.
  void Reboot();
  // Something starts to use the device, or the GPU as a whole (`device` is the GPU's UUID).
  void Hold(const std::string& device, Holder holder);
  void Release(const std::string& device);

  // The state, without counting as a call.
  const GpuMigState& Look(const std::string& gpu) const;
  // A number per living device that no device created before or later has.
  std::map<std::string, std::uint64_t> Serials(const std::string& gpu) const;
  unsigned created() const { return created_; }
  unsigned destroyed() const { return destroyed_; }  // compute instances

  Result<std::vector<GpuMigState>> ReadAll() override;
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
  // Runs `work` as one call of the driver, unless it is to fail.
  template <typename T, typename Work>
  T Call(Work work);
  GpuMigState* Find(const std::string& gpu);
  GpuMigState Shown(GpuMigState gpu) const;
  std::optional<Error> NoRoom(const GpuMigState& gpu, const InstanceProfile& profile,
                              Placement placement) const;

  std::vector<GpuMigState> gpus_;
  std::map<std::string, std::uint64_t> serials_;  // by device UUID
  std::map<unsigned, Error> failures_;
  unsigned death_ = std::numeric_limits<unsigned>::max();
  bool dies_after_work_ = false;
  Switching switching_ = Switching::kWorks;
  bool hide_profiles_ = false;
  bool ignore_compute_placement_ = false;
  std::optional<unsigned> refused_profile_;
  Lifeline lifeline_;
  unsigned calls_ = 0;
  unsigned created_ = 0;
  unsigned destroyed_ = 0;
  std::uint64_t next_serial_ = 1;
};

// Keeps the journal in memory; survives its process like a file.
class FakeJournalStore final : public JournalStore {
 public:
  explicit FakeJournalStore(Lifeline& lifeline) : lifeline_(lifeline) {}
  void FailSave(unsigned nth) { failing_save_ = nth; }
  const std::optional<std::string>& text() const { return text_; }
  void Set(std::string text) { text_ = std::move(text); }

  Status Save(std::string_view text) override;
  Result<std::string> Load() override;
  Status Remove() override;

 private:
  Lifeline& lifeline_;
  std::optional<std::string> text_;
  std::optional<unsigned> failing_save_;
  unsigned saves_ = 0;
};

}  // namespace aliquot::mig::testing
