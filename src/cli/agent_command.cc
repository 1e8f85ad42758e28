// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/agent_command.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <ostream>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cluster_options.h"
#include "cli/config_options.h"
#include "cli/console.h"
#include "cli/listen_address.h"
#include "cli/mig_flow_options.h"
#include "cli/mig_options.h"
#include "cli/node.h"
#include "mig/boot_restore.h"
#include "mig/recovery.h"
#include "rpc/grpc_library.h"

namespace aliquot::cli {
namespace {

constexpr char kBesideTheKubelet[] = "beside the kubelet's";

struct Options {
  NodeChoice node;
  agent::AgentOptions agent;
  ClusterFlags cluster;
  std::string pod_resources = kBesideTheKubelet;
  std::string listen = "127.0.0.1:9410";
  std::string host_root;
  MigFlowFlags mig;
  double poll_seconds = 5;
  double settle_seconds = 30;
  bool verbose = false;
};

// What outlives everything else in the process, because a driver thread that hangs may be left
// behind with references to it. Never deleted.
struct Surroundings {
  SystemClock clock;
  agent::RecentLog recent{50};
  Logger log;

  explicit Surroundings(bool verbose)
      : log(
            clock,
            [this, write = Logger::StderrSink()](std::string_view line) {
              recent.Observe(line);
              write(line);
            },
            verbose ? LogLevel::kDebug : LogLevel::kInfo) {}
};

// Where `aliquot mig` leaves a change that was interrupted.
std::string MigState(const Options& options) {
  MigOptions mig;
  mig.node = options.node;
  mig.state_dir = options.agent.state_dir;
  if (const char* state = ::getenv("ALIQUOT_SIM_STATE"); options.node.simulated() && state) {
    mig.sim_state = state;
  }
  return MigStateDir(mig);
}

// Where the libraries for containers are, seen from this program: as installed, or as built.
std::string LibraryDir() {
  std::error_code failure;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  const auto installed = program.parent_path().parent_path() / "lib" / "aliquot";
  return std::filesystem::exists(installed, failure) ? installed : installed.parent_path();
}

// The kubelet keeps both sockets below one directory.
std::string PodResourcesSocket(const std::string& given, const config::AgentSettings& settings) {
  if (given != kBesideTheKubelet) return given;
  if (settings.kubelet_socket.empty()) return {};
  const std::filesystem::path plugins =
      std::filesystem::path(settings.kubelet_socket).parent_path();
  return plugins.parent_path() / "pod-resources/kubelet.sock";
}

sigset_t OurSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGHUP, SIGTERM, SIGINT, SIGQUIT}) ::sigaddset(&signals, number);
  return signals;
}

void Run(Options& options, Console& console) {
  // Blocked before any thread starts, so that only the loop below receives them.
  const sigset_t signals = OurSignals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  // By default every thread may get an arena of its own, up to eight per core: most of what is
  // resident would be holes in them. The agent allocates too little to need more than two.
  ::mallopt(M_ARENA_MAX, 2);

  options.agent.sources.environment = ReadEnvironment();
  config::AgentSettings settings;
  std::string driver_root;
  {
    // What no file can mend ends the process before anything starts.
    config::ConfigSources without_file = options.agent.sources;
    const config::ConfigOutcome outcome = config::ResolveConfig(without_file);
    for (const config::Diagnostic& diagnostic : outcome.diagnostics) {
      console.err << config::Format(diagnostic, {}) << '\n';
    }
    if (!outcome.config) {
      console.exit_code = kExitUsage;
      return;
    }
    settings = outcome.agent;
    driver_root = outcome.config->flags.nvidia_driver_root;
  }
  const auto listen = ParseListenAddress(options.listen);
  if (!listen.ok()) {
    console.Fail(listen.error());
    console.exit_code = kExitUsage;
    return;
  }
  options.agent.listen_address = listen->address;
  options.agent.listen_port = listen->port;
  std::string simulated;  // the library of a simulated node
  if (options.node.simulated()) {
    if (const auto checked = OpenNode(options.node); !checked.ok()) {
      return console.Fail(checked.error());
    }
    simulated = *FindSimulatedNvml();
  }
  options.agent.monitor.observer.poll_interval =
      std::chrono::milliseconds(static_cast<long long>(options.poll_seconds * 1000));
  options.agent.monitor.observer.health.settle =
      std::chrono::milliseconds(static_cast<long long>(options.settle_seconds * 1000));
  options.agent.monitor.observer.files = gpu::HostFiles(options.host_root);
  if (!options.agent.state_dir.empty()) options.agent.shares.state_dir = options.agent.state_dir;
  if (options.agent.shares.library_dir.empty()) options.agent.shares.library_dir = LibraryDir();

  auto surroundings = std::make_unique<Surroundings>(options.verbose);
  const Logger& log = surroundings->log;
  // A simulated node that is kept nowhere is a new one at every start: there is nothing to change.
  if (const std::string state = MigState(options); !state.empty()) {
    auto mig = ResolveMigFlow(options.mig,
                              {!simulated.empty(), state, options.host_root, driver_root}, console);
    if (!mig.ok()) return console.Fail(mig.error());
    options.agent.mig = *std::move(mig);
  }
  auto cluster =
      ResolveCluster(options.cluster, options.agent.sources, settings, surroundings->clock);
  if (!cluster.ok()) {
    console.Fail(cluster.error());
    console.exit_code = kExitUsage;
    return;
  }
  options.agent.cluster = *std::move(cluster);
  if (options.agent.cluster) options.agent.cluster->host_root = options.host_root;
  options.agent.wait_for_gpu = !options.node.simulated();
  options.agent.pod_resources_socket = PodResourcesSocket(options.pod_resources, settings);
  options.agent.open_driver = [simulated, state = MigState(options),
                               boot = mig::BootId(options.host_root),
                               &log](const std::string& root) {
    std::unique_ptr<gpu::DriverSource> source;
    if (simulated.empty()) {
      source = std::make_unique<gpu::NvmlDriverSource>(root);
    } else {
      source = std::make_unique<gpu::FileDriverSource>(simulated);
    }
    if (!state.empty()) {
      source = std::make_unique<mig::RecoveringDriverSource>(std::move(source), state, boot, log);
    }
    return source;
  };
  auto agent = agent::Agent::Start(options.agent, surroundings->clock, log, surroundings->recent);
  if (!agent.ok()) {
    // A driver that hangs may have kept its thread, which goes on using them.
    static_cast<void>(surroundings.release());
    return console.Fail(agent.error());
  }
  rpc::KeepGrpc();
  log.Info("agent started", {{"version", agent::kVersion}});
  int number = 0;
  while (::sigwait(&signals, &number) == 0) {
    if (number == SIGHUP) {
      log.Info("reading the configuration again", {{"because", "SIGHUP"}});
      (*agent)->Reload();
      continue;
    }
    break;
  }
  log.Info("stopping", {{"signal", ::strsignal(number)}});
  if (!(*agent)->Stop()) {
    log.Error("a driver call hangs; leaving its thread behind");
  }
  // Everything is withdrawn. What is left are threads of gRPC, and of a driver that hangs, which
  // must not see their memory go.
  ::_exit(kExitDone);
}

}  // namespace

