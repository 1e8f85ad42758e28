// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/fake_api_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>

#include "base/text.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;

std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out +=
          static_cast<char>(std::strtol(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

struct Meaning {
  int status;
  const char* reason;
};

Meaning MeaningOf(Code code) {
  switch (code) {
    case Code::kNotFound:
      return {404, "NotFound"};
    case Code::kAlreadyExists:
      return {409, "AlreadyExists"};
    case Code::kAborted:
      return {409, "Conflict"};
    case Code::kInvalidArgument:
      return {422, "Invalid"};
    case Code::kOutOfRange:
      return {410, "Expired"};
    case Code::kUnauthenticated:
      return {401, "Unauthorized"};
    case Code::kPermissionDenied:
      return {403, "Forbidden"};
    case Code::kUnavailable:
      return {503, "ServiceUnavailable"};
    default:
      return {500, "InternalError"};
  }
}

Object StatusObject(int status, const std::string& reason, const std::string& message) {
  return {{"kind", "Status"},   {"apiVersion", "v1"}, {"metadata", Object()}, {"status", "Failure"},
          {"message", message}, {"reason", reason},   {"code", status}};
}

Object StatusObject(const Error& error) {
  const Meaning meaning = MeaningOf(error.code);
  return StatusObject(meaning.status, meaning.reason, error.message);
}

std::string Line(const std::string& type, const Object& object) {
  return json::serialize(Object{{"type", type}, {"object", object}}) + "\n";
}

}  // namespace

FakeApiServer::FakeApiServer(FakeCluster& cluster, http::TestingServerOptions options)
    : cluster_(cluster), options_(std::move(options)) {
  Start();
}

FakeApiServer::~FakeApiServer() { Stop(); }

void FakeApiServer::Start() {
  auto server = http::TestingServer::Start(
      options_, [this](const ExchangePtr& exchange) { Serve(exchange); });
  if (!server.ok()) std::abort();  // a test without its server has nothing to go on with
  options_.port = (*server)->port();
  server_ = *std::move(server);
}

void FakeApiServer::Stop() { server_.reset(); }

void FakeApiServer::RequireTokens(std::set<std::string> tokens) {
  std::lock_guard lock(mutex_);
  tokens_ = std::move(tokens);
}

void FakeApiServer::FailNext(const std::string& verb, const std::string& plural, Fault fault,
                             std::size_t times) {
  std::lock_guard lock(mutex_);
  plans_.push_back({verb, plural, std::move(fault), times});
}

std::vector<std::string> FakeApiServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t FakeApiServer::CountRequests(const std::string& prefix) const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(requests_.begin(), requests_.end(),
                    [&](const std::string& request) { return request.starts_with(prefix); }));
}

std::string FakeApiServer::user_agent() const {
  std::lock_guard lock(mutex_);
  return user_agent_;
}

std::string FakeApiServer::Target::Value(std::string_view key) const {
  for (const auto& [name, value] : query) {
    if (name == key) return value;
  }
  return "";
}

std::optional<FakeApiServer::Target> FakeApiServer::Parse(const std::string& target) {
  Target out;
  const std::size_t mark = std::min(target.find('?'), target.size());
  if (mark < target.size()) {
    for (const std::string& pair : Split(std::string_view(target).substr(mark + 1), '&')) {
      const std::size_t sign = std::min(pair.find('='), pair.size());
      out.query.emplace_back(Unescape(pair.substr(0, sign)),
                             Unescape(pair.substr(std::min(sign + 1, pair.size()))));
    }
  }
  std::vector<std::string> parts = Split(std::string_view(target).substr(0, mark), '/');
  for (std::string& part : parts) part = Unescape(part);
  std::size_t at = 1;
  const auto next = [&] { return at < parts.size() ? parts[at++] : std::string(); };
  const std::string root = next();
  if (root != "api" && root != "apis") return {};
  if (root == "apis") out.ref.resource.group = next();
  out.ref.resource.version = next();
  std::string plural = next();
  const bool inside = plural == "namespaces" && parts.size() > at + 1 && parts[at + 1] != "status";
  if (inside) {
    out.ref.ns = next();
    plural = next();
  }
  out.ref.resource.plural = plural;
  out.ref.name = next();
  out.ref.subresource = next();
  if (plural.empty() || at < parts.size()) return {};
  return out;
}

std::string FakeApiServer::Verb(const http::ReceivedRequest& request, const Target& target) {
  if (request.method == "GET") {
    if (!target.ref.name.empty()) return "get";
    return target.Value("watch") == "true" ? "watch" : "list";
  }
  if (request.method == "POST") return "create";
  if (request.method == "PUT") return "update";
  if (request.method == "DELETE") return "delete";
  if (request.method != "PATCH") return "";
  return request.Find("Content-Type") == "application/apply-patch+yaml" ? "apply" : "patch";
}

