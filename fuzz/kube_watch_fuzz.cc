// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Arbitrary bytes from an API server: as a watch stream, cut in two anywhere, as a list and as a
// refusal. However it is cut, a stream means the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "kube/answers.h"
#include "kube/watch_stream.h"

namespace {

// The events of `bytes` fed in two pieces, up to the first problem.
std::size_t CountEvents(std::string_view bytes, std::size_t cut) {
  aliquot::kube::WatchDecoder decoder;
  std::vector<aliquot::kube::WatchEvent> events;
  if (decoder.Feed(bytes.substr(0, cut), events).ok()) {
    (void)decoder.Feed(bytes.substr(cut), events).ok();
  }
  return events.size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (CountEvents(bytes, bytes.size() * data[0] / 255) != CountEvents(bytes, bytes.size())) {
    std::abort();
  }
  if (auto parsed = aliquot::kube::ParseJson(bytes); parsed.ok()) {
    (void)aliquot::kube::ReadPage(*std::move(parsed)).ok();
  }
  if (aliquot::kube::ErrorOfStatus(500, bytes).message.size() > 2048) std::abort();
  (void)aliquot::kube::RetryAfter(bytes);
  return 0;
}
