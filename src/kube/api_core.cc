// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/api_core.h"

#include <boost/json/value.hpp>
#include <utility>

#include "kube/list_stream.h"

namespace aliquot::kube {
namespace {

constexpr std::chrono::seconds kMostRetryAfter{10};
constexpr std::size_t kMostRefusal = 64u << 10;  // bytes read of why a list is refused

// One request until it is answered for good. Runs on the thread of whoever calls next: first the
// caller's, then the http client's, then, after a pause, the executor's; never on two at once.
class CallInProgress : public std::enable_shared_from_this<CallInProgress> {
 public:
  CallInProgress(std::shared_ptr<ApiCore> core, ApiRequest request, Executor& on, ApiDone done)
      : core_(std::move(core)),
        request_(std::move(request)),
        on_(on),
        done_(std::move(done)),
        deadline_(core_->clock().Now() + core_->options().timeout) {}

  void Attempt() {
    if (core_->stopped()) return;
    http::ClientRequest request = core_->Prepare(request_.method, request_.path, used_);
    if (!request_.content_type.empty()) {
      request.headers.emplace_back("Content-Type", request_.content_type);
    }
    request.body = request_.body;
    request.repeatable = request_.repeatable;
    request.total = std::max(Left(), std::chrono::milliseconds(1));
    request.idle = request.total;
    if (request_.sink) return Stream(std::move(request));
    core_->http().Send(std::move(request),
                       [self = shared_from_this()](Result<http::ClientResponse> response) {
                         self->OnResponse(std::move(response));
                       });
  }

 private:
  std::chrono::milliseconds Left() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - core_->clock().Now());
  }

  // Of a success the body goes to the sink, of a refusal into the response.
  void Stream(http::ClientRequest request) {
    request.body_limit = 0;
    const auto response = std::make_shared<http::ClientResponse>();
    http::StreamHandler handler;
    handler.on_head = [response](http::ResponseHead head) { response->head = std::move(head); };
    handler.on_data = [self = shared_from_this(), response](std::string_view data) {
      if (response->head.status >= 300) {
        if (response->body.size() < kMostRefusal) response->body.append(data);
      } else if (self->sunk_.ok()) {
        self->sunk_ = self->request_.sink(data);
      }
    };
    handler.on_end = [self = shared_from_this(), response](Status status) {
      if (!status.ok()) return self->OnResponse(status.error());
      self->OnResponse(std::move(*response));
    };
    core_->http().Stream(std::move(request), std::move(handler));
  }

  void OnResponse(Result<http::ClientResponse> response) {
    if (!response.ok()) {
      ++core_->counters.failures;
      return Finish(response.error());
    }
    const int status = response->head.status;
    if (status < 300 && request_.sink) {
      return Finish(sunk_.ok() ? Result<boost::json::value>(nullptr) : sunk_.error());
    }
    if (status < 300) return Finish(ParseJson(response->body));
    ++core_->counters.failures;
    if (status == 401 && !std::exchange(refreshed_, true) && core_->credentials().Refresh(used_)) {
      return Attempt();
    }
    if (status == 429 || status == 503) {
      const auto asked = RetryAfter(response->head.Find("Retry-After"));
      if (asked && *asked < kMostRetryAfter) {
        // A little longer, so that those who were sent away together do not come back together.
        const auto wait = std::chrono::milliseconds(static_cast<std::int64_t>(
            static_cast<double>(asked->count()) * 1000 * (1 + core_->Draw() / 2)));
        if (wait < Left()) return Later(wait);
      }
    }
    Finish(ErrorOfStatus(status, response->body));
  }

  void Later(std::chrono::milliseconds wait) {
    on_.PostAfter(wait, [self = shared_from_this()] { self->Attempt(); });
  }

  void Finish(Result<boost::json::value> result) {
    if (!result.ok()) result = result.error().In(request_.context);
    on_.Post([self = shared_from_this(), result = std::move(result)]() mutable {
      if (!self->core_->stopped()) self->done_(std::move(result));
    });
  }

  const std::shared_ptr<ApiCore> core_;
  const ApiRequest request_;
  Executor& on_;
  const ApiDone done_;
  const Clock::TimePoint deadline_;
  Credentials::Present used_;
  bool refreshed_ = false;
  Status sunk_;  // what the sink said
};

