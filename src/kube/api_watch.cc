// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <utility>

#include "kube/api_core.h"
#include "kube/watch_stream.h"

namespace aliquot::kube {
namespace {

using Milliseconds = std::chrono::milliseconds;

// A stream that lasted this long was a working one: the next starts at once.
constexpr std::chrono::seconds kWorking{1};

// Worth to be tried again from the same version without a word to anybody.
bool IsPassing(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded || code == Code::kDataLoss ||
         code == Code::kInternal || code == Code::kUnknown;
}

// How a stream ended.
struct StreamEnd {
  Status status;  // ok = the server ended it as announced
  bool unauthenticated = false;
  std::optional<std::chrono::seconds> retry_after;
};

// The way to the executor for the http client's thread, which may still have something to say when
// the watch is over and the executor gone.
class Outlet {
 public:
  explicit Outlet(Executor& on) : on_(&on) {}
  void Post(Executor::Task task) {
    std::lock_guard lock(mutex_);
    if (on_ != nullptr) on_->Post(std::move(task));
  }
  void Close() {
    std::lock_guard lock(mutex_);
    on_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Executor* on_;
};

// Lists, streams, and again. Everything runs on the executor it reports to, but the callbacks of
// the stream, which only parse and post.
class ApiWatch : public std::enable_shared_from_this<ApiWatch> {
 public:
  ApiWatch(std::shared_ptr<ApiCore> core, Selection selection, Executor& on, WatchHandler& handler)
      : core_(std::move(core)),
        selection_(std::move(selection)),
        on_(on),
        outlet_(std::make_shared<Outlet>(on)),
        handler_(handler),
        backoff_(core_->options().backoff_least, core_->options().backoff_most) {}

  void Begin() {
    on_.Post([self = shared_from_this()] { self->List(); });
  }

  void Close() {
    ++epoch_;
    closed_ = true;
    outlet_->Close();
    on_.Cancel(timer_);
    core_->http().Cancel(std::exchange(stream_, 0));
  }

 private:
  bool Over(std::uint64_t epoch) const { return closed_ || epoch != epoch_ || core_->stopped(); }

  void List() {
    if (Over(epoch_)) return;
    if (listed_) ++core_->counters.relists;
    CallList(core_, selection_, on_,
             [self = shared_from_this(), epoch = epoch_](Result<ApiList> list) {
               if (!self->Over(epoch)) self->OnList(std::move(list));
             });
  }

  void OnList(Result<ApiList> list) {
    if (!list.ok()) {
      version_.clear();
      return Retry(list.error(), {});
    }
    version_ = list->version;
    listed_ = true;
    told_ = false;
    lost_since_.reset();
    const std::uint64_t epoch = epoch_;
    handler_.OnSync(std::move(list->items));
    if (!Over(epoch)) Open();
  }

  // What the http client's thread knows of a stream.
  struct Stream {
    explicit Stream(const Excerpt& excerpt) : decoder(excerpt) {}
    WatchDecoder decoder;
    int status = 0;
    std::optional<std::chrono::seconds> retry_after;
    std::string refusal;  // the body of an answer that is no stream
    Status broken;
  };

  void Open() {
    const auto path = CollectionPath(selection_.resource, selection_.ns);
    if (!path.ok()) return Retry(path.error(), {});
    const ApiOptions& options = core_->options();
    const auto span = static_cast<double>((options.watch_most - options.watch_least).count());
    const auto timeout =
        options.watch_least + std::chrono::seconds(static_cast<std::int64_t>(core_->Draw() * span));
    Query query = SelectionQuery(selection_);
    query.emplace_back("watch", "true");
    query.emplace_back("allowWatchBookmarks", "true");
    query.emplace_back("resourceVersion", version_);
    query.emplace_back("timeoutSeconds", std::to_string(timeout.count()));
    http::ClientRequest request = core_->Prepare("GET", WithQuery(*path, query), used_);
    request.repeatable = true;
    request.total = Milliseconds(0);
    request.idle = timeout + std::chrono::seconds(30);
    request.body_limit = 0;
    opened_at_ = core_->clock().Now();
    progress_ = false;
    stream_ = core_->http().Stream(std::move(request), MakeHandler());
    // A stream may be silent for long, but its beginning may not.
    After(options.timeout, [](ApiWatch& self) {
      ++self.core_->counters.failures;
      self.EndStream();
      self.Retry({Code::kDeadlineExceeded,
                  fmt::format("no answer within {} ms", self.core_->options().timeout.count())},
                 {});
    });
  }

  http::StreamHandler MakeHandler() {
    const auto stream = std::make_shared<Stream>(selection_.excerpt);
    const auto post = [weak = weak_from_this(), epoch = epoch_, outlet = outlet_](auto task) {
      outlet->Post([weak, epoch, task = std::move(task)]() mutable {
        const auto self = weak.lock();
        if (self != nullptr && !self->Over(epoch)) task(*self);
      });
    };
    http::StreamHandler handler;
    handler.on_head = [stream, post](http::ResponseHead head) {
      stream->status = head.status;
      stream->retry_after = RetryAfter(head.Find("Retry-After"));
      if (head.status == 200) post([](ApiWatch& self) { self.OnOpen(); });
    };
    handler.on_data = [stream, post](std::string_view data) {
      if (stream->status != 200) {
        if (stream->refusal.size() < (64u << 10)) stream->refusal.append(data);
        return;
      }
      if (!stream->broken.ok()) return;
      auto events = std::make_shared<std::vector<WatchEvent>>();
      stream->broken = stream->decoder.Feed(data, *events);
      if (!events->empty()) post([events](ApiWatch& self) { self.OnEvents(*events); });
      if (!stream->broken.ok()) {
        post([end = StreamEnd{stream->broken, false, {}}](ApiWatch& self) { self.OnEnd(end); });
      }
    };
    handler.on_end = [stream, post](Status status) {
      if (!stream->broken.ok()) return;
      StreamEnd end{std::move(status), stream->status == 401, stream->retry_after};
      if (end.status.ok() && stream->status != 200) {
        end.status = ErrorOfStatus(stream->status, stream->refusal);
      }
      post([end](ApiWatch& self) { self.OnEnd(end); });
    };
    return handler;
  }

