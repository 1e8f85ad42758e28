// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/client_fake.h"

namespace aliquot::kube {
namespace {

std::vector<Object> Excerpts(const Selection& selection, std::vector<Object> objects) {
  if (!selection.excerpt) return objects;
  for (Object& object : objects) object = selection.excerpt(object);
  return objects;
}

}  // namespace

// Decides which requests fail, and counts them. Thread-safe.
class FakeClient::Gate {
 public:
  Status Pass(const std::string& verb, const std::string& plural) {
    std::lock_guard lock(mutex_);
    ++counts_[{verb, plural}];
    if (unavailable_) return *unavailable_;
    for (auto& plan : plans_) {
      const bool meant = (plan.verb == "*" || plan.verb == verb) &&
                         (plan.plural == "*" || plan.plural == plural) && plan.times > 0;
      if (!meant) continue;
      --plan.times;
      return plan.error;
    }
    return {};
  }
  void Fail(std::string verb, std::string plural, Error error, std::size_t times) {
    std::lock_guard lock(mutex_);
    plans_.push_back({std::move(verb), std::move(plural), std::move(error), times});
  }
  void SetUnavailable(std::optional<Error> error) {
    std::lock_guard lock(mutex_);
    unavailable_ = std::move(error);
  }
  std::size_t Count(const std::string& verb, const std::string& plural) const {
    std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [key, count] : counts_) {
      if ((verb == "*" || key.first == verb) && (plural == "*" || key.second == plural)) {
        sum += count;
      }
    }
    return sum;
  }

 private:
  struct Plan {
    std::string verb;
    std::string plural;
    Error error;
    std::size_t times;
  };

  mutable std::mutex mutex_;
  std::deque<Plan> plans_;
  std::optional<Error> unavailable_;
  std::map<std::pair<std::string, std::string>, std::size_t> counts_;
};

// One watch. All but the constructor, Start and Post* run on the executor it reports to.
class FakeClient::Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(FakeCluster& cluster, std::shared_ptr<Gate> gate, Selection selection, Executor& on,
         WatchHandler& handler)
      : cluster_(cluster),
        gate_(std::move(gate)),
        selection_(std::move(selection)),
        on_(on),
        handler_(handler) {}
  ~Stream() {
    if (id_ != 0) cluster_.Unwatch(id_);
  }

  void PostBegin() {
    on_.Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Begin();
    });
  }
  void PostBreak(const Error& error) {
    on_.Post([weak = weak_from_this(), error] {
      if (const auto self = weak.lock()) self->Fail(error);
    });
  }

  // No call to the handler afterwards.
  void Close() {
    closed_ = true;
    Drop();
  }

 private:
  void Drop() {
    if (id_ != 0) cluster_.Unwatch(id_);
    id_ = 0;
    ++epoch_;
  }

  void Begin() {
    if (closed_) return;
    Drop();
    if (Status status = gate_->Pass("watch", selection_.resource.plural); !status.ok()) {
      return Fail(status.error());
    }
    auto page = cluster_.List(selection_);
    if (!page.ok()) return Fail(page.error());
    const auto tell = [weak = weak_from_this(), epoch = epoch_,
                       &on = on_](const WatchEvent& event) {
      on.Post([weak, epoch, event] {
        if (const auto self = weak.lock()) self->Deliver(epoch, event);
      });
    };
    const auto id = cluster_.Watch(selection_, page->version, tell);
    if (!id.ok()) return Fail(id.error());
    id_ = *id;
    failing_ = false;
    handler_.OnSync(Excerpts(selection_, std::move(page->items)));
  }

  void Deliver(std::uint64_t epoch, const WatchEvent& event) {
    if (closed_ || epoch != epoch_) return;
    if (event.type == "BOOKMARK") return;
    Object object = selection_.excerpt ? selection_.excerpt(event.object) : event.object;
    if (event.type == "DELETED") {
      handler_.OnDelete(std::move(object));
    } else {
      handler_.OnUpdate(std::move(object));
    }
  }

  void Fail(const Error& error) {
    if (closed_) return;
    Drop();
    on_.PostAfter(kWatchRetry, [weak = weak_from_this(), epoch = epoch_] {
      const auto self = weak.lock();
      if (self && self->epoch_ == epoch) self->Begin();
    });
    if (failing_) return;
    failing_ = true;
    handler_.OnUnavailable(error.In("watch " + selection_.resource.plural));
  }

  FakeCluster& cluster_;
  const std::shared_ptr<Gate> gate_;
  const Selection selection_;
  Executor& on_;
  WatchHandler& handler_;
  FakeCluster::WatchId id_ = 0;  // 0 = none running
  std::uint64_t epoch_ = 0;      // tells events of a dropped stream from those of the present one
  bool closed_ = false;
  bool failing_ = false;
};

