// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/fake_selectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "base/text.h"

namespace aliquot::kube {
namespace {

std::string Word(std::string_view text) { return std::string(Trim(text)); }

// Splits at commas outside of parentheses.
std::vector<std::string> Terms(std::string_view text) {
  std::vector<std::string> out(1);
  int depth = 0;
  for (const char c : text) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ',' && depth == 0) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

std::optional<std::string> TextAt(const Object& object, const std::vector<std::string>& path) {
  const Object* at = &object;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const boost::json::value* value = at->if_contains(path[i]);
    if (value == nullptr) return {};
    if (i + 1 == path.size()) {
      if (!value->is_string()) return {};
      return std::string(value->as_string());
    }
    if (!value->is_object()) return {};
    at = &value->as_object();
  }
  return {};
}

bool IsSelectable(const std::string& field, const Resource& resource) {
  if (field == "metadata.name" || field == "metadata.namespace") return true;
  if (resource == kPods) return field == "spec.nodeName" || field == "status.phase";
  if (resource == kEvents) {
    return field.starts_with("involvedObject.") || field == "reason" || field == "type" ||
           field == "reportingComponent";
  }
  return false;
}

}  // namespace

Result<FakeSelector> FakeSelector::Labels(std::string_view text) {
  FakeSelector out;
  if (Trim(text).empty()) return out;
  const Error malformed = {Code::kInvalidArgument,
                           fmt::format("unable to parse label selector \"{}\"", text)};
  for (const std::string& term : Terms(text)) {
    const std::string trimmed = Word(term);
    Requirement requirement{{"metadata", "labels"}, Test::kExists, {}};
    std::string key;
    if (const auto open = trimmed.find('('); open != std::string::npos) {
      if (trimmed.back() != ')') return malformed;
      const std::string head = Word(trimmed.substr(0, open));
      const bool negated = head.ends_with(" notin");
      if (!negated && !head.ends_with(" in")) return malformed;
      requirement.test = negated ? Test::kNotIn : Test::kIn;
      key = Word(head.substr(0, head.rfind(' ')));
      for (const std::string& value :
           Split(std::string_view(trimmed).substr(open + 1, trimmed.size() - open - 2), ',')) {
        requirement.values.push_back(Word(value));
      }
    } else if (const auto sign = trimmed.find('='); sign != std::string::npos) {
      const bool negated = sign > 0 && trimmed[sign - 1] == '!';
      requirement.test = negated ? Test::kNotIn : Test::kIn;
      key = Word(trimmed.substr(0, negated ? sign - 1 : sign));
      const bool doubled = trimmed.substr(sign).starts_with("==");
      requirement.values.push_back(Word(trimmed.substr(sign + (doubled ? 2 : 1))));
    } else if (trimmed.starts_with('!')) {
      requirement.test = Test::kAbsent;
      key = Word(trimmed.substr(1));
    } else {
      key = trimmed;
    }
    if (key.empty() || key.find(' ') != std::string::npos) return malformed;
    requirement.path.push_back(std::move(key));
    out.all_.push_back(std::move(requirement));
  }
  return out;
}

Result<FakeSelector> FakeSelector::Fields(std::string_view text, const Resource& resource) {
  FakeSelector out;
  if (Trim(text).empty()) return out;
  for (const std::string& term : Terms(text)) {
    const auto sign = term.find('=');
    if (sign == std::string::npos || sign == 0) {
      return Error{Code::kInvalidArgument,
                   fmt::format("unable to parse field selector \"{}\"", text)};
    }
    const bool negated = term[sign - 1] == '!';
    const std::string field = Word(term.substr(0, negated ? sign - 1 : sign));
    if (!IsSelectable(field, resource)) {
      return Error{Code::kInvalidArgument, fmt::format("field label not supported: {}", field)};
    }
    const bool doubled = term.substr(sign).starts_with("==");
    out.all_.push_back({Split(field, '.'),
                        negated ? Test::kNotIn : Test::kIn,
                        {Word(term.substr(sign + (doubled ? 2 : 1)))},
                        true});
  }
  return out;
}

bool FakeSelector::Matches(const Object& object) const {
  return std::all_of(all_.begin(), all_.end(), [&](const Requirement& requirement) {
    std::optional<std::string> value = TextAt(object, requirement.path);
    if (!value && requirement.absent_is_empty) value = "";
    const bool in = value && std::find(requirement.values.begin(), requirement.values.end(),
                                       *value) != requirement.values.end();
    switch (requirement.test) {
      case Test::kIn:
        return in;
      case Test::kNotIn:
        return !in;
      case Test::kExists:
        return value.has_value();
      case Test::kAbsent:
        return !value.has_value();
    }
    return false;
  });
}

}  // namespace aliquot::kube
