// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/testing/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace aliquot::sim::cuda::testing {

Child::Child(const std::vector<std::string>& arguments, const Variables& variables) {
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) ::abort();
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  // The first of a name counts, so that the caller may choose another library.
  environment.push_back(std::string("TEST_CUDA_LIBRARY=") + ALIQUOT_SIM_CUDA_PATH);
  const auto other = variables.find("TEST_PROGRAM");
  const char* program =
      other == variables.end() ? ALIQUOT_TEST_PROGRAM_PATH : other->second.c_str();
  std::vector<char*> argv = {const_cast<char*>(program)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& variable : environment) {
    envp.push_back(const_cast<char*>(variable.c_str()));
  }
  envp.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::execve(program, argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  in_ = UniqueFd(in[1]);
  out_ = UniqueFd(out[0]);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), in_(std::move(other.in_)), out_(std::move(other.out_)) {}

Child::~Child() {
  if (pid_ > 0) Kill();
}

std::string Child::Hear() {
  std::string line;
  for (char c = 0; ::read(out_.get(), &c, 1) == 1 && c != '\n';) line.push_back(c);
  return line;
}

void Child::Say(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(in_.get(), text.data(), text.size()) < 0) return;  // it ended, Wait will tell
}

// Never a pid of -1: that would signal everybody.
void Child::Signal(int signal) {
  if (pid_ > 0) ::kill(pid_, signal);
}

void Child::Kill() {
  if (pid_ <= 0) return;
  Signal(SIGKILL);
  Wait();
}

int Child::Wait() {
  if (pid_ <= 0) return -1;
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int Play(const std::vector<std::string>& arguments, const Variables& variables) {
  return Child(arguments, variables).Wait();
}

}  // namespace aliquot::sim::cuda::testing
