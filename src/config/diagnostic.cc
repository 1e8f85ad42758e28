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

void Problems::Add(Diagnostic diagnostic) {
  if (all_.size() >= kMostProblems) {
    ++dropped_;
    dropped_error_ = dropped_error_ || diagnostic.severity == Severity::kError;
    return;
  }
  constexpr std::size_t kLongest = 1000;
  for (std::string* text : {&diagnostic.path, &diagnostic.message, &diagnostic.hint}) {
    if (text->size() <= kLongest) continue;
    std::size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>((*text)[end]) >> 6) == 2) --end;
    *text = text->substr(0, end) + "...";
  }
  all_.push_back(std::move(diagnostic));
}

void Problems::Error(Position position, std::string path, std::string message, std::string hint) {
  Add({Severity::kError, position, std::move(path), std::move(message), std::move(hint)});
}

void Problems::Warn(Position position, std::string path, std::string message, std::string hint) {
  Add({Severity::kWarning, position, std::move(path), std::move(message), std::move(hint)});
}

void Problems::WarnOrRefuse(Position position, std::string path, std::string message,
                            std::string hint) {
  Add({Severity::kWarning, position, std::move(path), std::move(message), std::move(hint), true});
}

std::vector<Diagnostic> Problems::Take() && {
  const auto order = [](const Diagnostic& d) {
    const int line = d.position.line > 0 ? d.position.line : std::numeric_limits<int>::max();
    return std::tuple(line, d.position.column);
  };
  std::stable_sort(all_.begin(), all_.end(),
                   [&](const Diagnostic& a, const Diagnostic& b) { return order(a) < order(b); });
  if (dropped_ > 0) {
    all_.push_back({dropped_error_ ? Severity::kError : Severity::kWarning,
                    {1, 1},
                    "",
                    fmt::format("{} more problems are not shown", dropped_),
                    "",
                    true});
  }
  return std::move(all_);
}

}  // namespace aliquot::config
