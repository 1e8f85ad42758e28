// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kube/client.h"

namespace aliquot::kube {

// One line of a watch stream. ERROR's object is a metav1.Status.
struct WatchEvent {
  std::string type;  // ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; others are possible
  Object object;
  std::string version = {};  // metadata.resourceVersion, also if `object` has none any more
};

// Cuts the bytes of a watch answer into events: one JSON map {"type":…,"object":…} a line. A line
// that the end of the stream cuts off is lost, as it must be: the watch is resumed before it. Not
// thread-safe.
class WatchDecoder {
 public:
  // etcd takes objects up to 1.5 MiB; this leaves room for what the server adds.
  static constexpr std::size_t kMaxLine = 8u << 20;

  // `excerpt` as in Selection; objects of ERROR and BOOKMARK stay whole.
  explicit WatchDecoder(Excerpt excerpt = {}) : excerpt_(std::move(excerpt)) {}

  // Appends the events that `bytes` completes. kDataLoss if a line is no event, kResourceExhausted
  // if it is too long; the stream is of no use then.
  Status Feed(std::string_view bytes, std::vector<WatchEvent>& events);

 private:
  const Excerpt excerpt_;
  std::string rest_;
};

}  // namespace aliquot::kube
