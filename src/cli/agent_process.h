// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace aliquot::cli {

// A program as a child process, its standard error appended to a file. Ended with SIGTERM, then
// SIGKILL after five seconds, on destruction.
class ChildProcess {
 public:
  // `arguments` without the program's name; `environment` is added to this process's. `program` is
  // the path of an aliquot, by default the one that is running.
  static Result<std::unique_ptr<ChildProcess>> Start(
      const std::vector<std::string>& arguments,
      const std::map<std::string, std::string>& environment, const std::string& log_path,
      const std::string& program = "/proc/self/exe");
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // False once it ended by itself.
  bool Running();
  // Waits until it ends by itself; the exit status as Stop gives it.
  int Wait();
  // SIGTERM and wait; the exit status, or 128 + the signal that ended it.
  int Stop();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  const pid_t pid_;
  bool running_ = true;
  int status_ = 0;
};

}  // namespace aliquot::cli
