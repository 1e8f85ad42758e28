// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/candidates.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/text.h"
#include "share/names.h"

namespace aliquot::share {
namespace {

using Severity = Condition::Severity;

// Collects candidates of one inventory under one configuration.
class Finder {
 public:
  explicit Finder(const config::Config& config)
      : config_(config),
        gpu_pattern_used_(config.gpu_patterns.size()),
        mig_pattern_used_(config.mig_patterns.size()) {}

  Candidates Run(const gpu::Inventory& inventory) {
    for (const gpu::BrokenGpu& broken : inventory.broken) {
      Tell(Severity::kError,
           broken.uuid.empty() ? fmt::format("GPU {}", broken.index) : broken.uuid,
           fmt::format("GPU {} is left out: {}", broken.index, broken.reason));
    }
    std::vector<const gpu::Gpu*> gpus;
    for (const gpu::Gpu& gpu : inventory.gpus) gpus.push_back(&gpu);
    std::sort(gpus.begin(), gpus.end(), [](const auto* a, const auto* b) {
      return std::tie(a->index, a->uuid) < std::tie(b->index, b->uuid);
    });
    for (const gpu::Gpu* gpu : gpus) AddGpu(*gpu);
    if (config_.flags.mig_strategy == config::MigStrategy::kSingle) DropAmbiguous();
    TellUnusedPatterns(config_.gpu_patterns, gpu_pattern_used_, "resources.gpus", "GPU");
    TellUnusedPatterns(config_.mig_patterns, mig_pattern_used_, "resources.mig", "MIG device");
    return std::move(found_);
  }

 private:
  void Tell(Severity severity, std::string object, std::string message) {
    found_.conditions.push_back({severity, std::move(object), std::move(message)});
  }

  void AddGpu(const gpu::Gpu& gpu) {
    const bool by_slices = config_.flags.mig_strategy != config::MigStrategy::kNone;
    if (gpu.mig_enabled && by_slices) {
      AddMigDevices(gpu);
      return;
    }
    if (gpu.mig_enabled) {
      Tell(Severity::kWarning, gpu.uuid,
           fmt::format("GPU {} has MIG on but migStrategy is \"none\", so it is offered whole and "
                       "a container sees at most one of its {} MIG devices; set flags.migStrategy "
                       "to \"single\" or \"mixed\", or turn MIG off",
                       gpu.index, gpu.mig_devices.size()));
    }
    const std::string* name = FirstMatch(config_.gpu_patterns, gpu_pattern_used_, gpu.name);
    Add(gpu, nullptr, name);
  }

  void AddMigDevices(const gpu::Gpu& gpu) {
    if (gpu.mig_devices.empty()) {
      const bool single = config_.flags.mig_strategy == config::MigStrategy::kSingle;
      Tell(single ? Severity::kError : Severity::kWarning, gpu.uuid,
           fmt::format("GPU {} is left out: MIG is on but it has no MIG devices; create some, or "
                       "turn MIG off",
                       gpu.index));
      return;
    }
    std::vector<const gpu::MigDevice*> devices;
    for (const gpu::MigDevice& mig : gpu.mig_devices) devices.push_back(&mig);
    std::sort(devices.begin(), devices.end(), [](const auto* a, const auto* b) {
      return std::tie(a->index, a->uuid) < std::tie(b->index, b->uuid);
    });
    for (const gpu::MigDevice* mig : devices) {
      const std::string* name = FirstMatch(config_.mig_patterns, mig_pattern_used_, mig->profile);
      const bool named = name != nullptr;
      if (!named && config_.flags.mig_strategy == config::MigStrategy::kMixed &&
          !FillsGpuInstance(mig->profile)) {
        Tell(Severity::kError, mig->uuid,
             fmt::format("MIG device {}:{} is left out: profile \"{}\" does not fill its GPU "
                         "instance and no resource is named for it; create compute instances that "
                         "fill theirs, or name it in resources.mig with sharing.mode \"extended\"",
                         gpu.index, mig->index, mig->profile));
        continue;
      }
      Add(gpu, mig, name);
    }
  }

