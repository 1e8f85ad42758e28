// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/answers.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "base/text.h"

namespace aliquot::kube {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostMessage = 1024;

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Status AppendSegment(std::string& path, const std::string& segment, const char* what) {
  if (segment.empty() || segment == "." || segment == ".." ||
      segment.find('/') != std::string::npos || segment.find('%') != std::string::npos) {
    return Error{Code::kInvalidArgument,
                 fmt::format("\"{}\" cannot be the {} of an object", segment, what)};
  }
  path += "/" + Escape(segment);
  return {};
}

std::string Printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMostMessage)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  // Not to end within a character.
  while (text.size() > kMostMessage && !out.empty() &&
         static_cast<unsigned char>(out.back()) >= 0x80) {
    out.pop_back();
  }
  return std::string(Trim(out));
}

std::string Text(const Object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

Code CodeOf(int http_status, std::string_view reason) {
  switch (http_status) {
    case 400:
    case 406:
    case 415:
    case 422:
      return Code::kInvalidArgument;
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kNotFound;
    case 405:
      return Code::kUnimplemented;
    case 409:
      return reason == "AlreadyExists" ? Code::kAlreadyExists : Code::kAborted;
    case 410:
      return Code::kOutOfRange;
    case 413:
      return Code::kResourceExhausted;
    case 429:
    case 502:
    case 503:
      return Code::kUnavailable;
    case 504:
      return Code::kDeadlineExceeded;
    case 500:
      return Code::kInternal;
    default:
      return Code::kUnknown;
  }
}

Error ErrorOf(int http_status, const Object& status) {
  std::string message = Printable(Text(status, "message"));
  if (message.empty()) message = Printable(Text(status, "reason"));
  if (message.empty())
    message = fmt::format("the server answered with HTTP status {}", http_status);
  return {CodeOf(http_status, Text(status, "reason")), std::move(message)};
}

}  // namespace

Result<std::string> CollectionPath(const Resource& resource, const std::string& ns) {
  std::string path = resource.group.empty() ? "/api" : "/apis";
  if (!resource.group.empty()) {
    if (Status status = AppendSegment(path, resource.group, "group"); !status.ok()) {
      return status.error();
    }
  }
  if (Status status = AppendSegment(path, resource.version, "version"); !status.ok()) {
    return status.error();
  }
  if (!ns.empty()) {
    path += "/namespaces";
    if (Status status = AppendSegment(path, ns, "namespace"); !status.ok()) return status.error();
  }
  if (Status status = AppendSegment(path, resource.plural, "kind"); !status.ok()) {
    return status.error();
  }
  return path;
}

Result<std::string> ObjectPath(const Ref& ref) {
  auto path = CollectionPath(ref.resource, ref.ns);
  if (!path.ok()) return path;
  if (Status status = AppendSegment(*path, ref.name, "name"); !status.ok()) return status.error();
  if (!ref.subresource.empty()) {
    if (Status status = AppendSegment(*path, ref.subresource, "subresource"); !status.ok()) {
      return status.error();
    }
  }
  return path;
}

std::string WithQuery(const std::string& path, const Query& query) {
  std::string out = path;
  char separator = '?';
  for (const auto& [key, value] : query) {
    out += separator + Escape(key) + "=" + Escape(value);
    separator = '&';
  }
  return out;
}

Query SelectionQuery(const Selection& selection) {
  Query query;
  if (!selection.label_selector.empty()) {
    query.emplace_back("labelSelector", selection.label_selector);
  }
  if (!selection.field_selector.empty()) {
    query.emplace_back("fieldSelector", selection.field_selector);
  }
  return query;
}

Result<json::value> ParseJson(std::string_view text, json::storage_ptr storage) {
  json::parse_options options;
  options.max_depth = 128;
  json::error_code error;
  json::value value = json::parse(text, error, std::move(storage), options);
  if (error) return Error{Code::kDataLoss, fmt::format("not JSON: {}", error.message())};
  return value;
}

Error ErrorOfStatus(int http_status, std::string_view body) {
  const auto parsed = ParseJson(body);
  if (parsed.ok() && parsed->is_object()) return ErrorOf(http_status, parsed->as_object());
  Error error = ErrorOf(http_status, {});
  const std::string said = Printable(body.substr(0, 200));
  if (!said.empty()) error.message += fmt::format(" and \"{}\"", said);
  return error;
}

Error ErrorOfStatus(const Object& status) {
  const json::value* code = status.if_contains("code");
  const int http_status =
      code != nullptr && code->is_int64() ? static_cast<int>(code->as_int64()) : 0;
  return ErrorOf(http_status, status);
}

std::optional<std::chrono::seconds> RetryAfter(std::string_view header) {
  const auto value = ParseUnsigned(Trim(header));
  if (!value || *value > 86'400) return {};
  return std::chrono::seconds(*value);
}

std::string MetadataText(const Object& object, std::string_view key) {
  const json::value* metadata = object.if_contains("metadata");
  return metadata != nullptr && metadata->is_object() ? Text(metadata->as_object(), key) : "";
}

}  // namespace aliquot::kube
