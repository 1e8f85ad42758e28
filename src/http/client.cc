// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cctype>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "http/client_connection.h"

namespace aliquot::http {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

bool EqualNames(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// Nothing that would end a line of the request early.
bool IsClean(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

bool IsClean(const ClientRequest& request) {
  return IsClean(request.method) && IsClean(request.target) &&
         request.target.find(' ') == std::string::npos &&
         std::all_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
           return IsClean(header.first) && IsClean(header.second);
         });
}

}  // namespace

std::string_view ResponseHead::Find(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (EqualNames(key, name)) return value;
  }
  return {};
}

// Everything but the constructor, Open, Submit, Cancel, SetTls, Post and Stop runs on thread_.
class Client::Impl {
 public:
  explicit Impl(ClientOptions options)
      : options_(std::move(options)), work_(io_.get_executor()), sweep_(io_) {}

  Status Open() {
    if (options_.host.empty() || options_.port == 0) {
      return Error{Code::kInvalidArgument, "an HTTP client needs a host and a port"};
    }
    if (options_.use_tls) {
      auto context = MakeClientContext(options_.tls);
      if (!context.ok()) return context.error();
      tls_ = *std::move(context);
      server_name_ = NameOf(options_.tls);
    }
    StartThread();
    return {};
  }

  CallId Submit(ClientRequest request, StreamHandler handler) {
    const CallId id = ++last_id_;
    auto call = std::make_shared<Call>(id, std::move(request), std::move(handler), io_);
    Post([this, call] { Begin(call); });
    return id;
  }

  void Cancel(CallId id) {
    Post([this, id] {
      const auto found = calls_.find(id);
      if (found != calls_.end()) Drop(found->second);
    });
  }

  Status SetTls(const TlsOptions& tls) {
    if (!options_.use_tls) return {};
    auto context = MakeClientContext(tls);
    if (!context.ok()) return context.error();
    Post([this, context = *std::move(context), name = NameOf(tls)] {
      tls_ = context;
      server_name_ = name;
      ++generation_;
      while (!idle_.empty()) CloseIdle(idle_.begin());
    });
    return {};
  }

  void Stop() {
    {
      std::lock_guard lock(gate_);
      stopped_ = true;
    }
    if (!thread_.joinable()) return;
    io_.stop();
    thread_.join();
    LetGo();
  }

 private:
  struct Line {  // to the server
    std::shared_ptr<ClientConnection> connection;
    std::uint64_t generation;  // of the TLS options
  };
  struct Call {
    Call(CallId call_id, ClientRequest call_request, StreamHandler call_handler,
         asio::io_context& io)
        : id(call_id),
          request(std::move(call_request)),
          handler(std::move(call_handler)),
          timer(io) {}
    const CallId id;
    const ClientRequest request;
    const StreamHandler handler;
    asio::steady_timer timer;  // the total time
    std::optional<Line> line;
    bool repeated = false;
  };
  struct Idle {
    Line line;
    asio::steady_timer::time_point until;
  };
  using CallPtr = std::shared_ptr<Call>;

