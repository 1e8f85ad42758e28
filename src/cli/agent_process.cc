// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/agent_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/unique_fd.h"
#include "cli/config_options.h"

namespace aliquot::cli {
namespace {

constexpr int kTermGraceMs = 5000;

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

int ExitStatus(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const std::vector<std::string>& arguments,
    const std::map<std::string, std::string>& environment, const std::string& log_path,
    const std::string& program) {
  std::vector<std::string> argv = {"aliquot"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  std::map<std::string, std::string> merged = ReadEnvironment();
  for (const auto& [name, value] : environment) merged[name] = value;
  std::vector<std::string> envp;
  for (const auto& [name, value] : merged) envp.push_back(name + "=" + value);

  const UniqueFd log(::open(log_path.c_str(), O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0644));
  if (!log.valid()) return ErrnoError("cannot write " + log_path, errno);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, log.get(), STDERR_FILENO);
  // Nothing else: a listening socket that lives on in the child keeps its port.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  pid_t pid = -1;
  const int failure = ::posix_spawn(&pid, program.c_str(), &actions, nullptr, Pointers(argv).data(),
                                    Pointers(envp).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return ErrnoError("cannot start " + program, failure);
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid));
}

ChildProcess::~ChildProcess() { Stop(); }

bool ChildProcess::Running() {
  if (running_ && ::waitpid(pid_, &status_, WNOHANG) == pid_) running_ = false;
  return running_;
}

int ChildProcess::Stop() {
  if (!Running()) return ExitStatus(status_);
  ::kill(pid_, SIGTERM);
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  pollfd ended = {handle.get(), POLLIN, 0};
  if (::poll(&ended, 1, kTermGraceMs) != 1) ::kill(pid_, SIGKILL);
  return Wait();
}

int ChildProcess::Wait() {
  if (!running_) return ExitStatus(status_);
  while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  running_ = false;
  return ExitStatus(status_);
}

}  // namespace aliquot::cli
