// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace aliquot::sim::cuda::testing {

using Variables = std::map<std::string, std::string>;

// The test program (or the one that the variable TEST_PROGRAM names) playing a scenario as a
// process of its own, with its own environment. Killed on destruction if it still runs.
class Child {
 public:
  Child(const std::vector<std::string>& arguments, const Variables& variables);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  // The next line it says; empty at its end.
  std::string Hear();
  void Say(const std::string& line);
  void Signal(int signal);
  void Kill();
  // Waits for its end: the exit status, or minus the signal.
  int Wait();

 private:
  pid_t pid_ = -1;
  UniqueFd in_;
  UniqueFd out_;
};

// Plays a scenario to its end; its exit status.
int Play(const std::vector<std::string>& arguments, const Variables& variables);

}  // namespace aliquot::sim::cuda::testing
