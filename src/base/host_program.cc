// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/host_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"

namespace aliquot {
namespace {

// The mounts last: with them the way back to the others may go.
constexpr std::array<const char*, 4> kNamespaces = {"ipc", "uts", "net", "mnt"};
constexpr std::array<std::string_view, 6> kDirectories = {
    "/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"};
constexpr char kPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What the child did not get done.
struct Failure {
  bool entered = false;
  int error = 0;
};

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// This process's environment is the container's; only where to look for programs matters there.
std::vector<std::string> Environment() {
  std::vector<std::string> texts = {kPath};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("PATH=")) texts.emplace_back(*variable);
  }
  return texts;
}

// All that the child needs, made before it is: there only system calls are safe, since other
// threads of this process may have held any lock.
struct Prepared {
  std::array<UniqueFd, kNamespaces.size()> namespaces;
  std::vector<std::string> programs, arguments, environment;
  std::vector<char*> argv, envp;
  sigset_t no_signals = {};
};

[[noreturn]] void Become(const Prepared& prepared, int report) {
  Failure failure;
  const auto give_up = [&](int error) {
    failure.error = error;
    [[maybe_unused]] const ssize_t told = ::write(report, &failure, sizeof failure);
    ::_exit(127);
  };
  // Mounts can be changed by nobody who shares a working directory with another thread, and a
  // sanitizer's runtime may have started one.
  const bool enters = prepared.namespaces.front().valid();
  if (enters && ::unshare(CLONE_FS) != 0) give_up(errno);
  for (const UniqueFd& ns : prepared.namespaces) {
    if (enters && ::setns(ns.get(), 0) != 0) give_up(errno);
  }
  failure.entered = true;
  // Whoever runs an agent blocks and ignores signals that mean something to other programs.
  ::signal(SIGPIPE, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &prepared.no_signals, nullptr);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  int error = ENOENT;
  for (const std::string& program : prepared.programs) {
    ::execve(program.c_str(), prepared.argv.data(), prepared.envp.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
  }
  give_up(error);
  ::_exit(127);  // for the compiler
}

Error Explained(const Failure& failure, const std::string& process, const std::string& program) {
  Error error = ErrnoError(failure.entered ? fmt::format("cannot run \"{}\" on the host", program)
                                           : fmt::format("cannot enter the host by {}", process),
                           failure.error);
  if (!failure.entered) {
    error.message += "; in a container it takes hostPID and privilege";
  } else if (failure.error == ENOENT) {
    error.message += "; a container without hostPID looks in itself";
  }
  return error;
}

// How it ended; nothing if it took longer and was killed for it. Looked at ever more rarely,
// because not every kernel that agents run on can wait for a process and a time.
std::optional<int> Await(pid_t child, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  int status = -1;  // as if it was killed, should there be nothing to wait for
  for (int pause_ms = 1; ::waitpid(child, &status, WNOHANG) == 0;
       pause_ms = std::min(2 * pause_ms, 50)) {
    if (std::chrono::steady_clock::now() >= deadline) {
      ::kill(child, SIGKILL);
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      return {};
    }
    ::poll(nullptr, 0, pause_ms);
  }
  return status;
}

}  // namespace

Result<int> RunOnHost(const std::string& process, const std::vector<std::string>& command,
                      std::chrono::milliseconds timeout) {
  Prepared prepared;
  for (std::size_t i = 0; i < kNamespaces.size() && !process.empty(); ++i) {
    const std::string path = fmt::format("{}/ns/{}", process, kNamespaces[i]);
    prepared.namespaces[i] = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!prepared.namespaces[i].valid()) return Explained({false, errno}, process, command.front());
  }
  if (command.front().find('/') != std::string::npos) {
    prepared.programs = {command.front()};
  } else {
    for (const std::string_view directory : kDirectories) {
      prepared.programs.push_back(std::string(directory) + command.front());
    }
  }
  prepared.arguments = command;
  prepared.environment = Environment();
  prepared.argv = Pointers(prepared.arguments);
  prepared.envp = Pointers(prepared.environment);
  ::sigemptyset(&prepared.no_signals);

  std::array<int, 2> ends = {-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoError("cannot make a pipe", errno);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return ErrnoError("cannot start another process", errno);
  if (child == 0) Become(prepared, writing.get());
  writing.Reset();
  const auto status = Await(child, timeout);
  // Closed at the other end by now: when the program began, or with the child.
  Failure failure;
  if (::read(reading.get(), &failure, sizeof failure) == static_cast<ssize_t>(sizeof failure)) {
    return Explained(failure, process, command.front());
  }
  if (!status) {
    return Error{Code::kDeadlineExceeded,
                 fmt::format("\"{}\" was not done after {} seconds", fmt::join(command, " "),
                             std::chrono::duration<double>(timeout).count())};
  }
  if (WIFEXITED(*status)) return WEXITSTATUS(*status);
  return Error{Code::kAborted, fmt::format("\"{}\" was killed by signal {}",
                                           fmt::join(command, " "), WTERMSIG(*status))};
}

}  // namespace aliquot
