// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// The watching half of FakeCluster.
#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "kube/fake_cluster.h"

namespace aliquot::kube {

void FakeCluster::Record(Change change) {
  for (const auto& [id, watcher] : watchers_) Tell(watcher, change);
  history_.push_back(std::move(change));
}

// What a change is to somebody depends on what he could see before and can see now.
void FakeCluster::Tell(const Watcher& watcher, const Change& change) {
  if (!(change.resource == watcher.filter.resource)) return;
  const bool was = change.before && watcher.filter.Matches(*change.before);
  const bool is = !change.deleted && watcher.filter.Matches(change.after);
  if (!was && !is) return;
  if (is) return watcher.tell({was ? "MODIFIED" : "ADDED", change.after});
  Object last = *change.before;
  last["metadata"].as_object()["resourceVersion"] = fmt::to_string(change.version);
  watcher.tell({"DELETED", std::move(last)});
}

Result<FakeCluster::WatchId> FakeCluster::Watch(const Selection& selection,
                                                const std::string& version,
                                                std::function<void(const WatchEvent&)> tell) {
  std::lock_guard lock(mutex_);
  const auto kind = Find(selection.resource);
  if (!kind.ok()) return kind.error();
  auto filter = MakeFilter(selection);
  if (!filter.ok()) return filter.error();
  const Watcher watcher = {*std::move(filter), (*kind)->kind.kind, std::move(tell)};
  if (version.empty() || version == "0") {
    for (const auto& [key, stored] : (*kind)->objects) {
      if (watcher.filter.Matches(stored.object)) watcher.tell({"ADDED", stored.object});
    }
  } else {
    const auto from = ParseUnsigned(version);
    if (!from) {
      return Error{Code::kInvalidArgument, fmt::format("invalid resource version \"{}\"", version)};
    }
    if (*from < compacted_) {
      return Error{Code::kOutOfRange,
                   fmt::format("too old resource version: {} ({})", *from, compacted_)};
    }
    for (const Change& change : history_) {
      if (change.version > *from) Tell(watcher, change);
    }
  }
  watchers_.emplace(next_watch_, watcher);
  return next_watch_++;
}

void FakeCluster::Unwatch(WatchId id) {
  std::lock_guard lock(mutex_);
  watchers_.erase(id);
}

std::size_t FakeCluster::watches() const {
  std::lock_guard lock(mutex_);
  return watchers_.size();
}

void FakeCluster::Compact() {
  std::lock_guard lock(mutex_);
  compacted_ = ++version_;
  history_.clear();
}

void FakeCluster::SendBookmarks() {
  std::lock_guard lock(mutex_);
  for (const auto& [id, watcher] : watchers_) {
    const Resource& resource = watcher.filter.resource;
    watcher.tell({"BOOKMARK",
                  {{"kind", watcher.kind},
                   {"apiVersion", resource.group.empty() ? resource.version
                                                         : resource.group + "/" + resource.version},
                   {"metadata", Object{{"resourceVersion", fmt::to_string(version_)}}}}});
  }
}

std::string FakeCluster::version() const {
  std::lock_guard lock(mutex_);
  return fmt::to_string(version_);
}

}  // namespace aliquot::kube
