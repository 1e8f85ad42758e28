// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <tuple>
#include <utility>

#include "kube/answers.h"
#include "kube/time.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostMessage = 1024;  // bytes; what API servers validate
constexpr std::size_t kMostName = 253;

// At most `size` bytes, not ending within a character.
std::string Cut(const std::string& text, std::size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) >> 6) == 2) --size;
  return text.substr(0, size);
}

}  // namespace

EventSubject SubjectOf(const Object& object) {
  const auto text = [&](const char* key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
  };
  return {text("apiVersion"), text("kind"), MetadataText(object, "namespace"),
          MetadataText(object, "name"), MetadataText(object, "uid")};
}

class EventRecorder::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Client& client, Executor& executor, const Clock& clock, EventOptions options)
      : client_(client), executor_(executor), clock_(clock), options_(std::move(options)) {}

  void Record(const EventSubject& subject, EventType type, const std::string& reason,
              const std::string& message) {
    if (!Admit(subject)) {
      ++dropped_;
      return;
    }
    const Key key = {subject, type, reason, Cut(message, kMostMessage)};
    auto [found, fresh] = known_.try_emplace(key);
    Entry& entry = found->second;
    entry.last = clock_.Now();
    entry.last_wall = clock_.WallNow();
    if (fresh) entry.first_wall = entry.last_wall;
    ++entry.count;
    entry.attempts = 0;
    if (fresh && known_.size() > options_.most_known) {
      EraseOldest(known_, key, [](const Entry& other) { return other.last; });
    }
    if (!entry.busy && entry.timer == 0) Write(key);
  }

  void Stop() {
    for (auto& [key, entry] : known_) executor_.Cancel(entry.timer);
    known_.clear();
  }

  std::uint64_t dropped() const { return dropped_; }

 private:
  using Key = std::tuple<EventSubject, EventType, std::string, std::string>;
  struct Entry {
    std::string name;         // of the Event; empty = not created yet
    std::uint64_t count = 0;  // how often it happened
    std::uint64_t written = 0;
    std::chrono::system_clock::time_point first_wall;
    std::chrono::system_clock::time_point last_wall;
    Clock::TimePoint last;
    Executor::TimerId timer = 0;  // until the next write may be
    bool busy = false;            // a write is under way
    int attempts = 0;             // failed ones since the last success or the last news
  };
  struct Bucket {
    double tokens;
    Clock::TimePoint at;
  };

  bool Admit(const EventSubject& subject) {
    const Clock::TimePoint now = clock_.Now();
    const auto burst = static_cast<double>(options_.burst);
    auto [found, fresh] = buckets_.try_emplace(subject, Bucket{burst, now});
    Bucket& bucket = found->second;
    const auto refill = std::chrono::duration<double>(options_.refill).count();
    bucket.tokens = std::min(
        burst, bucket.tokens + std::chrono::duration<double>(now - bucket.at).count() / refill);
    bucket.at = now;
    const bool admitted = bucket.tokens >= 1;
    if (admitted) bucket.tokens -= 1;
    if (fresh && buckets_.size() > options_.most_known) {
      EraseOldest(buckets_, subject, [](const Bucket& other) { return other.at; });
    }
    return admitted;
  }

  // Erases the entry with the least `when`, except `keep`.
  template <typename Map, typename When>
  static void EraseOldest(Map& map, const typename Map::key_type& keep, When when) {
    auto oldest = map.end();
    for (auto it = map.begin(); it != map.end(); ++it) {
      if (it->first == keep) continue;
      if (oldest == map.end() || when(it->second) < when(oldest->second)) oldest = it;
    }
    if (oldest != map.end()) map.erase(oldest);
  }

  void Write(const Key& key) {
    Entry& entry = known_.at(key);
    entry.busy = true;
    const std::uint64_t count = entry.count;
    const auto done = [weak = weak_from_this(), key, count](const Result<Object>& answer) {
      if (const auto self = weak.lock()) self->OnWritten(key, count, answer);
    };
    const std::string ns = std::get<0>(key).ns.empty() ? "default" : std::get<0>(key).ns;
    if (entry.name.empty()) {
      entry.first_wall = entry.written == 0 ? entry.first_wall : entry.last_wall;
      return client_.Create(kEvents, ns, Compose(key, entry), executor_, done);
    }
    const json::object patch = {{"count", count}, {"lastTimestamp", FormatTime(entry.last_wall)}};
    client_.Patch({kEvents, ns, entry.name, ""}, PatchType::kMerge, patch, executor_, done);
  }

  void OnWritten(const Key& key, std::uint64_t count, const Result<Object>& answer) {
    const auto found = known_.find(key);
    if (found == known_.end()) return;
    Entry& entry = found->second;
    entry.busy = false;
    if (answer.ok()) {
      entry.name = MetadataText(*answer, "name");
      entry.written = count;
      entry.attempts = 0;
    } else if (answer.error().code == Code::kNotFound && !entry.name.empty()) {
      entry.name.clear();  // servers forget events after an hour
      entry.count -= entry.written;
      entry.written = 0;
      return Write(key);
    } else if (++entry.attempts >= options_.attempts || !IsPassing(answer.error().code)) {
      ++dropped_;
      known_.erase(found);
      return;
    }
    entry.timer = executor_.PostAfter(options_.repeat, [weak = weak_from_this(), key] {
      if (const auto self = weak.lock()) self->OnTimer(key);
    });
  }

  void OnTimer(const Key& key) {
    const auto found = known_.find(key);
    if (found == known_.end()) return;
    found->second.timer = 0;
    if (found->second.count > found->second.written) Write(key);
  }

  static bool IsPassing(Code code) {
    return code == Code::kUnavailable || code == Code::kDeadlineExceeded ||
           code == Code::kInternal || code == Code::kUnauthenticated;
  }

  Object Compose(const Key& key, const Entry& entry) {
    const auto& [subject, type, reason, message] = key;
    const auto stamp = static_cast<std::uint64_t>(
        std::chrono::nanoseconds(entry.last_wall.time_since_epoch()).count());
    const std::string suffix = fmt::format(".{:016x}", stamp + serial_++);
    Object involved = {
        {"apiVersion", subject.api_version}, {"kind", subject.kind}, {"name", subject.name}};
    if (!subject.ns.empty()) involved["namespace"] = subject.ns;
    if (!subject.uid.empty()) involved["uid"] = subject.uid;
    const std::string ns = subject.ns.empty() ? "default" : subject.ns;
    return {{"apiVersion", "v1"},
            {"kind", "Event"},
            {"metadata", Object{{"name", Cut(subject.name, kMostName - suffix.size()) + suffix},
                                {"namespace", ns}}},
            {"involvedObject", std::move(involved)},
            {"type", type == EventType::kNormal ? "Normal" : "Warning"},
            {"reason", reason},
            {"message", message},
            {"count", entry.count},
            {"firstTimestamp", FormatTime(entry.first_wall)},
            {"lastTimestamp", FormatTime(entry.last_wall)},
            {"source", Object{{"component", options_.component}, {"host", options_.instance}}},
            {"reportingComponent", options_.component},
            {"reportingInstance", options_.instance}};
  }

  Client& client_;
  Executor& executor_;
  const Clock& clock_;
  const EventOptions options_;
  std::map<Key, Entry> known_;
  std::map<EventSubject, Bucket> buckets_;
  std::uint64_t dropped_ = 0;
  std::uint64_t serial_ = 0;  // tells events of the same moment apart
};

EventRecorder::EventRecorder(Client& client, Executor& executor, const Clock& clock,
                             EventOptions options)
    : impl_(std::make_shared<Impl>(client, executor, clock, std::move(options))) {}

EventRecorder::~EventRecorder() { impl_->Stop(); }

void EventRecorder::Record(const EventSubject& subject, EventType type, const std::string& reason,
                           const std::string& message) {
  impl_->Record(subject, type, reason, message);
}

std::uint64_t EventRecorder::dropped() const { return impl_->dropped(); }

}  // namespace aliquot::kube
