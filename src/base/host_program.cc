// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/host_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
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
  for (const UniqueFd& ns : prepared.namespaces) {
    if (::setns(ns.get(), 0) != 0) give_up(errno);
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

}  // namespace

Result<int> RunOnHost(const std::string& process, const std::vector<std::string>& command) {
  Prepared prepared;
  for (std::size_t i = 0; i < kNamespaces.size(); ++i) {
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
  Failure failure;
  ssize_t got = 0;
  while ((got = ::read(reading.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (got == static_cast<ssize_t>(sizeof failure)) {
    return Explained(failure, process, command.front());
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return Error{Code::kAborted,
               fmt::format("\"{}\" was killed by signal {}", command.front(), WTERMSIG(status))};
}

}  // namespace aliquot
