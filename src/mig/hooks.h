// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "config/diagnostic.h"

namespace aliquot::mig {

// A program to run at some point of an apply.
struct Hook {
  std::string command;  // looked up in PATH if without a slash
  std::vector<std::string> args;
  std::map<std::string, std::string> envs;
  std::string workdir;  // empty = this process's

  friend bool operator==(const Hook&, const Hook&) = default;
};

// A hooks file, version v1 of mig-parted's format: lists of hooks by the point they belong to.
struct HooksFile {
  std::vector<Hook> apply_start;       // before anything is looked at
  std::vector<Hook> pre_apply_mode;    // if the MIG mode of some GPU will change
  std::vector<Hook> pre_apply_config;  // if instances of some GPU will change
  std::vector<Hook> apply_exit;        // at the end, also of a failure
};

struct ParsedHooksFile {
  HooksFile file;                            // meaningless if there are errors
  std::vector<config::Diagnostic> problems;  // in the order of the file

  bool ok() const { return !config::HasErrors(problems); }
};

// Reads YAML or JSON and reports every problem with its place.
ParsedHooksFile ParseHooksFile(std::string_view text);

// Runs the hooks one after the other and waits for each; the first that fails is the last. They get
// this process's environment, then their `envs`, then `environment`, which wins; their standard
// output goes to standard error, because this program's is for results. Blocks as long as they run.
Status RunHooks(const std::vector<Hook>& hooks,
                const std::map<std::string, std::string>& environment);

// Runs one program and waits for it: an error unless it ends with status 0. It begins with no
// signal blocked or ignored.
Status RunProgram(const Hook& program);

}  // namespace aliquot::mig