  // `pattern_name` is null if no pattern matched.
  void Add(const gpu::Gpu& gpu, const gpu::MigDevice* mig, const std::string* pattern_name) {
    Candidate candidate{&gpu, mig, {}};
    const std::string& uuid = candidate.uuid();
    if (uuid.empty() || !uuids_.insert(uuid).second) {
      Tell(Severity::kError, fmt::format("GPU {}", candidate.Index()),
           uuid.empty() ? "left out: it has no UUID; check the driver"
                        : fmt::format("left out: UUID \"{}\" was seen before on this node; UUIDs "
                                      "must be unique",
                                      uuid));
      return;
    }
    const bool mixed = config_.flags.mig_strategy == config::MigStrategy::kMixed;
    if (pattern_name != nullptr) {
      candidate.resource = *pattern_name;
    } else if (mig != nullptr && mixed) {
      candidate.resource = MigResourceName(mig->profile);
    } else {
      candidate.resource = kGpuResource;
      built_in_.insert(uuid);
    }
    found_.devices.push_back(std::move(candidate));
  }

  const std::string* FirstMatch(const std::vector<config::ResourcePattern>& patterns,
                                std::vector<bool>& used, const std::string& text) {
    if (!config_.sharing.extended) return nullptr;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      if (!MatchesPattern(patterns[i].pattern, text)) continue;
      used[i] = true;
      return &patterns[i].name;
    }
    return nullptr;
  }

  void TellUnusedPatterns(const std::vector<config::ResourcePattern>& patterns,
                          const std::vector<bool>& used, std::string_view key,
                          std::string_view kind) {
    if (!config_.sharing.extended) return;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      if (used[i]) continue;
      Tell(Severity::kWarning, fmt::format("{}[{}]", key, i),
           fmt::format("pattern \"{}\" names no {} of this node", patterns[i].pattern, kind));
    }
  }

  // `single`: everything that got the name nvidia.com/gpu without a pattern must be of one kind.
  void DropAmbiguous() {
    std::map<std::string, std::vector<std::string>> kinds;  // kind -> "GPU 0", "GPU 1"
    for (const Candidate& candidate : found_.devices) {
      if (!built_in_.contains(candidate.uuid())) continue;
      std::vector<std::string>& where =
          kinds[candidate.mig != nullptr ? "MIG " + candidate.mig->profile : "whole GPUs"];
      std::string gpu = fmt::format("GPU {}", candidate.gpu->index);
      if (where.empty() || where.back() != gpu) where.push_back(std::move(gpu));
    }
    if (kinds.size() < 2) return;
    std::vector<std::string> parts;
    for (const auto& [kind, where] : kinds) {
      parts.push_back(fmt::format("{} ({})", kind, Join(where, ", ")));
    }
    Tell(Severity::kError, std::string(kGpuResource),
         fmt::format("none of these is offered: migStrategy \"single\" needs devices of one kind "
                     "but the node has {}; give all GPUs the same layout, or set flags.migStrategy "
                     "to \"mixed\"",
                     Join(parts, ", ")));
    std::erase_if(found_.devices,
                  [this](const Candidate& c) { return built_in_.contains(c.uuid()); });
  }

  const config::Config& config_;
  std::vector<bool> gpu_pattern_used_;
  std::vector<bool> mig_pattern_used_;
  std::set<std::string> uuids_;
  std::set<std::string> built_in_;  // UUIDs named nvidia.com/gpu by the built-in rule
  Candidates found_;
};

}  // namespace

std::string Candidate::Index() const {
  return mig != nullptr ? fmt::format("{}:{}", gpu->index, mig->index)
                        : fmt::format("{}", gpu->index);
}

Candidates FindCandidates(const gpu::Inventory& inventory, const config::Config& config) {
  return Finder(config).Run(inventory);
}

}  // namespace aliquot::share
