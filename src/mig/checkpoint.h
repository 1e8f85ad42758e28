// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "mig/layout.h"

namespace aliquot::mig {

// The exact layouts of a node's GPUs, as a file. The format is that of mig-parted's checkpoint
// command (version v1, NVML profile constants), plus the places of compute instances, which
// mig-parted ignores.
struct Checkpoint {
  struct Gpu {
    std::string uuid;
    Layout layout;

    friend bool operator==(const Gpu&, const Gpu&) = default;
  };
  std::vector<Gpu> gpus;

  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// GPUs without MIG are left out.
Checkpoint CheckpointOf(const std::vector<GpuMigState>& gpus);

std::string WriteCheckpoint(const Checkpoint& checkpoint);
// Fails with kInvalidArgument, naming the place in the file.
Result<Checkpoint> ReadCheckpoint(std::string_view text);

// A change to the node's GPUs that has begun: enough to complete or undo it after a crash.
struct Journal {
  enum class Goal { kAfter, kBefore };
  struct Gpu {
    std::string uuid;
    Layout before;
    Layout after;
    Goal goal = Goal::kAfter;    // which of the two is being established
    bool awaits_reboot = false;  // the rest is done once the node has rebooted

    friend bool operator==(const Gpu&, const Gpu&) = default;
  };
  std::vector<Gpu> gpus;

  friend bool operator==(const Journal&, const Journal&) = default;
};

std::string WriteJournal(const Journal& journal);
Result<Journal> ReadJournal(std::string_view text);

// Where the journal is kept. Not thread-safe.
class JournalStore {
 public:
  virtual ~JournalStore() = default;
  // Returns only once the text will survive a crash of the node.
  virtual Status Save(std::string_view text) = 0;
  // kNotFound if there is none.
  virtual Result<std::string> Load() = 0;
  virtual Status Remove() = 0;
};

// Keeps it in one file, mode 0600, replaced in one step.
class FileJournalStore final : public JournalStore {
 public:
  explicit FileJournalStore(std::string path) : path_(std::move(path)) {}
  Status Save(std::string_view text) override;
  Result<std::string> Load() override;
  Status Remove() override;

 private:
  std::string path_;
};

}  // namespace aliquot::mig