// Pages of a list. Runs on the executor.
class ListInProgress : public std::enable_shared_from_this<ListInProgress> {
 public:
  ListInProgress(std::shared_ptr<ApiCore> core, Selection selection, Executor& on,
                 std::function<void(Result<ApiList>)> done)
      : core_(std::move(core)),
        selection_(std::move(selection)),
        on_(on),
        done_(std::move(done)),
        limit_(core_->options().page) {}

  void Fetch(const std::string& next) {
    auto path = CollectionPath(selection_.resource, selection_.ns);
    if (!path.ok()) {
      return on_.Post([self = shared_from_this(), error = path.error()] {
        if (!self->core_->stopped()) self->done_(error);
      });
    }
    Query query = SelectionQuery(selection_);
    if (limit_ != 0) query.emplace_back("limit", std::to_string(limit_));
    if (!next.empty()) query.emplace_back("continue", next);
    ApiRequest request;
    request.path = WithQuery(*path, query);
    request.context = "list " + selection_.resource.plural;
    const auto decoder = std::make_shared<ListDecoder>(selection_.excerpt);
    request.sink = [decoder](std::string_view bytes) { return decoder->Feed(bytes); };
    Call(core_, std::move(request), on_,
         [self = shared_from_this(), decoder,
          first = next.empty()](const Result<boost::json::value>& answer) {
           if (!answer.ok()) return self->OnRefused(answer.error(), first);
           self->OnPage(decoder->Finish());
         });
  }

 private:
  void OnRefused(const Error& error, bool first) {
    if (error.code != Code::kOutOfRange || first) return done_(error);
    // The server forgot the list between two pages; all at once cannot fail that way.
    limit_ = 0;
    list_ = {};
    Fetch("");
  }

  void OnPage(Result<ListPage> page) {
    if (!page.ok()) return done_(page.error().In("list " + selection_.resource.plural));
    list_.version = page->version;
    list_.items.insert(list_.items.end(), std::make_move_iterator(page->items.begin()),
                       std::make_move_iterator(page->items.end()));
    if (!page->next.empty()) return Fetch(page->next);
    done_(std::move(list_));
  }

  const std::shared_ptr<ApiCore> core_;
  const Selection selection_;
  Executor& on_;
  const std::function<void(Result<ApiList>)> done_;
  std::size_t limit_;
  ApiList list_;
};

}  // namespace

ApiCore::ApiCore(std::unique_ptr<Credentials> credentials, std::unique_ptr<http::Client> http,
                 ApiOptions options, const Clock& clock, Random random)
    : options_(std::move(options)),
      clock_(clock),
      credentials_(std::move(credentials)),
      random_(std::move(random)),
      tls_(credentials_->Get().tls),
      http_(std::move(http)) {}

void ApiCore::Stop() {
  stopped_ = true;
  http_->Stop();
}

double ApiCore::Draw() {
  std::lock_guard lock(mutex_);
  return random_();
}

std::chrono::milliseconds ApiCore::Draw(Backoff& backoff) {
  std::lock_guard lock(mutex_);
  return backoff.Next(random_);
}

ApiStats ApiCore::stats() const {
  return {counters.requests, counters.failures, counters.relists, counters.resumes};
}

http::ClientRequest ApiCore::Prepare(const std::string& method, const std::string& path,
                                     Credentials::Present& used) {
  used = credentials_->Get();
  {
    std::lock_guard lock(mutex_);
    // Half-written files make no sense together; then the old ones stay until the next request.
    if (used.tls != tls_ && http_->SetTls(used.tls).ok()) tls_ = used.tls;
  }
  ++counters.requests;
  http::ClientRequest request;
  request.method = method;
  request.target = credentials_->access().path + path;
  request.headers = {{"Accept", "application/json"}, {"User-Agent", options_.user_agent}};
  if (!used.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + used.token);
  return request;
}

void Call(const std::shared_ptr<ApiCore>& core, ApiRequest request, Executor& on, ApiDone done) {
  std::make_shared<CallInProgress>(core, std::move(request), on, std::move(done))->Attempt();
}

void CallList(const std::shared_ptr<ApiCore>& core, const Selection& selection, Executor& on,
              std::function<void(Result<ApiList>)> done) {
  std::make_shared<ListInProgress>(core, selection, on, std::move(done))->Fetch("");
}

}  // namespace aliquot::kube
