// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "share/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace aliquot::share {
namespace {

using Severity = Condition::Severity;

bool Matches(const Candidate& candidate, const std::string& ref) {
  if (ref == candidate.uuid() || ref == candidate.Index()) return true;
  // The form drivers before R470 used for MIG devices.
  return candidate.mig != nullptr && ref == fmt::format("MIG-{}/{}/{}", candidate.gpu->uuid,
                                                        candidate.mig->gi_id, candidate.mig->ci_id);
}

class Selector {
 public:
  Selector(std::span<const Candidate> candidates, const config::Sharing& sharing)
      : candidates_(candidates), sharing_(sharing) {
    selection_.entry_of.resize(candidates.size());
  }

  Selection Run() {
    for (std::size_t entry = 0; entry < sharing_.resources.size(); ++entry) Apply(entry);
    return std::move(selection_);
  }

 private:
  void Tell(std::size_t entry, std::string message) {
    selection_.conditions.push_back(
        {Severity::kWarning, EntryPath(sharing_, entry), std::move(message)});
  }

  void Apply(std::size_t entry) {
    const config::ReplicatedResource& wanted = sharing_.resources[entry];
    std::vector<std::size_t> pool;  // candidates of the entry's resource
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].resource == wanted.name) pool.push_back(i);
    }
    if (pool.empty()) {
      Tell(entry, fmt::format("nothing to share: this node has no resource \"{}\", {}", wanted.name,
                              Names()));
      return;
    }
    const config::DeviceRefs* refs = std::get_if<config::DeviceRefs>(&wanted.devices);
    if (sharing_.extended && refs != nullptr) {
      for (const std::string& ref : refs->refs) TakeRef(entry, pool, ref);
      return;
    }
    const config::DeviceCount* count = std::get_if<config::DeviceCount>(&wanted.devices);
    TakeFirst(entry, pool, sharing_.extended ? count : nullptr);
  }

  // All that is left if `count` is null.
  void TakeFirst(std::size_t entry, const std::vector<std::size_t>& pool,
                 const config::DeviceCount* count) {
    const std::size_t limit = count != nullptr ? count->count : pool.size();
    std::size_t taken = 0;
    for (const std::size_t i : pool) {
      if (taken == limit) break;
      if (selection_.entry_of[i].has_value()) continue;
      selection_.entry_of[i] = entry;
      ++taken;
    }
    if (taken == 0) {
      Tell(entry, fmt::format("nothing left to share: earlier entries took all devices of \"{}\"; "
                              "the first entry wins",
                              sharing_.resources[entry].name));
    } else if (count != nullptr && taken < limit) {
      Tell(entry, fmt::format("{} devices of \"{}\" wanted but only {} left; these are shared",
                              limit, sharing_.resources[entry].name, taken));
    }
  }

  void TakeRef(std::size_t entry, const std::vector<std::size_t>& pool, const std::string& ref) {
    const auto found = std::find_if(pool.begin(), pool.end(),
                                    [&](std::size_t i) { return Matches(candidates_[i], ref); });
    if (found == pool.end()) {
      Tell(entry, fmt::format("device \"{}\" is no device of \"{}\" on this node, expected one of "
                              "{}",
                              ref, sharing_.resources[entry].name, Choices(pool)));
      return;
    }
    std::optional<std::size_t>& owner = selection_.entry_of[*found];
    if (owner.has_value() && *owner != entry) {
      Tell(entry, fmt::format("device \"{}\" already belongs to {}; the first entry wins", ref,
                              EntryPath(sharing_, *owner)));
      return;
    }
    owner = entry;
  }

  std::string Choices(const std::vector<std::size_t>& pool) const {
    std::vector<std::string> choices;
    for (const std::size_t i : pool) {
      choices.push_back(fmt::format("{} ({})", candidates_[i].Index(), candidates_[i].uuid()));
    }
    return Join(choices, ", ");
  }

  std::string Names() const {
    std::vector<std::string> names;
    for (const Candidate& candidate : candidates_) names.push_back(candidate.resource);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names.empty() ? "nor any other" : "only " + Join(names, ", ");
  }

  std::span<const Candidate> candidates_;
  const config::Sharing& sharing_;
  Selection selection_;
};

}  // namespace

std::string EntryPath(const config::Sharing& sharing, std::size_t entry) {
  const bool mps = sharing.strategy == config::SharingStrategy::kMps;
  return fmt::format("sharing.{}.resources[{}]", mps ? "mps" : "timeSlicing", entry);
}

Selection SelectDevices(std::span<const Candidate> candidates, const config::Sharing& sharing) {
  return Selector(candidates, sharing).Run();
}

}  // namespace aliquot::share
