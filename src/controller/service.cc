// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/service.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/json/serialize.hpp>
#include <future>
#include <memory>
#include <utility>

#include "base/executor.h"
#include "http/published.h"
#include "http/server.h"
#include "metrics/process.h"

namespace aliquot::controller {
namespace {

using std::chrono::seconds;

constexpr seconds kHeartbeat{5};
constexpr seconds kStuck{30};
constexpr seconds kRelease{3};
constexpr char kText[] = "text/plain; charset=utf-8";

}  // namespace

class Service::Impl {
 public:
  Impl(ServiceOptions options, std::unique_ptr<kube::Client> client, const Clock& clock,
       const Logger& log)
      : options_(std::move(options)),
        clock_(clock),
        log_(log),
        metrics_(registry_),
        client_(std::move(client)) {
    metrics_.SetBuild(options_.replica.version);
    metrics::AddProcessMetrics(registry_, "/proc");
  }
  ~Impl();

  Status Start();
  std::uint16_t port() const { return http_ ? http_->port() : 0; }

 private:
  Status StartHttp();
  http::Response Health() const;
  void Heartbeat();
  void Release();

  const ServiceOptions options_;
  const Clock& clock_;
  const Logger& log_;
  metrics::Registry registry_;
  ControllerMetrics metrics_;
  http::Published<ServiceStatus> page_;  // made on the executor, read by the HTTP thread
  std::atomic<Clock::Duration::rep> last_beat_{0};
  std::unique_ptr<http::Server> http_;
  ThreadExecutor executor_;

  // Owned by the executor from here on.
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<Replica> replica_;
};

Status Service::Impl::Start() {
  std::promise<Status> started;
  executor_.Post([&] {
    Heartbeat();
    auto replica = Replica::Start(options_.replica,
                                  {*client_, executor_, clock_, log_, metrics_,
                                   [this](const ServiceStatus& status) { page_.Set(status); }});
    started.set_value(replica.status());
    if (replica.ok()) replica_ = *std::move(replica);
  });
  if (Status status = started.get_future().get(); !status.ok()) return status;
  return StartHttp();
}

Service::Impl::~Impl() {
  if (http_) http_->Stop();
  Release();
  std::promise<void> done;
  executor_.Post([&] {
    replica_.reset();
    client_.reset();
    done.set_value();
  });
  done.get_future().wait();
  executor_.Stop();
}

// Gives the lease up, unless the API server takes too long to hear it.
void Service::Impl::Release() {
  const auto done = std::make_shared<std::promise<void>>();
  auto released = done->get_future();
  executor_.Post([this, done] {
    if (!replica_) return done->set_value();
    replica_->Stop([done] { done->set_value(); });
  });
  released.wait_for(kRelease);
}

void Service::Impl::Heartbeat() {
  last_beat_.store(clock_.Now().time_since_epoch().count());
  executor_.PostAfter(kHeartbeat, [this] { Heartbeat(); });
}

http::Response Service::Impl::Health() const {
  const Clock::TimePoint beat{Clock::Duration(last_beat_.load())};
  if (clock_.Now() - beat < kStuck) return {200, kText, "ok\n"};
  return {503, kText, "the controller's main thread does not respond\n"};
}

Status Service::Impl::StartHttp() {
  last_beat_.store(clock_.Now().time_since_epoch().count());
  if (options_.listen_address.empty()) return {};
  http::ServerOptions options;
  options.address = options_.listen_address;
  options.port = options_.listen_port;
  http::Routes routes;
  routes["/metrics"] = [this](const http::Request&) {
    return http::Response{200, metrics::kContentType, registry_.Text()};
  };
  routes["/healthz"] = [this](const http::Request&) { return Health(); };
  // A replica that waits for its turn is as ready as the one that acts.
  routes["/readyz"] = routes["/healthz"];
  routes["/statusz"] = [this](const http::Request&) {
    return http::Response{200, "application/json",
                          boost::json::serialize(ToJson(*page_.Get())) + "\n"};
  };
  auto server = http::Server::Start(std::move(options), std::move(routes));
  if (!server.ok()) return server.error();
  http_ = std::move(*server);
  log_.Info("status pages served",
            {{"address", options_.listen_address}, {"port", fmt::to_string(http_->port())}});
  return {};
}

Service::Service(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Service::~Service() = default;

Result<std::unique_ptr<Service>> Service::Start(ServiceOptions options,
                                                std::unique_ptr<kube::Client> client,
                                                const Clock& clock, const Logger& log) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(client), clock, log);
  if (Status started = impl->Start(); !started.ok()) return started.error();
  return std::unique_ptr<Service>(new Service(std::move(impl)));
}

std::uint16_t Service::port() const { return impl_->port(); }

}  // namespace aliquot::controller
