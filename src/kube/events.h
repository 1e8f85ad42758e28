// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "kube/client.h"

namespace aliquot::kube {

// The object an event is about.
struct EventSubject {
  std::string api_version;
  std::string kind;
  std::string ns;  // empty for cluster-scoped kinds; their events are kept in "default"
  std::string name;
  std::string uid;  // kubectl describe finds events by it; may be empty

  friend auto operator<=>(const EventSubject&, const EventSubject&) = default;
};
// Of an object as the API server sends it.
EventSubject SubjectOf(const Object& object);

enum class EventType { kNormal, kWarning };

struct EventOptions {
  std::string component;  // "aliquot-agent"
  std::string instance;   // which of them: the node's or the pod's name
  // A repeated event is counted up at most so often.
  std::chrono::seconds repeat{10};
  // Per subject: so many at once, and then one each `refill`; further ones are dropped.
  std::size_t burst = 25;
  std::chrono::seconds refill{60};
  std::size_t most_known = 256;  // different events remembered; the oldest are forgotten
  int attempts = 5;              // to write one, `repeat` apart
};

// What happened to objects, for people: kubectl describe and kubectl get events. Writes core/v1
// Events: the one form that every kubectl shows with its count, that can be selected by
// involvedObject, and that needs no more than the right to create and patch "events" in the core
// group; servers give it out as events.k8s.io/v1, too.
//
// The same event again (subject, type, reason and message) only raises the count of the first. An
// event that cannot be written is tried again a few times and then dropped: events are news, not
// state. Confined to `executor`.
class EventRecorder {
 public:
  // All must outlive it.
  EventRecorder(Client& client, Executor& executor, const Clock& clock, EventOptions options);
  // Forgets what is not written yet.
  ~EventRecorder();
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  // `reason` is one CamelCase word; `message` is cut at 1024 bytes, which is what servers take.
  void Record(const EventSubject& subject, EventType type, const std::string& reason,
              const std::string& message);
  // Events that were never written, since the start.
  std::uint64_t dropped() const;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace aliquot::kube
