// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration file: no crash, and whatever is accepted reads back as the same
// configuration.
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/effective.h"
#include "config/settings.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace config = aliquot::config;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const config::ConfigOutcome outcome = config::ResolveConfig({.file_text = text});
  if (outcome.config.has_value() == config::HasErrors(outcome.diagnostics)) std::abort();
  for (const config::Diagnostic& diagnostic : outcome.diagnostics) {
    if (diagnostic.position.line < 1 || config::Format(diagnostic, "f").empty()) std::abort();
  }
  if (!outcome.config) return 0;
  const std::string effective = boost::json::serialize(config::ToJson(*outcome.config));
  const config::ConfigOutcome again = config::ResolveConfig({.file_text = effective});
  if (again.config != outcome.config) std::abort();
  return 0;
}
