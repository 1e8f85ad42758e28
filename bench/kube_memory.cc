// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// What a Kubernetes client with idle watches weighs: "kube_memory nothing|tcp|tls [WATCHES]". The
// API server runs in a child process, forked first, so that its memory is not counted.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <future>
#include <iostream>
#include <vector>

#include "base/executor.h"
#include "base/text.h"
#include "http/testing_certs.h"
#include "kube/api_client.h"
#include "kube/fake_api_server.h"

namespace {

using namespace aliquot;  // NOLINT: a program of one file

// Serves until it is killed; writes "<port>\n<authority>" to `out` first.
[[noreturn]] void ServeForever(bool tls, int out) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  SystemClock clock;
  kube::FakeCluster cluster(clock);
  const http::TestingAuthority authority("authority");
  http::TestingServerOptions options;
  if (tls) {
    const http::TestingIdentity identity = authority.Issue("server", {"IP:127.0.0.1"});
    options.certificate = identity.certificate;
    options.key = identity.key;
  }
  kube::FakeApiServer server(cluster, options);
  const std::string hello = fmt::format("{}\n{}", server.port(), authority.certificate());
  if (::write(out, hello.data(), hello.size()) < 0) ::_exit(1);
  ::close(out);
  while (true) ::pause();
}

struct Handler final : kube::WatchHandler {
  void OnSync(std::vector<kube::Object>) override { synced.set_value(); }
  void OnUpdate(kube::Object) override {}
  void OnDelete(kube::Object) override {}
  void OnUnavailable(const Error& error) override { std::cerr << error.message << "\n"; }
  std::promise<void> synced;
};

void PrintMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS") || line.starts_with("Rss") || line.starts_with("Threads")) {
      std::cout << line << "\n";
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "tls";
  const auto watches = argc > 2 ? ParseUnsigned(argv[2]).value_or(3) : 3;
  if (mode == "nothing") {
    ThreadExecutor executor;
    PrintMemory();
    return 0;
  }
  int pipe_fds[2];
  if (::pipe(pipe_fds) != 0) return 1;
  const pid_t child = ::fork();
  if (child == 0) ServeForever(mode == "tls", pipe_fds[1]);
  ::close(pipe_fds[1]);
  std::string hello;
  char buffer[4096];
  for (ssize_t n; (n = ::read(pipe_fds[0], buffer, sizeof(buffer))) > 0;) {
    hello.append(buffer, static_cast<std::size_t>(n));
  }
  const std::size_t end = std::min(hello.find('\n'), hello.size());
  kube::Access access;
  access.host = "127.0.0.1";
  access.port = static_cast<std::uint16_t>(ParseUnsigned(hello.substr(0, end)).value_or(0));
  access.use_tls = mode == "tls";
  access.ca.text = hello.substr(std::min(end + 1, hello.size()));

  SystemClock clock;
  auto client = kube::ApiClient::Create(access, {}, clock);
  if (!client.ok()) {
    std::cerr << client.error().message << "\n";
    return 1;
  }
  std::vector<Handler> handlers(watches);
  std::vector<std::unique_ptr<kube::Watch>> running;
  {
    ThreadExecutor executor;
    for (Handler& handler : handlers) {
      running.push_back(
          (*client)->StartWatch({kube::kConfigMaps, "", "", "metadata.name=a"}, executor, handler));
    }
    for (Handler& handler : handlers) handler.synced.get_future().wait();
    ::sleep(1);  // the streams open after the lists
    PrintMemory();
    std::promise<void> dropped;
    executor.Post([&] {
      running.clear();
      dropped.set_value();
    });
    dropped.get_future().wait();
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return 0;
}