class FakeClient::Handle final : public Watch {
 public:
  explicit Handle(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  ~Handle() override { stream_->Close(); }

 private:
  const std::shared_ptr<Stream> stream_;
};

FakeClient::FakeClient(FakeCluster& cluster, std::string manager)
    : cluster_(cluster), manager_(std::move(manager)), gate_(std::make_shared<Gate>()) {}

FakeClient::~FakeClient() = default;

void FakeClient::FailNext(const std::string& verb, const std::string& plural, Error error,
                          std::size_t times) {
  gate_->Fail(verb, plural, std::move(error), times);
}

void FakeClient::SetUnavailable(Error error) {
  gate_->SetUnavailable(error);
  BreakWatches(error);
}

void FakeClient::SetAvailable() { gate_->SetUnavailable(std::nullopt); }

void FakeClient::BreakWatches(const Error& error) {
  for (const auto& stream : Streams()) stream->PostBreak(error);
}

void FakeClient::ExpireWatches() {
  for (const auto& stream : Streams()) stream->PostBegin();
}

std::size_t FakeClient::Count(const std::string& verb, const std::string& plural) const {
  return gate_->Count(verb, plural);
}

std::vector<std::shared_ptr<FakeClient::Stream>> FakeClient::Streams() {
  std::lock_guard lock(mutex_);
  std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
  std::vector<std::shared_ptr<Stream>> out;
  for (const auto& weak : streams_) {
    if (auto stream = weak.lock()) out.push_back(std::move(stream));
  }
  return out;
}

template <typename T>
void FakeClient::Answer(Executor& on, Done<T> done, Result<T> result) {
  on.Post([alive = std::weak_ptr<int>(alive_), done = std::move(done), result = std::move(result)] {
    if (!alive.expired()) done(result);
  });
}

void FakeClient::Get(const Ref& ref, Executor& on, Done<Object> done) {
  const Status pass = gate_->Pass("get", ref.resource.plural);
  Result<Object> result = pass.ok() ? cluster_.Get(ref) : pass.error();
  Answer<Object>(on, std::move(done),
                 result.ok() ? result : result.error().In("get " + ref.ToString()));
}

void FakeClient::List(const Selection& selection, Executor& on, Done<std::vector<Object>> done) {
  const std::string context = "list " + selection.resource.plural;
  using Items = std::vector<Object>;
  if (Status pass = gate_->Pass("list", selection.resource.plural); !pass.ok()) {
    return Answer<Items>(on, std::move(done), pass.error().In(context));
  }
  auto page = cluster_.List(selection);
  if (!page.ok()) return Answer<Items>(on, std::move(done), page.error().In(context));
  Answer<Items>(on, std::move(done), Excerpts(selection, std::move(page->items)));
}

void FakeClient::Create(const Resource& resource, const std::string& ns, Object object,
                        Executor& on, Done<Object> done) {
  const boost::json::value* metadata = object.if_contains("metadata");
  Ref ref{resource, ns, "", ""};
  if (metadata != nullptr && metadata->is_object()) {
    const boost::json::value* name = metadata->as_object().if_contains("name");
    if (name != nullptr && name->is_string()) ref.name = std::string(name->as_string());
  }
  const Status pass = gate_->Pass("create", resource.plural);
  Result<Object> result =
      pass.ok() ? cluster_.Create(resource, ns, std::move(object), manager_) : pass.error();
  Answer<Object>(on, std::move(done),
                 result.ok() ? result : result.error().In("create " + ref.ToString()));
}

void FakeClient::Update(const Ref& ref, Object object, Executor& on, Done<Object> done) {
  const Status pass = gate_->Pass("update", ref.resource.plural);
  Result<Object> result =
      pass.ok() ? cluster_.Update(ref, std::move(object), manager_) : pass.error();
  Answer<Object>(on, std::move(done),
                 result.ok() ? result : result.error().In("update " + ref.ToString()));
}

void FakeClient::Patch(const Ref& ref, PatchType type, boost::json::value patch, Executor& on,
                       Done<Object> done) {
  const Status pass = gate_->Pass("patch", ref.resource.plural);
  Result<Object> result = pass.ok() ? cluster_.Patch(ref, type, patch, manager_) : pass.error();
  Answer<Object>(on, std::move(done),
                 result.ok() ? result : result.error().In("patch " + ref.ToString()));
}

void FakeClient::Apply(const Ref& ref, const std::string& manager, bool force, Object object,
                       Executor& on, Done<Object> done) {
  const Status pass = gate_->Pass("apply", ref.resource.plural);
  Result<Object> result =
      pass.ok() ? cluster_.Apply(ref, manager, force, std::move(object)) : pass.error();
  Answer<Object>(on, std::move(done),
                 result.ok() ? result : result.error().In("apply " + ref.ToString()));
}

void FakeClient::Delete(const Ref& ref, Executor& on, Done<Object> done) {
  const Status pass = gate_->Pass("delete", ref.resource.plural);
  Result<Object> result = pass.ok() ? cluster_.Delete(ref) : pass.error();
  if (!result.ok() && result.error().code == Code::kNotFound && pass.ok()) result = Object();
  Answer<Object>(on, std::move(done),
                 result.ok() ? result : result.error().In("delete " + ref.ToString()));
}

std::unique_ptr<Watch> FakeClient::StartWatch(Selection selection, Executor& on,
                                              WatchHandler& handler) {
  auto stream = std::make_shared<Stream>(cluster_, gate_, std::move(selection), on, handler);
  {
    std::lock_guard lock(mutex_);
    streams_.push_back(stream);
  }
  stream->PostBegin();
  return std::make_unique<Handle>(std::move(stream));
}

}  // namespace aliquot::kube
