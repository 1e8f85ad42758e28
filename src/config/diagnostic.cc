// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>

namespace aliquot::config {

std::string Format(const Diagnostic& diagnostic, std::string_view file) {
  const std::string_view severity = diagnostic.severity == Severity::kError ? "error" : "warning";
  std::string text;
  if (diagnostic.position.line > 0) {
    text = fmt::format("{}:{}:{}: {}: ", file, diagnostic.position.line, diagnostic.position.column,
                       severity);
    if (!diagnostic.path.empty()) text += diagnostic.path + ": ";
  } else {
    text = fmt::format("{}: {}: ", diagnostic.path.empty() ? file : diagnostic.path, severity);
  }
  text += diagnostic.message;
  if (!diagnostic.hint.empty()) text += " (" + diagnostic.hint + ")";
  return text;
}

bool HasErrors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::kError; });
}

void Problems::Error(Position position, std::string path, std::string message, std::string hint) {
  all_.push_back(
      {Severity::kError, position, std::move(path), std::move(message), std::move(hint)});
}

void Problems::Warn(Position position, std::string path, std::string message, std::string hint) {
  all_.push_back(
      {Severity::kWarning, position, std::move(path), std::move(message), std::move(hint)});
}

void Problems::WarnOrRefuse(Position position, std::string path, std::string message,
                            std::string hint) {
  Warn(position, std::move(path), std::move(message), std::move(hint));
  all_.back().strict = true;
}

std::vector<Diagnostic> Problems::Take() && {
  const auto order = [](const Diagnostic& d) {
    const int line = d.position.line > 0 ? d.position.line : std::numeric_limits<int>::max();
    return std::tuple(line, d.position.column);
  };
  std::stable_sort(all_.begin(), all_.end(),
                   [&](const Diagnostic& a, const Diagnostic& b) { return order(a) < order(b); });
  return std::move(all_);
}

}  // namespace aliquot::config
