// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/arbiter_command.h"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <set>

#include "arbiter/server.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/node.h"
#include "config/scalars.h"
#include "gpu/inventory_reader.h"
#include "gpu/nvml_session.h"
#include "gpu/process_reader.h"

namespace aliquot::cli {
namespace {

struct Options {
  NodeChoice node;
  std::string socket_dir = "/run/aliquot/grants";
  std::vector<std::string> tenants;
  std::vector<std::string> gpus;
  std::uint32_t replicas = 0;
  std::string compute = "fair";
  double quantum_ms = 0;
  std::string output = "table";
  bool self_pace = false;
  bool no_nvml = false;
  bool verbose = false;
};

std::optional<arbiter::TenantClass> ClassOf(std::string_view name) {
  if (name == "normal") return arbiter::TenantClass::kNormal;
  if (name == "latency") return arbiter::TenantClass::kLatency;
  if (name == "best-effort") return arbiter::TenantClass::kBestEffort;
  return std::nullopt;
}

using arbiter::Nanos;

double Seconds(Nanos time) { return std::chrono::duration<double>(time).count(); }

// NVML's view of the node, asked again and again; absent where there is no driver.
class Watch {
 public:
  static Result<std::unique_ptr<Watch>> Open(const NodeChoice& node) {
    auto source = OpenNode(node);
    if (!source.ok()) return source.error();
    auto watch = std::make_unique<Watch>();
    auto driver = (*source)->Load();
    if (!driver.ok()) return driver.error();
    watch->driver_ = *std::move(driver);
    auto session = gpu::NvmlSession::Open(watch->driver_->api(), 1);
    if (!session.ok()) return session.error();
    watch->session_.emplace(*std::move(session));
    auto inventory = ReadNode(node);
    if (!inventory.ok()) return inventory.error();
    watch->inventory_ = *std::move(inventory);
    return watch;
  }

  const gpu::Inventory& inventory() const { return inventory_; }

  Status Feed(arbiter::Server& server, const std::vector<std::string>& gpus) {
    const auto snapshot =
        gpu::ReadProcesses(driver_->api(), inventory_, std::chrono::steady_clock::now());
    if (!snapshot.ok()) return snapshot.error();
    for (const std::string& uuid : gpus) {
      arbiter::DeviceMemory memory;
      memory.uuid = uuid;
      memory.taken = snapshot->taken_at.time_since_epoch();
      const auto figures = snapshot->memory.find(uuid);
      if (figures == snapshot->memory.end()) continue;
      memory.total = figures->second.total_bytes;
      memory.free = figures->second.free_bytes;
      for (const gpu::GpuProcess& process : snapshot->processes) {
        if (process.device_uuid != uuid || !process.memory_bytes) continue;
        memory.used_by_pid[process.pid] += *process.memory_bytes;
      }
      server.SetDeviceMemory(memory);
    }
    return {};
  }

