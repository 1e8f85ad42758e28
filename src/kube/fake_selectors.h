// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: label and field selectors as an API server reads them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kube/client.h"

namespace aliquot::kube {

// A parsed label or field selector; the empty one matches everything.
class FakeSelector {
 public:
  // "a=b,c!=d,e in (f,g),h notin (i),j,!k". kInvalidArgument if it is not one.
  static Result<FakeSelector> Labels(std::string_view text);
  // "metadata.name=a,spec.nodeName!=b". kInvalidArgument for fields that the server does not
  // select by: metadata.name and metadata.namespace for every kind; spec.nodeName and status.phase
  // of pods; involvedObject.*, reason, type of events.
  static Result<FakeSelector> Fields(std::string_view text, const Resource& resource);

  bool Matches(const Object& object) const;

 private:
  enum class Test { kIn, kNotIn, kExists, kAbsent };
  struct Requirement {
    std::vector<std::string> path;
    Test test;
    std::vector<std::string> values;
    bool absent_is_empty = false;  // fields, not labels
  };

  std::vector<Requirement> all_;
};

}  // namespace aliquot::kube
