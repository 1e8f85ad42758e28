// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/lease.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "kube/answers.h"
#include "kube/time.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr double kJitter = 1.2;

const Object& SpecOf(const Object& lease) {
  static const Object kNone;
  const json::value* spec = lease.if_contains("spec");
  return spec != nullptr && spec->is_object() ? spec->as_object() : kNone;
}

std::string HolderOf(const Object& lease) {
  const json::value* holder = SpecOf(lease).if_contains("holderIdentity");
  return holder != nullptr && holder->is_string() ? std::string(holder->as_string()) : "";
}

std::int64_t NumberOf(const Object& lease, const char* key) {
  const json::value* value = SpecOf(lease).if_contains(key);
  return value != nullptr && value->is_int64() ? value->as_int64() : 0;
}

}  // namespace

class LeaderElection::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Client& client, Executor& executor, const Clock& clock, LeaseOptions options,
       Callbacks callbacks, Random random)
      : client_(client),
        executor_(executor),
        clock_(clock),
        options_(std::move(options)),
        callbacks_(std::move(callbacks)),
        random_(std::move(random)),
        ref_{kLeases, options_.ns, options_.name, ""} {}

  bool leading() const { return leading_; }

  void Start() { Try(); }

  void Detach() {
    over_ = true;
    executor_.Cancel(retry_);
    executor_.Cancel(deadline_);
  }

  void Stop(std::function<void()> done) {
    const bool held = leading_;
    Detach();
    ++round_;  // answers under way are not heard
    if (leading_) {
      leading_ = false;
      callbacks_.stopped();
    }
    if (!held) return executor_.Post(std::move(done));
    Release(*seen_, true, std::move(done));
  }

 private:
  // One attempt to get or keep the lease. Holders write at once; they are told if it changed.
  void Try() {
    const std::uint64_t round = ++round_;
    sent_at_ = clock_.Now();
    if (leading_) return Write(Renewed(*seen_), round);
    client_.Get(ref_, executor_, Guarded(round, [this, round](Result<Object> lease) {
                  if (lease.ok()) {
                    See(*std::move(lease));
                    if (IsOthers()) return Later();
                    return Write(
                        HolderOf(*seen_) == options_.identity ? Renewed(*seen_) : Taken(*seen_),
                        round);
                  }
                  if (lease.error().code != Code::kNotFound) return Later();
                  sent_at_ = clock_.Now();
                  client_.Create(ref_.resource, ref_.ns, Fresh(), executor_, OnWritten(round));
                }));
  }

  void Write(Object lease, std::uint64_t round) {
    sent_at_ = clock_.Now();
    client_.Update(ref_, std::move(lease), executor_, OnWritten(round));
  }

  Done<Object> OnWritten(std::uint64_t round) {
    return Guarded(round, [this](Result<Object> lease) {
      if (lease.ok()) {
        See(*std::move(lease));
        Held();
      } else if (leading_ && lease.error().code == Code::kAborted) {
        return Reread();
      }
      Later();
    });
  }

  // The lease is not what we wrote last: another took it, or our last renewal went through unheard.
  void Reread() {
    client_.Get(ref_, executor_, Guarded(round_, [this](Result<Object> lease) {
                  const bool gone = !lease.ok() && lease.error().code == Code::kNotFound;
                  if (gone || (lease.ok() && HolderOf(*lease) != options_.identity)) Lose();
                  if (lease.ok()) See(*std::move(lease));
                  Later();
                }));
  }

  Done<Object> Guarded(std::uint64_t round, std::function<void(Result<Object>)> then) {
    return [weak = weak_from_this(), round, then = std::move(then)](Result<Object> result) {
      const auto self = weak.lock();
      if (self != nullptr && !self->over_ && self->round_ == round) then(std::move(result));
    };
  }

  // Notes what the lease is and since when, by our own clock.
  void See(Object lease) {
    const std::string version = MetadataText(lease, "resourceVersion");
    const std::string holder = HolderOf(lease);
    if (!seen_ || MetadataText(*seen_, "resourceVersion") != version) seen_at_ = clock_.Now();
    const bool news = holder != holder_ && !holder.empty() && holder != options_.identity;
    seen_ = std::move(lease);
    holder_ = holder;
    if (news && callbacks_.changed) callbacks_.changed(holder);
  }

  bool IsOthers() const {
    if (holder_.empty() || holder_ == options_.identity) return false;
    const std::int64_t seconds = NumberOf(*seen_, "leaseDurationSeconds");
    const Clock::Duration lasts = seconds > 0 ? Clock::Duration(std::chrono::seconds(seconds))
                                              : Clock::Duration(options_.duration);
    return clock_.Now() < seen_at_ + lasts;
  }

  // The lease is ours from when the request for it was sent.
  void Held() {
    executor_.Cancel(deadline_);
    const Clock::Duration left = sent_at_ + options_.renew_deadline - clock_.Now();
    deadline_ =
        executor_.PostAfter(std::max(left, Clock::Duration::zero()), [weak = weak_from_this()] {
          const auto self = weak.lock();
          if (self != nullptr && !self->over_) self->OnDeadline();
        });
    if (!std::exchange(leading_, true)) callbacks_.started();
  }

  void OnDeadline() {
    Lose();
    Later();  // the request under way, if there is one, is given up
  }

  void Lose() {
    executor_.Cancel(deadline_);
    if (std::exchange(leading_, false)) callbacks_.stopped();
  }

  void Later() {
    if (over_) return;  // a callback may have stopped us
    ++round_;
    executor_.Cancel(retry_);
    auto wait = options_.retry_period;
    if (!leading_) {
      wait += milliseconds(
          static_cast<std::int64_t>(static_cast<double>(wait.count()) * kJitter * random_()));
    }
    retry_ = executor_.PostAfter(wait, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self != nullptr && !self->over_) self->Try();
    });
  }

  // Tries twice: a renewal may have been under way.
  void Release(Object lease, bool again, std::function<void()> done) {
    Object& spec = lease["spec"].as_object();
    spec["holderIdentity"] = "";
    spec["leaseDurationSeconds"] = 1;
    spec["renewTime"] = FormatMicroTime(clock_.WallNow());
    client_.Update(ref_, std::move(lease), executor_,
                   [self = shared_from_this(), again, done](const Result<Object>& answer) {
                     if (answer.ok() || !again || answer.error().code != Code::kAborted) {
                       return done();
                     }
                     self->client_.Get(self->ref_, self->executor_,
                                       [self, done](Result<Object> now) {
                                         if (!now.ok() || HolderOf(*now) != self->options_.identity)
                                           return done();
                                         self->Release(*std::move(now), false, done);
                                       });
                   });
  }

  Object Fresh() const {
    return {{"apiVersion", "coordination.k8s.io/v1"},
            {"kind", "Lease"},
            {"metadata", Object{{"name", options_.name}, {"namespace", options_.ns}}},
            {"spec", Spec(0)}};
  }
  Object Spec(std::int64_t transitions) const {
    const std::string now = FormatMicroTime(clock_.WallNow());
    return {{"holderIdentity", options_.identity},
            {"leaseDurationSeconds",
             duration_cast<std::chrono::seconds>(options_.duration + milliseconds(999)).count()},
            {"acquireTime", now},
            {"renewTime", now},
            {"leaseTransitions", transitions}};
  }
  Object Taken(Object lease) const {
    lease["spec"] = Spec(NumberOf(lease, "leaseTransitions") + 1);
    return lease;
  }
  Object Renewed(Object lease) const {
    Object& spec = lease["spec"].as_object();
    spec["leaseDurationSeconds"] = Spec(0).at("leaseDurationSeconds");
    spec["renewTime"] = FormatMicroTime(clock_.WallNow());
    return lease;
  }

  Client& client_;
  Executor& executor_;
  const Clock& clock_;
  const LeaseOptions options_;
  const Callbacks callbacks_;
  const Random random_;
  const Ref ref_;
  std::optional<Object> seen_;  // the lease as last read or written
  std::string holder_;          // of seen_
  Clock::TimePoint seen_at_{};  // when that version was first seen
  Clock::TimePoint sent_at_{};  // of the last request
  Executor::TimerId retry_ = 0;
  Executor::TimerId deadline_ = 0;
  std::uint64_t round_ = 0;  // tells answers of this attempt from late ones
  bool leading_ = false;
  bool over_ = false;
};