  // Signals belong to the program's own threads, so the new one starts with all of them blocked.
  void StartThread() {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { io_.run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(thread_.native_handle(), "aliquot-api");
  }

  std::string NameOf(const TlsOptions& tls) const {
    return tls.server_name.empty() ? options_.host : tls.server_name;
  }

  void Post(std::function<void()> task) {
    std::lock_guard lock(gate_);
    if (!stopped_) asio::post(io_, std::move(task));
  }

  // After the thread's end. A callback may own the owner of this client, so none may be left: not
  // in a call, not in a connection, not in what was still to be run.
  void LetGo() {
    over_ = true;
    for (const auto& [id, call] : calls_) {
      if (call->line) call->line->connection->Close();
    }
    for (const Idle& idle : idle_) idle.line.connection->Close();
    calls_.clear();
    waiting_.clear();
    idle_.clear();
    sweep_.cancel();
    io_.restart();
    io_.poll();
  }

  void Begin(const CallPtr& call) {
    if (over_) return;
    calls_[call->id] = call;
    if (!IsClean(call->request)) {
      return End(call, Error{Code::kInvalidArgument,
                             fmt::format("{}:{}: the request has control characters in its target "
                                         "or headers",
                                         options_.host, options_.port)});
    }
    if (call->request.total.count() != 0) {
      call->timer.expires_after(call->request.total);
      call->timer.async_wait([this, weak = std::weak_ptr(call)](ErrorCode error) {
        const auto late = weak.lock();
        if (error || late == nullptr || !calls_.contains(late->id)) return;
        End(late, Error{Code::kDeadlineExceeded,
                        fmt::format("{}:{}: no complete answer within {} ms", options_.host,
                                    options_.port, late->request.total.count())});
      });
    }
    Dispatch(call);
  }

  // Gives the call a connection, or lets it wait for one.
  void Dispatch(const CallPtr& call) {
    if (!idle_.empty() && !call->repeated) {
      call->line = idle_.back().line;
      idle_.pop_back();
      return Run(call, true);
    }
    if (open_ >= options_.connections && !idle_.empty()) CloseIdle(idle_.begin());
    if (open_ >= options_.connections) {
      waiting_.push_back(call);
      return;
    }
    ++open_;
    call->line = {MakeConnection(io_, options_, tls_, server_name_), generation_};
    call->line->connection->Connect([this, call](Status status) {
      if (!status.ok()) return End(call, std::move(status));
      Run(call, false);
    });
  }

  void Run(const CallPtr& call, bool reused) {
    call->line->connection->Run(
        call->request, call->handler, [this, call, reused](Outcome outcome) {
          const bool stale = reused && outcome.untouched && !outcome.status.ok() &&
                             outcome.status.error().code == Code::kUnavailable;
          if (stale && call->request.repeatable && !call->repeated) {
            call->repeated = true;
            CloseLine(*std::exchange(call->line, std::nullopt));
            return Dispatch(call);
          }
          if (outcome.reusable) Keep(*std::exchange(call->line, std::nullopt));
          End(call, std::move(outcome.status));
        });
  }

  void Keep(Line line) {
    if (line.generation != generation_ || options_.idle_connections == 0) return CloseLine(line);
    if (idle_.size() >= options_.idle_connections) CloseIdle(idle_.begin());
    idle_.push_back({line, asio::steady_timer::clock_type::now() + options_.keep_idle});
    line.connection->AwaitEnd([this, raw = line.connection.get()] {
      const auto found = std::find_if(idle_.begin(), idle_.end(), [raw](const Idle& idle) {
        return idle.line.connection.get() == raw;
      });
      if (found != idle_.end()) CloseIdle(found);
    });
    if (idle_.size() == 1) Sweep();
  }

  // Closes idle connections when their time is over; there is a timer only as long as there are
  // any.
  void Sweep() {
    if (idle_.empty()) return;
    sweep_.expires_at(idle_.front().until);
    sweep_.async_wait([this](ErrorCode error) {
      if (error) return;
      const auto now = asio::steady_timer::clock_type::now();
      while (!idle_.empty() && idle_.front().until <= now) CloseIdle(idle_.begin());
      Sweep();
    });
  }

  void CloseIdle(std::list<Idle>::iterator idle) {
    const Line line = idle->line;
    idle_.erase(idle);
    CloseLine(line);
  }

  void CloseLine(const Line& line) {
    line.connection->Close();
    --open_;
  }

  // Forgets the call and serves the next one. By value: what the caller has may be forgotten, too.
  void Drop(CallPtr call) {
    calls_.erase(call->id);
    call->timer.cancel();
    std::erase(waiting_, call);
    if (call->line) CloseLine(*std::exchange(call->line, std::nullopt));
    while (!waiting_.empty() && (open_ < options_.connections || !idle_.empty())) {
      const CallPtr next = waiting_.front();
      waiting_.pop_front();
      Dispatch(next);
    }
  }

  void End(CallPtr call, Status status) {
    Drop(call);
    call->handler.on_end(std::move(status));
  }

  const ClientOptions options_;
  std::atomic<CallId> last_id_ = 0;
  TlsContext tls_;
  std::string server_name_;
  std::uint64_t generation_ = 0;
  bool over_ = false;
  std::mutex gate_;  // nothing is posted once stopped_ is set
  bool stopped_ = false;
  std::size_t open_ = 0;  // connections, in use and idle
  std::map<CallId, CallPtr> calls_;
  std::deque<CallPtr> waiting_;
  std::list<Idle> idle_;  // the one unused for longest first
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::steady_timer sweep_;
  std::thread thread_;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Client::~Client() { Stop(); }

Result<std::unique_ptr<Client>> Client::Start(ClientOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  if (Status status = impl->Open(); !status.ok()) return status.error();
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Client::CallId Client::Send(ClientRequest request,
                            std::function<void(Result<ClientResponse>)> done) {
  const auto response = std::make_shared<ClientResponse>();
  StreamHandler handler;
  handler.on_head = [response](ResponseHead head) { response->head = std::move(head); };
  handler.on_data = [response](std::string_view data) { response->body.append(data); };
  handler.on_end = [response, done = std::move(done)](Status status) {
    if (!status.ok()) return done(status.error());
    done(std::move(*response));
  };
  return Stream(std::move(request), std::move(handler));
}

Client::CallId Client::Stream(ClientRequest request, StreamHandler handler) {
  return impl_->Submit(std::move(request), std::move(handler));
}

void Client::Cancel(CallId id) { impl_->Cancel(id); }

Status Client::SetTls(const TlsOptions& tls) { return impl_->SetTls(tls); }

void Client::Stop() { impl_->Stop(); }

}  // namespace aliquot::http
