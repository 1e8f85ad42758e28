// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace aliquot::config {

// The outcome for a file alone, without flags and environment.
inline ConfigOutcome ResolveText(std::string text) {
  return ResolveConfig({.file_text = std::move(text)});
}

// One line per problem: "3:5 error path: message (hint)".
inline std::string Listing(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& d : diagnostics) {
    text += std::to_string(d.position.line) + ":" + std::to_string(d.position.column) +
            (d.severity == Severity::kError ? " error " : " warning ") + d.path + ": " + d.message +
            (d.hint.empty() ? "" : " (" + d.hint + ")") + "\n";
  }
  return text;
}

}  // namespace aliquot::config