void AddAgentCommand(CLI::App& root, Console& console) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *root.add_subcommand(
      "agent", "serve this machine's GPUs, or a simulated node's, to the kubelet");
  AddNodeOption(command, options->node);
  command
      .add_option("--listen", options->listen,
                  "address and port of /metrics, /healthz, /readyz and /statusz; empty = none")
      ->type_name("ADDRESS:PORT")
      ->envname("ALIQUOT_LISTEN")
      ->capture_default_str();
  command
      .add_option("--state-dir", options->agent.state_dir,
                  "where the last good configuration is kept over restarts (empty = not kept), and "
                  "where an interrupted MIG change is taken up and enforced shares are kept (empty "
                  "= /var/lib/aliquot); for shares it must be the same path on the host")
      ->type_name("DIR")
      ->envname("ALIQUOT_STATE_DIR");
  command
      .add_option(
          "--run-dir", options->agent.shares.run_dir,
          "where containers with an enforced share meet the agent; must be the same path on "
          "the host")
      ->type_name("DIR")
      ->envname("ALIQUOT_RUN_DIR")
      ->capture_default_str();
  command
      .add_option("--library-dir", options->agent.shares.library_dir,
                  "where the libraries for containers with an enforced share come from (empty = "
                  "../lib/aliquot or ../lib beside the program)")
      ->type_name("DIR")
      ->envname("ALIQUOT_LIBRARY_DIR");
  command.add_option("--cdi-root", options->agent.cdi_root, "where CDI files are written")
      ->type_name("DIR")
      ->envname("CDI_ROOT")
      ->capture_default_str();
  command
      .add_option("--host-root", options->host_root,
                  "where the host's /proc and /sys are mounted; empty = /")
      ->type_name("DIR")
      ->envname("ALIQUOT_HOST_ROOT");
  command
      .add_option("--poll-interval", options->poll_seconds,
                  "seconds between full looks at the GPUs; events do not wait for it")
      ->check(CLI::Range(0.1, 3600.0))
      ->envname("ALIQUOT_POLL_INTERVAL")
      ->capture_default_str();
  command
      .add_option("--health-settle", options->settle_seconds,
                  "seconds without trouble after which an unhealthy device is healthy again")
      ->check(CLI::Range(0.0, 86400.0))
      ->envname("ALIQUOT_HEALTH_SETTLE")
      ->capture_default_str();
  AddMigFlowOptions(command, options->mig);
  command
      .add_option("--pod-resources-socket", options->pod_resources,
                  "the kubelet's socket that says which container holds what; empty = not asked "
                  "[../pod-resources/kubelet.sock of the registration socket's directory]")
      ->type_name("PATH")
      ->envname("POD_RESOURCES_SOCKET");
  AddClusterOptions(command, options->cluster);
  command.add_flag("--verbose", options->verbose, "log debug messages too");
  AddConfigOptions(command, options->agent.sources);
  command.callback([options, &console] { Run(*options, console); });
}

}  // namespace aliquot::cli