void FakeApiServer::Answer(const ExchangePtr& exchange, int status, const Object& object) {
  exchange->Respond(status, {{"Content-Type", "application/json"}}, json::serialize(object));
}

void FakeApiServer::Refuse(const ExchangePtr& exchange, const Error& error) {
  Answer(exchange, MeaningOf(error.code).status, StatusObject(error));
}

void FakeApiServer::BreakAnswer(const ExchangePtr& exchange, Break how) {
  switch (how) {
    case Break::kReset:
      return exchange->Reset();
    case Break::kClose:
      return exchange->Close();
    case Break::kHalfClose:
      return exchange->HalfClose();
    case Break::kFinish:
      return exchange->Finish();
    case Break::kMidEvent:
      exchange->Send(R"({"type":"MODIFIED","object":{"kind":"Config)");
      return exchange->Close();
    case Break::kGarbage:
      return exchange->Send("<html>bad gateway</html>\n");
    case Break::kSilence:
      return;
  }
}

std::optional<FakeApiServer::Fault> FakeApiServer::TakeFault(const std::string& verb,
                                                             const std::string& plural) {
  std::lock_guard lock(mutex_);
  for (Plan& plan : plans_) {
    if (plan.times == 0 || (plan.verb != "*" && plan.verb != verb) ||
        (plan.plural != "*" && plan.plural != plural)) {
      continue;
    }
    --plan.times;
    return plan.fault;
  }
  return {};
}

void FakeApiServer::Meet(const ExchangePtr& exchange, const Fault& fault) {
  if (fault.instead) {
    if (*fault.instead == Break::kGarbage) return exchange->Respond(200, {}, "<html></html>");
    if (*fault.instead == Break::kMidEvent || *fault.instead == Break::kFinish) {
      exchange->StartStream(200, {});
    }
    return BreakAnswer(exchange, *fault.instead);
  }
  http::Headers headers;
  if (!fault.retry_after.empty()) headers.emplace_back("Retry-After", fault.retry_after);
  exchange->Respond(fault.status, std::move(headers),
                    fault.body.empty()
                        ? json::serialize(StatusObject(fault.status, "Injected", "injected fault"))
                        : fault.body);
}

void FakeApiServer::Serve(const ExchangePtr& exchange) {
  const http::ReceivedRequest& request = exchange->request();
  bool allowed = true;
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(request.method + " " + request.target);
    user_agent_ = std::string(request.Find("User-Agent"));
    const std::string_view bearer = request.Find("Authorization");
    if (tokens_) {
      allowed = bearer.starts_with("Bearer ") && tokens_->contains(std::string(bearer.substr(7)));
    }
  }
  const auto target = Parse(request.target);
  const std::string verb = target ? Verb(request, *target) : "";
  if (!allowed) return Refuse(exchange, {Code::kUnauthenticated, "Unauthorized"});
  if (verb.empty()) {
    return Refuse(exchange, {Code::kNotFound, "the server could not find the requested resource"});
  }
  const auto fault = TakeFault(verb, target->ref.resource.plural);
  if (!fault) return Handle(exchange, *target, verb);
  if (fault->status != 0 || fault->instead) return Meet(exchange, *fault);
  exchange->After(fault->delay,
                  [this, exchange, target = *target, verb] { Handle(exchange, target, verb); });
}

void FakeApiServer::Handle(const ExchangePtr& exchange, const Target& target,
                           const std::string& verb) {
  if (verb == "watch") return StreamWatch(exchange, target);
  if (verb == "get" || verb == "list") return Read(exchange, target, verb);
  Write(exchange, target, verb);
}

void FakeApiServer::Read(const ExchangePtr& exchange, const Target& target,
                         const std::string& verb) {
  if (verb == "get") {
    const auto object = cluster_.Get(target.ref);
    if (!object.ok()) return Refuse(exchange, object.error());
    return Answer(exchange, 200, *object);
  }
  const Selection selection = {target.ref.resource, target.ref.ns, target.Value("labelSelector"),
                               target.Value("fieldSelector")};
  auto page = cluster_.List(selection, ParseUnsigned(target.Value("limit")).value_or(0),
                            target.Value("continue"));
  if (!page.ok()) return Refuse(exchange, page.error());
  json::array items;
  std::string api_version;
  for (Object& item : page->items) {
    item.erase("kind");  // as the real one
    item.erase("apiVersion");
    items.push_back(std::move(item));
  }
  const Resource& resource = target.ref.resource;
  Object metadata = {{"resourceVersion", page->version}};
  if (!page->next.empty()) metadata["continue"] = page->next;
  Answer(exchange, 200,
         {{"kind", cluster_.KindOf(resource)->kind + "List"},
          {"apiVersion",
           resource.group.empty() ? resource.version : resource.group + "/" + resource.version},
          {"metadata", std::move(metadata)},
          {"items", std::move(items)}});
}