  // The server took the watch.
  void OnOpen() {
    on_.Cancel(timer_);
    refreshed_ = false;
    if (lost_since_) ++core_->counters.resumes;
    lost_since_.reset();
  }

  void OnEvents(std::vector<WatchEvent>& events) {
    const std::uint64_t epoch = epoch_;
    for (WatchEvent& event : events) {
      if (Over(epoch)) return;  // the handler may close the watch
      if (event.type == "ERROR") {
        const Error error = ErrorOfStatus(event.object);
        EndStream();
        return Lost(error, {});
      }
      progress_ = true;
      if (!event.version.empty()) version_ = event.version;
      if (event.type == "ADDED" || event.type == "MODIFIED") {
        handler_.OnUpdate(std::move(event.object));
      } else if (event.type == "DELETED") {
        handler_.OnDelete(std::move(event.object));
      }
    }
  }

  void EndStream() {
    ++epoch_;  // whatever it still has to say is not heard
    on_.Cancel(timer_);
    core_->http().Cancel(std::exchange(stream_, 0));
  }

  void OnEnd(const StreamEnd& end) {
    EndStream();
    if (end.unauthenticated && !std::exchange(refreshed_, true) &&
        core_->credentials().Refresh(used_)) {
      return Open();
    }
    const Error ended = {Code::kUnavailable, "the server ended the watch at once"};
    if (!end.status.ok()) {
      ++core_->counters.failures;
      return Lost(end.status.error(), end.retry_after);
    }
    Lost(ended, end.retry_after);
  }

  // The stream is gone for the reason `error`; what next?
  void Lost(const Error& error, std::optional<std::chrono::seconds> retry_after) {
    if (error.code == Code::kOutOfRange) {
      version_.clear();
      // Once at once; a server that says so again and again is given time. No outage either way.
      if (!std::exchange(expired_, true)) return List();
      return After(Pause(retry_after), [](ApiWatch& self) { self.List(); });
    }
    const bool worked = progress_ || core_->clock().Now() - opened_at_ >= kWorking;
    if (worked && IsPassing(error.code) && !retry_after) {
      backoff_.Reset();
      expired_ = false;
      lost_since_ = core_->clock().Now();
      return Open();
    }
    Retry(error, retry_after);
  }

  // Waits, then tries again: from where the stream stopped if that is known and not too long ago,
  // else from the list.
  void Retry(const Error& error, std::optional<std::chrono::seconds> retry_after) {
    const Clock::TimePoint now = core_->clock().Now();
    if (!lost_since_) lost_since_ = now;
    const bool bridging = !version_.empty() && !told_ && IsPassing(error.code) &&
                          now - *lost_since_ < core_->options().bridge;
    if (!bridging && !std::exchange(told_, true)) {
      handler_.OnUnavailable(error.In("watch " + selection_.resource.plural));
      if (closed_) return;
    }
    After(Pause(retry_after), [bridging](ApiWatch& self) {
      if (bridging) return self.Open();
      self.List();
    });
  }

  Milliseconds Pause(std::optional<std::chrono::seconds> retry_after) {
    const Milliseconds wait = core_->Draw(backoff_);
    return retry_after ? std::max<Milliseconds>(wait, *retry_after) : wait;
  }

  void After(Milliseconds wait, std::function<void(ApiWatch&)> next) {
    timer_ = on_.PostAfter(wait, [self = shared_from_this(), epoch = epoch_, next] {
      if (!self->Over(epoch)) next(*self);
    });
  }

  const std::shared_ptr<ApiCore> core_;
  const Selection selection_;
  Executor& on_;
  const std::shared_ptr<Outlet> outlet_;
  WatchHandler& handler_;
  Backoff backoff_;
  std::string version_;  // resume from here; empty = list first
  http::Client::CallId stream_ = 0;
  Executor::TimerId timer_ = 0;  // of a pause, or of a stream that has not begun
  Credentials::Present used_;
  Clock::TimePoint opened_at_{};
  std::optional<Clock::TimePoint> lost_since_;  // no stream since then
  std::uint64_t epoch_ = 0;                     // tells the present stream from former ones
  bool progress_ = false;                       // the present stream brought something
  bool listed_ = false;
  bool told_ = false;       // OnUnavailable was called and not ended
  bool expired_ = false;    // 410 since the last working stream
  bool refreshed_ = false;  // credentials were read again since the last working stream
  bool closed_ = false;
};

class WatchHandle final : public Watch {
 public:
  explicit WatchHandle(std::shared_ptr<ApiWatch> watch) : watch_(std::move(watch)) {}
  ~WatchHandle() override { watch_->Close(); }

 private:
  const std::shared_ptr<ApiWatch> watch_;
};

}  // namespace

std::unique_ptr<Watch> StartApiWatch(const std::shared_ptr<ApiCore>& core, Selection selection,
                                     Executor& on, WatchHandler& handler) {
  auto watch = std::make_shared<ApiWatch>(core, std::move(selection), on, handler);
  watch->Begin();
  return std::make_unique<WatchHandle>(std::move(watch));
}

}  // namespace aliquot::kube
