// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/controller_command.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <ostream>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/console.h"
#include "cli/listen_address.h"
#include "controller/service.h"
#include "kube/api_client.h"
#include "kube/auth.h"

namespace aliquot::cli {
namespace {

struct Options {
  controller::ServiceOptions service;
  std::string listen = "127.0.0.1:8080";
  std::string kubeconfig;
  bool verbose = false;
};

std::string HostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "aliquot-controller";
}

void Run(Options& options, Console& console) {
  // Blocked before any thread starts, so that only the loop below receives them.
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT}) ::sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  // Lists of thousands of nodes pass through; what they took has to go back to the system.
  ::mallopt(M_ARENA_MAX, 2);

  const auto listen = ParseListenAddress(options.listen);
  if (!listen.ok()) {
    console.Fail(listen.error());
    console.exit_code = kExitUsage;
    return;
  }
  options.service.listen_address = listen->address;
  options.service.listen_port = listen->port;
  options.service.replica.version = agent::kVersion;
  if (options.service.replica.identity.empty()) options.service.replica.identity = HostName();

  const SystemClock clock;
  const Logger log(clock, Logger::StderrSink(),
                   options.verbose ? LogLevel::kDebug : LogLevel::kInfo);
  auto access =
      kube::FindAccess(options.kubeconfig, kube::kServiceAccountDirectory,
                       [](const std::string& name) -> std::optional<std::string> {
                         const char* value = std::getenv(name.c_str());
                         return value == nullptr ? std::nullopt : std::optional<std::string>(value);
                       });
  if (!access.ok()) return console.Fail(access.error());
  if (options.service.replica.controller.ns.empty())
    options.service.replica.controller.ns = access->ns;
  log.Info("controller started", {{"version", agent::kVersion},
                                  {"namespace", options.service.replica.controller.ns},
                                  {"api", access->source}});
  kube::ApiOptions api;
  api.user_agent = std::string("aliquot-controller/") + agent::kVersion;
  api.field_manager = "aliquot-controller";
  auto client = kube::ApiClient::Create(*std::move(access), api, clock);
  if (!client.ok()) return console.Fail(client.error());
  auto service = controller::Service::Start(options.service, *std::move(client), clock, log);
  if (!service.ok()) return console.Fail(service.error());
  int number = 0;
  ::sigwait(&signals, &number);
  log.Info("stopping", {{"signal", ::strsignal(number)}});
}

}  // namespace

void AddControllerCommand(CLI::App& root, Console& console) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *root.add_subcommand(
      "controller", "fulfil ClusterPolicies: label the cluster's nodes and report what they do");
  command
      .add_option("--listen", options->listen,
                  "address and port of /metrics, /healthz, /readyz and /statusz; empty = none")
      ->type_name("ADDRESS:PORT")
      ->envname("ALIQUOT_LISTEN")
      ->capture_default_str();
  command
      .add_option("--kubeconfig", options->kubeconfig, "kubeconfig file; empty = in the cluster")
      ->type_name("FILE")
      ->envname("KUBECONFIG");
  command
      .add_option("--namespace", options->service.replica.controller.ns,
                  "where the agent and the ConfigMaps are; empty = the credentials' own")
      ->type_name("NAME")
      ->envname("NAMESPACE");
  command
      .add_option("--identity", options->service.replica.identity,
                  "name of this replica in the election; empty = the host's name")
      ->type_name("NAME")
      ->envname("POD_NAME");
  command
      .add_option("--lease", options->service.replica.lease,
                  "Lease of the replica that acts; empty = this one acts without asking")
      ->type_name("NAME")
      ->capture_default_str();
  command
      .add_option("--agent-daemonset", options->service.replica.controller.daemon_set,
                  "the DaemonSet of the node agent")
      ->type_name("NAME")
      ->capture_default_str();
  command
      .add_option("--agent-selector", options->service.replica.controller.agent_selector,
                  "labels of the agent's pods")
      ->type_name("KEY=VALUE,...")
      ->capture_default_str();
  command.add_flag("--verbose", options->verbose, "log debug messages too");
  command.callback([options, &console] { Run(*options, console); });
}

}  // namespace aliquot::cli