void FakeApiServer::Write(const ExchangePtr& exchange, const Target& target,
                          const std::string& verb) {
  const http::ReceivedRequest& request = exchange->request();
  const auto body = request.body.empty() ? json::value(Object()) : [&] {
    auto parsed = ParseJson(request.body);
    return parsed.ok() ? *std::move(parsed) : json::value();
  }();
  const std::string_view type = request.Find("Content-Type");
  const bool is_json_patch = type == "application/json-patch+json";
  if (!body.is_object() && !is_json_patch) {
    return Answer(exchange, 400, StatusObject(400, "BadRequest", "the body is not a JSON map"));
  }
  const std::string manager =
      target.Value("fieldManager").empty() ? "unknown" : target.Value("fieldManager");
  Result<Object> result = Object();
  if (verb == "create") {
    result = cluster_.Create(target.ref.resource, target.ref.ns, body.as_object(), manager);
  } else if (verb == "update") {
    result = cluster_.Update(target.ref, body.as_object(), manager);
  } else if (verb == "apply") {
    result = cluster_.Apply(target.ref, target.Value("fieldManager"),
                            target.Value("force") == "true", body.as_object());
  } else if (verb == "delete") {
    result = cluster_.Delete(target.ref);
  } else if (is_json_patch) {
    result = cluster_.Patch(target.ref, PatchType::kJson, body, manager);
  } else if (type == "application/merge-patch+json") {
    result = cluster_.Patch(target.ref, PatchType::kMerge, body, manager);
  } else if (type == "application/strategic-merge-patch+json") {
    result = cluster_.Patch(target.ref, PatchType::kStrategic, body, manager);
  } else {
    return Answer(exchange, 415, StatusObject(415, "UnsupportedMediaType", "unknown media type"));
  }
  if (!result.ok()) return Refuse(exchange, result.error());
  Answer(exchange, verb == "create" ? 201 : 200, *result);
}

void FakeApiServer::StreamWatch(const ExchangePtr& exchange, const Target& target) {
  const Selection selection = {target.ref.resource, target.ref.ns, target.Value("labelSelector"),
                               target.Value("fieldSelector")};
  if (!cluster_.KindOf(selection.resource)) {
    return Refuse(exchange, {Code::kNotFound, "the server could not find the requested resource"});
  }
  exchange->StartStream(200, {{"Content-Type", "application/json"}});
  const bool bookmarks = target.Value("allowWatchBookmarks") == "true";
  const auto id = cluster_.Watch(selection, target.Value("resourceVersion"),
                                 [exchange, bookmarks](const WatchEvent& event) {
                                   if (event.type == "BOOKMARK" && !bookmarks) return;
                                   exchange->Send(Line(event.type, event.object));
                                 });
  if (!id.ok()) {
    exchange->Send(Line("ERROR", StatusObject(id.error())));
    return exchange->Finish();
  }
  {
    std::lock_guard lock(mutex_);
    streams_.push_back({exchange, *id});
  }
  exchange->OnGone([this, id = *id] { EndStream(id); });
  if (const auto timeout = ParseUnsigned(target.Value("timeoutSeconds"))) {
    exchange->After(std::chrono::seconds(*timeout),
                    [this, weak = std::weak_ptr(exchange), id = *id] {
                      const auto still = weak.lock();
                      if (EndStream(id) && still != nullptr) still->Finish();
                    });
  }
}

// Whether it was running.
bool FakeApiServer::EndStream(FakeCluster::WatchId id) {
  cluster_.Unwatch(id);
  std::lock_guard lock(mutex_);
  return std::erase_if(streams_, [id](const Stream& stream) { return stream.id == id; }) > 0;
}

std::size_t FakeApiServer::streams() const {
  std::lock_guard lock(mutex_);
  return streams_.size();
}

std::vector<FakeApiServer::Stream> FakeApiServer::TakeStreams() {
  std::lock_guard lock(mutex_);
  return std::exchange(streams_, {});
}

void FakeApiServer::BreakWatches(Break how) {
  for (const Stream& stream : TakeStreams()) {
    const auto exchange = stream.exchange.lock();
    if (exchange == nullptr) continue;
    cluster_.Unwatch(stream.id);
    BreakAnswer(exchange, how);
  }
}

void FakeApiServer::ExpireWatches() {
  for (const Stream& stream : TakeStreams()) {
    const auto exchange = stream.exchange.lock();
    if (exchange == nullptr) continue;
    cluster_.Unwatch(stream.id);
    exchange->Send(Line("ERROR", StatusObject({Code::kOutOfRange, "too old resource version"})));
    exchange->Finish();
  }
}

}  // namespace aliquot::kube
