// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// How the API is asked and how its answers are read; pure.
#pragma once

#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kube/client.h"

namespace aliquot::kube {

using Query = std::vector<std::pair<std::string, std::string>>;  // neither side encoded

// "/api/v1/namespaces/ns/configmaps", "/apis/nvidia.com/v1/clusterpolicies". kInvalidArgument if a
// part cannot stand in a path.
Result<std::string> CollectionPath(const Resource& resource, const std::string& ns);
// The same with the name and the subresource.
Result<std::string> ObjectPath(const Ref& ref);
// `path` with "?a=b&c=d", percent-encoded.
std::string WithQuery(const std::string& path, const Query& query);
// The selectors of `selection`, as far as there are any.
Query SelectionQuery(const Selection& selection);

// kDataLoss if it is not one JSON text, or nested more than 128 levels. The value lives in
// `storage`.
Result<boost::json::value> ParseJson(std::string_view text, boost::json::storage_ptr storage = {});

// What a metav1.Status, or any other answer that is not a success, means; codes as kube::Client
// says. The message is the server's own, made printable and cut at 1024 bytes.
Error ErrorOfStatus(int http_status, std::string_view body);
// The same for the Status in an ERROR event.
Error ErrorOfStatus(const Object& status);
// How long the server asks to wait: seconds in a Retry-After header (dates are not understood).
std::optional<std::chrono::seconds> RetryAfter(std::string_view header);

// metadata.<key> if it is a string, else empty.
std::string MetadataText(const Object& object, std::string_view key);

}  // namespace aliquot::kube
