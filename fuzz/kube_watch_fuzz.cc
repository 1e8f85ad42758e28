// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Arbitrary bytes from an API server: as a watch stream and as a list, cut in two anywhere, and as
// a refusal. However they are cut, they mean the same; and what is read as a list is one.
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "kube/answers.h"
#include "kube/list_stream.h"
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

// How many items a list has, fed in two pieces; -1 if it is none.
long CountItems(std::string_view bytes, std::size_t cut, bool excerpts) {
  aliquot::kube::Excerpt excerpt;
  if (excerpts) excerpt = [](const aliquot::kube::Object& object) { return object; };
  aliquot::kube::ListDecoder decoder(std::move(excerpt));
  if (!decoder.Feed(bytes.substr(0, cut)).ok() || !decoder.Feed(bytes.substr(cut)).ok()) return -1;
  const auto page = decoder.Finish();
  return page.ok() ? static_cast<long>(page->items.size()) : -1;
}

// The same, of the whole text.
long CountParsed(std::string_view bytes) {
  const auto parsed = aliquot::kube::ParseJson(bytes);
  if (!parsed.ok() || !parsed->is_object()) return -1;
  const boost::json::value* items = parsed->get_object().if_contains("items");
  if (items == nullptr) return -1;
  return items->is_array() ? static_cast<long>(items->get_array().size()) : 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (CountEvents(bytes, bytes.size() * data[0] / 255) != CountEvents(bytes, bytes.size())) {
    std::abort();
  }
  const long items = CountItems(bytes, bytes.size() * data[0] / 255, true);
  if (items != CountItems(bytes, bytes.size(), false)) std::abort();
  // Nesting is limited per item, not from the list on.
  if (items >= 0 && aliquot::kube::ParseJson(bytes).ok() && CountParsed(bytes) != items) {
    std::abort();
  }
  if (aliquot::kube::ErrorOfStatus(500, bytes).message.size() > 2048) std::abort();
  (void)aliquot::kube::RetryAfter(bytes);
  return 0;
}
