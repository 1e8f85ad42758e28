// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/api_client.h"

#include <boost/json.hpp>
#include <utility>

#include "kube/api_core.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;

// Most answers are one object.
ApiDone AsObject(Done<Object> done, std::string context) {
  return [done = std::move(done), context = std::move(context)](Result<json::value> answer) {
    if (!answer.ok()) return done(answer.error());
    if (!answer->is_object()) {
      return done(Error{Code::kDataLoss, context + ": the server's answer is not an object"});
    }
    done(std::move(answer->as_object()));
  };
}

const char* ContentType(PatchType type) {
  switch (type) {
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kStrategic:
      return "application/strategic-merge-patch+json";
  }
  return "";
}

// Sends `request` to `path`, if there is one.
void CallObject(const std::shared_ptr<ApiCore>& core, ApiRequest request,
                const Result<std::string>& path, const Query& query, Executor& on,
                Done<Object> done) {
  if (!path.ok()) {
    return on.Post([core, error = path.error().In(request.context), done = std::move(done)] {
      if (!core->stopped()) done(error);
    });
  }
  request.path = WithQuery(*path, query);
  ApiDone answer = AsObject(std::move(done), request.context);
  Call(core, std::move(request), on, std::move(answer));
}

}  // namespace

ApiClient::ApiClient(std::shared_ptr<ApiCore> core) : core_(std::move(core)) {}

ApiClient::~ApiClient() { core_->Stop(); }

Result<std::unique_ptr<ApiClient>> ApiClient::Create(Access access, ApiOptions options,
                                                     const Clock& clock, Random random) {
  auto credentials = Credentials::Open(std::move(access));
  if (!credentials.ok()) return credentials.error();
  const Access& at = (*credentials)->access();
  http::ClientOptions http_options;
  http_options.host = at.host;
  http_options.port = at.port;
  http_options.use_tls = at.use_tls;
  http_options.tls = (*credentials)->Get().tls;
  http_options.connections = options.connections;
  auto http = http::Client::Start(std::move(http_options));
  if (!http.ok()) return http.error().In("use " + at.source);
  auto core = std::make_shared<ApiCore>(*std::move(credentials), *std::move(http),
                                        std::move(options), clock, std::move(random));
  return std::unique_ptr<ApiClient>(new ApiClient(std::move(core)));
}

ApiStats ApiClient::stats() const { return core_->stats(); }

void ApiClient::Get(const Ref& ref, Executor& on, Done<Object> done) {
  ApiRequest request;
  request.context = "get " + ref.ToString();
  CallObject(core_, std::move(request), ObjectPath(ref), {}, on, std::move(done));
}

void ApiClient::List(const Selection& selection, Executor& on, Done<std::vector<Object>> done) {
  CallList(core_, selection, on, [done = std::move(done)](Result<ApiList> list) {
    if (!list.ok()) return done(list.error());
    done(std::move(list->items));
  });
}

void ApiClient::Create(const Resource& resource, const std::string& ns, Object object, Executor& on,
                       Done<Object> done) {
  ApiRequest request;
  request.method = "POST";
  request.content_type = "application/json";
  request.context = "create " + Ref{resource, ns, MetadataText(object, "name"), ""}.ToString();
  request.body = json::serialize(object);
  request.repeatable = false;
  CallObject(core_, std::move(request), CollectionPath(resource, ns),
             {{"fieldManager", core_->options().field_manager}}, on, std::move(done));
}

void ApiClient::Update(const Ref& ref, Object object, Executor& on, Done<Object> done) {
  ApiRequest request;
  request.method = "PUT";
  request.content_type = "application/json";
  request.context = "update " + ref.ToString();
  request.body = json::serialize(object);
  // With a version the second try would meet the first one's success as a conflict.
  request.repeatable = MetadataText(object, "resourceVersion").empty();
  CallObject(core_, std::move(request), ObjectPath(ref),
             {{"fieldManager", core_->options().field_manager}}, on, std::move(done));
}

void ApiClient::Patch(const Ref& ref, PatchType type, json::value patch, Executor& on,
                      Done<Object> done) {
  ApiRequest request;
  request.method = "PATCH";
  request.content_type = ContentType(type);
  request.context = "patch " + ref.ToString();
  request.body = json::serialize(patch);
  request.repeatable = type == PatchType::kMerge;
  CallObject(core_, std::move(request), ObjectPath(ref),
             {{"fieldManager", core_->options().field_manager}}, on, std::move(done));
}

void ApiClient::Apply(const Ref& ref, const std::string& manager, bool force, Object object,
                      Executor& on, Done<Object> done) {
  ApiRequest request;
  request.method = "PATCH";
  request.content_type = "application/apply-patch+yaml";  // JSON is YAML
  request.context = "apply " + ref.ToString();
  request.body = json::serialize(object);
  CallObject(core_, std::move(request), ObjectPath(ref),
             {{"fieldManager", manager}, {"force", force ? "true" : "false"}}, on, std::move(done));
}

void ApiClient::Delete(const Ref& ref, Executor& on, Done<Object> done) {
  ApiRequest request;
  request.method = "DELETE";
  request.context = "delete " + ref.ToString();
  CallObject(core_, std::move(request), ObjectPath(ref), {}, on,
             [done = std::move(done)](Result<Object> answer) {
               const bool gone = !answer.ok() && answer.error().code == Code::kNotFound;
               done(gone ? Result<Object>(Object()) : std::move(answer));
             });
}

std::unique_ptr<Watch> ApiClient::StartWatch(Selection selection, Executor& on,
                                             WatchHandler& handler) {
  return StartApiWatch(core_, std::move(selection), on, handler);
}

}  // namespace aliquot::kube