 private:
  std::unique_ptr<gpu::Driver> driver_;
  std::optional<gpu::NvmlSession> session_;
  gpu::Inventory inventory_;
};

Result<std::vector<arbiter::GrantSpec>> Specs(const Options& options,
                                              const std::vector<std::string>& gpus) {
  std::vector<arbiter::GrantSpec> specs;
  std::set<std::string> names;
  std::uint32_t weights = 0;
  for (const std::string& text : options.tenants) {
    auto spec = ParseTenant(text);
    if (!spec.ok()) return spec.error().In("--tenant");
    if (!names.insert(spec->id).second) {
      return Error{Code::kInvalidArgument,
                   fmt::format("--tenant: \"{}\" is named twice", spec->id)};
    }
    weights += spec->devices[0].weight;
    specs.push_back(*std::move(spec));
  }
  for (arbiter::GrantSpec& spec : specs) {
    arbiter::DeviceShare share = spec.devices[0];
    share.whole = options.replicas == 0 ? weights : options.replicas;
    spec.devices.clear();
    for (const std::string& uuid : gpus) {
      share.uuid = uuid;
      spec.devices.push_back(share);
    }
    spec.directory = options.socket_dir + "/" + spec.id;
    spec.quantum = Nanos(static_cast<std::int64_t>(options.quantum_ms * 1e6));
    spec.compute = options.compute == "capped" ? arbiter::ComputeMode::kCapped
                   : options.compute == "none" ? arbiter::ComputeMode::kOff
                                               : arbiter::ComputeMode::kFair;
  }
  return specs;
}

Status Grant(arbiter::Server& server, const arbiter::GrantSpec& spec) {
  std::error_code failure;
  std::filesystem::create_directories(spec.directory, failure);
  if (failure) {
    return Error{Code::kUnknown,
                 fmt::format("cannot create {}: {}", spec.directory, failure.message())};
  }
  const std::string share = spec.directory + "/share";
  if (Status s = WriteFileAtomically(share, arbiter::ShareFile(spec, {}, {})); !s.ok()) return s;
  return server.AddGrant(spec);
}

// Serves until a signal says to end.
void Serve(const Options& options, const std::vector<std::string>& gpus, arbiter::Server& server,
           Watch* watch, const Logger& log, const sigset_t& signals, Console& console) {
  bool failed = false;
  while (true) {
    if (watch != nullptr) {
      const Status fed = watch->Feed(server, gpus);
      if (!fed.ok() && !failed) log.Warning("nvml failed", {{"error", fed.error().message}});
      failed = !fed.ok();
    }
    const timespec second{1, 0};
    const int signal = ::sigtimedwait(&signals, nullptr, &second);
    if (signal < 0) continue;
    console.out << FormatUsage(server.Snapshot(), options.output == "json") << std::flush;
    if (signal != SIGUSR1) return;
  }
}

void Run(const Options& options, Console& console) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) ::sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::unique_ptr<Watch> watch;
  if (!options.no_nvml) {
    auto opened = Watch::Open(options.node);
    if (!opened.ok()) return console.Fail(opened.error());
    watch = *std::move(opened);
  }
  std::vector<std::string> gpus = options.gpus;
  if (gpus.empty() && watch && !watch->inventory().gpus.empty()) {
    gpus.push_back(watch->inventory().gpus[0].uuid);
  }
  if (gpus.empty()) {
    return console.Fail({Code::kInvalidArgument, "no GPU was found: name one with --gpu"});
  }
  const auto specs = Specs(options, gpus);
  if (!specs.ok()) {
    console.Fail(specs.error());
    console.exit_code = kExitUsage;
    return;
  }
  const SystemClock clock;
  const Logger log(clock, Logger::StderrSink(),
                   options.verbose ? LogLevel::kDebug : LogLevel::kInfo);
  arbiter::Server::Options server_options;
  server_options.self_pace = options.self_pace;
  if (!watch) server_options.ledger.debt_bound = std::chrono::seconds(1);
  server_options.on_event = [&log](const arbiter::GrantEvent& event) {
    log.Warning("event of a tenant", {{"tenant", event.grant},
                                      {"pid", fmt::to_string(event.pid)},
                                      {"kind", fmt::to_string(static_cast<int>(event.kind))},
                                      {"detail", event.detail}});
  };
  auto server = arbiter::Server::Start(server_options, log);
  if (!server.ok()) return console.Fail(server.error());
  for (const arbiter::GrantSpec& spec : *specs) {
    if (Status s = Grant(**server, spec); !s.ok()) return console.Fail(s.error());
    log.Info("serving a tenant", {{"tenant", spec.id}, {"directory", spec.directory}});
  }
  Serve(options, gpus, **server, watch.get(), log, signals, console);
}

}  // namespace

