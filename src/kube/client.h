// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/status.h"

namespace aliquot::kube {

// A Kubernetes object as the API server sends it.
using Object = boost::json::object;

// A collection of the API: {"", "v1", "nodes"}, {"nvidia.com", "v1", "clusterpolicies"}.
struct Resource {
  std::string group;  // empty = the core group
  std::string version;
  std::string plural;

  friend bool operator==(const Resource&, const Resource&) = default;
};

inline const Resource kNodes{"", "v1", "nodes"};
inline const Resource kPods{"", "v1", "pods"};
inline const Resource kConfigMaps{"", "v1", "configmaps"};
inline const Resource kEvents{"", "v1", "events"};
inline const Resource kDaemonSets{"apps", "v1", "daemonsets"};
inline const Resource kLeases{"coordination.k8s.io", "v1", "leases"};
inline const Resource kClusterPolicies{"nvidia.com", "v1", "clusterpolicies"};
inline const Resource kNodeFeatures{"nfd.k8s-sigs.io", "v1alpha1", "nodefeatures"};

// Which object. `ns` is empty for cluster-scoped kinds; `subresource` "status" or empty.
struct Ref {
  Resource resource;
  std::string ns;
  std::string name;
  std::string subresource;

  // "configmap gpu-operator/time-slicing-config", for messages.
  std::string ToString() const;
};

// Makes of an object the part that somebody needs. Called on any thread, on several at once; must
// not throw. Objects in lists come to it, and go, without kind and apiVersion.
using Excerpt = std::function<Object(const Object&)>;

// Which objects of a collection, and what of them.
struct Selection {
  Resource resource;
  std::string ns;              // empty = of all namespaces, or cluster-scoped
  std::string label_selector;  // as kubectl takes it; not escaped
  std::string field_selector;  // "metadata.name=worker-1"
  // All that is told of the objects. It is made as each arrives, so that a list of thousands takes
  // memory for one whole object and thousands of excerpts. Empty = they are told whole.
  Excerpt excerpt = {};
};

enum class PatchType {
  kMerge,     // RFC 7386
  kJson,      // RFC 6902; the body is an array
  kStrategic  // built-in kinds only
};

// Codes of errors: 404 kNotFound, 409 kAborted (conflict) or kAlreadyExists (reason), 401
// kUnauthenticated, 403 kPermissionDenied, 410 kOutOfRange, 422 and 400 kInvalidArgument, 429, 503
// and a server that does not answer kUnavailable, a time-out kDeadlineExceeded. The message has the
// object, the verb and what the server said.
template <typename T>
using Done = std::function<void(Result<T>)>;

// What a watch tells. Calls come on the executor given to Watch, one after another.
class WatchHandler {
 public:
  virtual ~WatchHandler() = default;
  // The whole selection, at the start and whenever the watch had to begin anew (410, a lost
  // connection): objects that are not in it are gone.
  virtual void OnSync(std::vector<Object> objects) = 0;
  // One object was created or changed. Bookmarks are not shown.
  virtual void OnUpdate(Object object) = 0;
  // One object was deleted; as last seen.
  virtual void OnDelete(Object object) = 0;
  // The watch does not work at present; it goes on trying with back-off. Called once per outage;
  // OnSync ends it.
  virtual void OnUnavailable(const Error& error) = 0;
};

// A watch in progress. Destroyed on the executor it reports to, no call comes afterwards.
class Watch {
 public:
  virtual ~Watch() = default;
};

// The Kubernetes API. Calls return at once; `done` runs on the executor `on`, once. Thread-safe.
// A client destroyed before that drops `done` uncalled. Requests are tried once, except for 429
// and 503 with Retry-After below 10 s and connections that an idle server closed, which are
// repeated within `timeout`.
class Client {
 public:
  virtual ~Client() = default;

  virtual void Get(const Ref& ref, Executor& on, Done<Object> done) = 0;
  virtual void List(const Selection& selection, Executor& on, Done<std::vector<Object>> done) = 0;
  // `object` has apiVersion, kind and metadata.
  virtual void Create(const Resource& resource, const std::string& ns, Object object, Executor& on,
                      Done<Object> done) = 0;
  // Replaces; with metadata.resourceVersion only if nothing changed since (kAborted).
  virtual void Update(const Ref& ref, Object object, Executor& on, Done<Object> done) = 0;
  virtual void Patch(const Ref& ref, PatchType type, boost::json::value patch, Executor& on,
                     Done<Object> done) = 0;
  // Server-side apply as field manager `manager`; takes fields over from others if `force`.
  virtual void Apply(const Ref& ref, const std::string& manager, bool force, Object object,
                     Executor& on, Done<Object> done) = 0;
  // Success also if it is gone already.
  virtual void Delete(const Ref& ref, Executor& on, Done<Object> done) = 0;
  // Lists, then follows. `handler` must outlive the returned watch; dropped on `on`'s executor.
  virtual std::unique_ptr<Watch> StartWatch(Selection selection, Executor& on,
                                            WatchHandler& handler) = 0;
};

}  // namespace aliquot::kube
