// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: another place in the machine than this process's.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace aliquot {

// A process with mounts of its own: nothing but an empty file "marker" is below /mnt there.
class Elsewhere {
 public:
  Elsewhere() {
    std::array<int, 2> ready = {-1, -1};
    if (::pipe(ready.data()) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      const bool made = ::unshare(CLONE_NEWNS) == 0 &&
                        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                        ::mount("none", "/mnt", "tmpfs", 0, nullptr) == 0 &&
                        ::fclose(::fopen("/mnt/marker", "w")) == 0;
      if (!made) ::_exit(1);
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char byte = 0;
    ready_ = ::read(ready[0], &byte, 1) == 1;
    ::close(ready[0]);
  }
  ~Elsewhere() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;

  // False if this process may not make one, which takes CAP_SYS_ADMIN.
  bool ready() const { return ready_; }
  // Its directory below /proc; "root" in there is what it sees as "/".
  std::string process() const { return "/proc/" + std::to_string(pid_); }

 private:
  pid_t pid_ = -1;
  bool ready_ = false;
};

}  // namespace aliquot