LeaderElection::LeaderElection(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

LeaderElection::~LeaderElection() { impl_->Detach(); }

Result<std::unique_ptr<LeaderElection>> LeaderElection::Create(Client& client, Executor& executor,
                                                               const Clock& clock,
                                                               LeaseOptions options,
                                                               Callbacks callbacks, Random random) {
  if (options.ns.empty() || options.name.empty() || options.identity.empty()) {
    return Error{Code::kInvalidArgument,
                 "a leader election needs a namespace, a lease name and an identity"};
  }
  if (options.retry_period.count() <= 0 || options.retry_period >= options.renew_deadline ||
      options.renew_deadline >= options.duration) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("lease times are {} ms, {} ms and {} ms, expected retry period < renew "
                    "deadline < duration",
                    options.retry_period.count(), options.renew_deadline.count(),
                    options.duration.count())};
  }
  auto impl = std::make_shared<Impl>(client, executor, clock, std::move(options),
                                     std::move(callbacks), std::move(random));
  return std::unique_ptr<LeaderElection>(new LeaderElection(std::move(impl)));
}

void LeaderElection::Start() { impl_->Start(); }

void LeaderElection::Stop(std::function<void()> done) { impl_->Stop(std::move(done)); }

bool LeaderElection::leading() const { return impl_->leading(); }

}  // namespace aliquot::kube