Result<arbiter::GrantSpec> ParseTenant(const std::string& text) {
  arbiter::GrantSpec spec;
  arbiter::DeviceShare share;
  for (const std::string& part : Split(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string key = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (key == "name" && !value.empty() && value.find('/') == std::string::npos &&
        value[0] != '.') {
      spec.id = value;
      continue;
    }
    if (key == "weight") {
      const auto weight = ParseUnsigned(value);
      if (weight && *weight >= 1 && *weight <= 1'000'000) {
        share.weight = static_cast<std::uint32_t>(*weight);
        continue;
      }
    }
    if (key == "memory") {
      const auto bytes = config::ParseBytes(value);
      if (bytes.ok()) {
        share.memory_limit = *bytes;
        continue;
      }
    }
    if (const auto tenant_class = ClassOf(value); key == "class" && tenant_class) {
      spec.tenant_class = *tenant_class;
      continue;
    }
    return Error{Code::kInvalidArgument,
                 fmt::format("\"{}\" in \"{}\" is not name=NAME, weight=1 to 1000000, memory=BYTES "
                             "such as 8Gi, or class=normal, latency or best-effort",
                             part, text)};
  }
  if (spec.id.empty()) {
    return Error{Code::kInvalidArgument, fmt::format("\"{}\" has no name=NAME", text)};
  }
  spec.devices = {share};
  return spec;
}

std::string FormatUsage(const std::vector<arbiter::GrantUsage>& usage, bool json) {
  if (json) {
    boost::json::array tenants;
    for (const arbiter::GrantUsage& tenant : usage) {
      boost::json::array devices;
      for (const arbiter::DeviceUsage& d : tenant.devices) {
        devices.push_back(boost::json::object{{"gpu", d.uuid},
                                              {"limitBytes", d.limit},
                                              {"chargedBytes", d.charged},
                                              {"debtBytes", d.debts},
                                              {"peakBytes", d.peak},
                                              {"denied", d.denied},
                                              {"gpuSeconds", Seconds(d.compute.used)},
                                              {"grantedSeconds", Seconds(d.compute.granted)},
                                              {"waitedSeconds", Seconds(d.compute.waited)},
                                              {"active", d.active}});
      }
      boost::json::array processes;
      for (const arbiter::ProcessUsage& p : tenant.processes) {
        processes.push_back(boost::json::object{{"pid", p.pid}, {"name", p.name}});
      }
      tenants.push_back(boost::json::object{
          {"tenant", tenant.id}, {"devices", devices}, {"processes", processes}});
    }
    return boost::json::serialize(tenants) + "\n";
  }
  Table table({"TENANT", "GPU", "PROCESSES", "LIMIT MIB", "CHARGED MIB", "PEAK MIB", "DENIED",
               "GPU S", "GRANTED S", "WAITED S"});
  for (const arbiter::GrantUsage& tenant : usage) {
    for (const arbiter::DeviceUsage& d : tenant.devices) {
      table.Add({tenant.id, d.uuid, fmt::to_string(tenant.processes.size()),
                 d.limit == 0 ? "-" : fmt::to_string(d.limit >> 20),
                 fmt::to_string(d.charged >> 20), fmt::to_string(d.peak >> 20),
                 fmt::to_string(d.denied), fmt::format("{:.3f}", Seconds(d.compute.used)),
                 fmt::format("{:.3f}", Seconds(d.compute.granted)),
                 fmt::format("{:.3f}", Seconds(d.compute.waited))});
    }
  }
  return table.ToString();
}

void AddArbiterCommand(CLI::App& root, Console& console) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand(
      "arbiter", "Enforce shares of a GPU among processes of this machine, without Kubernetes");
  AddNodeOption(*command, options->node);
  command
      ->add_option("--socket-dir", options->socket_dir,
                   "a grant directory is made here for each tenant")
      ->envname("ALIQUOT_SOCKET_DIR")
      ->capture_default_str();
  command
      ->add_option("--tenant", options->tenants,
                   "name=NAME,weight=N,memory=BYTES,class=normal|latency|best-effort; repeat")
      ->required();
  command->add_option("--gpu", options->gpus, "UUID; repeat for several (default: the first GPU)");
  command->add_option("--replicas", options->replicas,
                      "what weights are parts of (default: the sum of all weights)");
  command->add_option("--compute", options->compute, "fair, capped or none")
      ->check(CLI::IsMember({"fair", "capped", "none"}))
      ->capture_default_str();
  command->add_option("--quantum-ms", options->quantum_ms, "longest turn under contention")
      ->check(CLI::Range(0.0, 1000.0));
  command->add_option("-o,--output", options->output, "what SIGUSR1 and the end print: table, json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->add_flag("--self-pace", options->self_pace,
                    "tenants keep to their share by themselves when this process is gone");
  command->add_flag("--no-nvml", options->no_nvml,
                    "do without a driver's view of memory; needs --gpu");
  command->add_flag("--verbose", options->verbose, "log more");
  command->callback([options, &console] { Run(*options, console); });
}

}  // namespace aliquot::cli
