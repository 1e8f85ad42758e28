// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: the objects of a cluster, kept the way an API server keeps them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kube/client.h"
#include "kube/fake_fields.h"
#include "kube/fake_selectors.h"
#include "kube/watch_stream.h"

namespace aliquot::kube {

// A store with the API server's rules: one resourceVersion counter for everything, uid, generation,
// managedFields, optimistic locking, updates that change nothing are no change, status kept apart
// from the rest, deletion waits for finalizers, watches resume from a version until it is
// compacted. It does not know: schemas and defaults, admission, garbage collection, namespaces as
// objects (any name will do). Errors have the code of kube::Client and the server's bare message.
// Thread-safe.
class FakeCluster {
 public:
  struct Kind {
    std::string kind;  // "ConfigMap"
    bool namespaced = true;
    bool status = false;            // has a status subresource: the two are written apart
    bool status_on_create = false;  // ... but Create takes it (Node)
    bool generation = false;        // counts changes of anything but metadata and status
    bool custom = false;            // no strategic merge patch
  };
  struct Page {
    std::vector<Object> items;  // by namespace and name
    std::string version;        // resourceVersion of the list
    std::string next;           // continue token; empty = that was all
  };
  using WatchId = std::uint64_t;

  // Knows the built-in kinds named in client.h, namespaces, secrets, deployments and
  // ClusterPolicy. `clock` dates creationTimestamp; must outlive the cluster.
  explicit FakeCluster(const Clock& clock);

  // Adds a kind (a CRD is installed: NodeFeature, for instance), or takes one away with its
  // objects; requests for unknown ones are kNotFound.
  void Register(const Resource& resource, Kind kind);
  void Unregister(const Resource& resource);
  std::optional<Kind> KindOf(const Resource& resource) const;

  Result<Object> Get(const Ref& ref) const;
  // `limit` 0 = all. A continue token whose version is compacted gives kOutOfRange; later pages
  // show the present state.
  Result<Page> List(const Selection& selection, std::size_t limit = 0,
                    const std::string& next = {}) const;
  // `manager` is who owns the fields written. metadata.generateName is served.
  Result<Object> Create(const Resource& resource, const std::string& ns, Object object,
                        const std::string& manager = "test");
  Result<Object> Update(const Ref& ref, Object object, const std::string& manager = "test");
  Result<Object> Patch(const Ref& ref, PatchType type, const boost::json::value& patch,
                       const std::string& manager = "test");
  Result<Object> Apply(const Ref& ref, const std::string& manager, bool force, Object object);
  // The object as last seen; with finalizers it stays, marked with deletionTimestamp.
  Result<Object> Delete(const Ref& ref);

  // Creates or replaces, status included: how a test sets its stage. Of apiVersion, kind and
  // metadata only the name (and namespace) must be given.
  Result<Object> Put(const Resource& resource, Object object);

  // Calls `tell` for each event after `version` (empty or "0" = the present state as ADDED first)
  // until Unwatch; the past ones before this returns. `tell` runs under the cluster's lock, so it
  // only hands over. kOutOfRange if `version` is compacted.
  Result<WatchId> Watch(const Selection& selection, const std::string& version,
                        std::function<void(const WatchEvent&)> tell);
  // Afterwards `tell` does not run any more.
  void Unwatch(WatchId id);
  std::size_t watches() const;

  // Forgets the past: versions before now give kOutOfRange. Running watches go on.
  void Compact();
  // Tells every watch a BOOKMARK with the present version.
  void SendBookmarks();
  // The present resourceVersion.
  std::string version() const;

 private:
  using Key = std::pair<std::string, std::string>;  // namespace, name
  struct Stored {
    Object object;
    FieldOwners owners;
  };
  struct Collection {
    Resource resource;
    Kind kind;
    std::map<Key, Stored> objects;
  };
  struct Change {
    std::uint64_t version;
    Resource resource;
    std::optional<Object> before;  // nothing: created
    Object after;                  // of a deletion: the last state with the version of it
    bool deleted;
  };
  struct Filter {
    Resource resource;
    std::string ns;
    FakeSelector labels;
    FakeSelector fields;
    bool Matches(const Object& object) const;
  };
  struct Watcher {
    Filter filter;
    std::string kind;
    std::function<void(const WatchEvent&)> tell;
  };

  static Result<Filter> MakeFilter(const Selection& selection);
  static void Tell(const Watcher& watcher, const Change& change);

  // All below are called with mutex_ held.
  Result<Collection*> Find(const Resource& resource) const;
  Result<Stored*> Find(const Ref& ref) const;
  Status CheckIdentity(const Collection& kind, const Ref& ref, Object& object) const;
  // Replaces `stored` by `next` if it differs; keeps what only the server sets.
  Object Write(Collection& kind, Stored& stored, Object next, FieldOwners owners,
               const std::string& subresource);
  Object Insert(Collection& kind, const Key& key, Object object, FieldOwners owners);
  Object Remove(Collection& kind, const Key& key);
  Result<Object> Modify(const Ref& ref, const std::string& manager,
                        const std::function<Status(Object&)>& edit);
  void Record(Change change);
  void Stamp(const Collection& kind, Stored& stored);

  const Clock& clock_;
  mutable std::mutex mutex_;  // guards everything below: used by tests and the fake server's thread
  mutable std::vector<Collection> kinds_;
  std::vector<Change> history_;
  std::map<WatchId, Watcher> watchers_;
  std::uint64_t version_ = 100;
  std::uint64_t compacted_ = 0;  // versions below this are gone
  std::uint64_t next_uid_ = 1;
  WatchId next_watch_ = 1;
};

}  // namespace aliquot::kube
