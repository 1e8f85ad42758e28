// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/watch_stream.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <optional>
#include <utility>

#include "base/text.h"
#include "kube/answers.h"

namespace aliquot::kube {
namespace {

Result<WatchEvent> ParseEvent(std::string_view line, const Excerpt& excerpt) {
  // What is trimmed away goes in one piece, not as holes around what is kept.
  std::optional<boost::json::monotonic_resource> memory;
  if (excerpt) memory.emplace(4 * line.size());
  auto parsed =
      ParseJson(line, memory ? boost::json::storage_ptr(&*memory) : boost::json::storage_ptr());
  if (!parsed.ok()) return parsed.error().In("watch event");
  boost::json::object* event = parsed->if_object();
  boost::json::value* type = event == nullptr ? nullptr : event->if_contains("type");
  boost::json::value* object = event == nullptr ? nullptr : event->if_contains("object");
  if (type == nullptr || !type->is_string() || object == nullptr || !object->is_object()) {
    return Error{Code::kDataLoss, "watch event: expected a map with type and object"};
  }
  // Assigned, not initialised: what lives in `memory` is copied out of it.
  WatchEvent out{
      std::string(type->as_string()), {}, MetadataText(object->as_object(), "resourceVersion")};
  if (excerpt && (out.type == "ADDED" || out.type == "MODIFIED" || out.type == "DELETED")) {
    out.object = excerpt(object->as_object());
  } else {
    out.object = std::move(object->as_object());
  }
  return out;
}

}  // namespace

Status WatchDecoder::Feed(std::string_view bytes, std::vector<WatchEvent>& events) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (rest_.size() + std::min(end, bytes.size()) > kMaxLine) {
      return Error{Code::kResourceExhausted,
                   fmt::format("watch event: longer than {} bytes", kMaxLine)};
    }
    rest_.append(bytes.substr(0, end));
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(rest_, {});
    if (Trim(line).empty()) continue;
    auto event = ParseEvent(line, excerpt_);
    if (!event.ok()) return event.error();
    events.push_back(*std::move(event));
  }
  return {};
}

}  // namespace aliquot::kube
