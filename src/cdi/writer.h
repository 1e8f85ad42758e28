// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cdi/spec.h"

namespace aliquot::cdi {

struct WriteReport {
  std::vector<std::string> written;  // file names whose content changed
  std::vector<std::string> removed;

  friend bool operator==(const WriteReport&, const WriteReport&) = default;
};

// Keeps our spec files in one CDI directory equal to the wanted ones. Owns exactly the file names
// FileName gives for the classes of kClasses, the ones the reference plugin uses too and one of our
// own; no other file is ever touched. Not thread-safe; the agent's executor owns it.
class SpecWriter {
 public:
  // `directory`: a directory container runtimes search, normally /var/run/cdi. Made on first use.
  explicit SpecWriter(std::string directory) : directory_(std::move(directory)) {}

  // Validates every spec, then replaces files that differ and removes those of ours that `specs`
  // lacks. Nothing is changed if a spec is invalid. An unchanged file is not rewritten: runtimes
  // watch the directory and read it again on every change.
  Result<WriteReport> Apply(const std::vector<Spec>& specs);

 private:
  std::string directory_;
};

}  // namespace aliquot::cdi
