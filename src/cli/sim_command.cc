// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/sim_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/text.h"
#include "sim/control/control.h"
#include "sim/control/tree.h"
#include "sim/state/machine.h"
#include "sim/state/mig.h"
#include "sim/state/seen_pids.h"

namespace aliquot::cli {
namespace {

// What the options of all `sim` commands are parsed into. Shared by their callbacks.
struct SimOptions {
  std::string state;
  std::string node;
  std::string name;
  unsigned gpu = 0;
  std::optional<unsigned> only_gpu;
  std::optional<unsigned> gi;
  std::optional<unsigned> ci;
  std::uint64_t xid = 0;
  std::string call;
  int code = 0;
  unsigned count = 0;
  unsigned delay_ms = 0;
  bool hang = false;
  std::uint64_t corrected = 0;
  std::uint64_t uncorrected = 0;
  std::string driver;
  unsigned pid = 0;
  std::uint64_t memory_mib = 0;
  unsigned busy = 0;
  bool remove = false;
  std::string directory;
  std::string libraries;
  bool device_nodes = false;
};

using Options = std::shared_ptr<SimOptions>;

// "4 x Tesla T4, 2 x NVIDIA A30"
std::string Products(const sim::NodeSpec& node) {
  std::vector<std::pair<std::string, unsigned>> counts;
  for (const sim::GpuSpec& gpu : node.gpus) {
    if (counts.empty() || counts.back().first != gpu.product->name) {
      counts.emplace_back(gpu.product->name, 0);
    }
    ++counts.back().second;
  }
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts) parts.push_back(fmt::format("{} x {}", count, name));
  return Join(parts, ", ");
}

std::string MigColumn(const sim::NodeSpec& node, const sim::NodeState& state, unsigned gpu) {
  const sim::Product& product = *node.gpus[gpu].product;
  if (!product.mig) return "-";
  const sim::GpuState& s = state.gpus[gpu];
  std::string text = s.mig_current != 0 ? "on" : "off";
  if (s.mig_pending != s.mig_current) text += s.mig_pending != 0 ? ", pending on" : ", pending off";
  std::vector<std::string> instances;
  for (unsigned gi = 0; gi < s.instances.size(); ++gi) {
    if (s.instances[gi].used == 0) continue;
    const sim::MigProfile* profile = product.ProfileByIndex(s.instances[gi].profile_index);
    instances.push_back(fmt::format("{}@{}", profile == nullptr ? "?" : profile->name,
                                    unsigned{s.instances[gi].start}));
  }
  if (!instances.empty()) text += ": " + Join(instances, " ");
  return text;
}

std::string GpuTable(const sim::NodeSpec& node, const sim::NodeState& state) {
  Table table(
      {"GPU", "PRODUCT", "UUID", "BUS ID", "NUMA", "MEMORY MIB", "USED MIB", "MIG", "STATE"});
  for (unsigned i = 0; i < node.gpus.size(); ++i) {
    const sim::GpuSpec& gpu = node.gpus[i];
    table.Add({fmt::to_string(i), gpu.product->name, gpu.uuid, sim::BusIdLegacy(gpu),
               gpu.numa_node ? fmt::to_string(*gpu.numa_node) : "-",
               fmt::to_string(gpu.product->memory_total_mib),
               fmt::to_string(sim::UsedMemory(state, i) >> 20), MigColumn(node, state, i),
               state.gpus[i].lost != 0 ? "lost" : "ok"});
  }
  return table.ToString();
}

void List(Console& console) {
  Table table({"NAME", "GPUS", "PRODUCTS"});
  for (const std::string& name : sim::BundledNodeNames()) {
    const Result<sim::NodeSpec> node = sim::LoadNode(name);
    if (!node.ok()) return console.Fail(node.error());
    table.Add({name, fmt::to_string(node->gpus.size()), Products(*node)});
  }
  console.out << table.ToString();
}

void Show(Console& console, const std::string& name) {
  const Result<sim::NodeSpec> node = sim::LoadNode(name);
  if (!node.ok()) return console.Fail(node.error());
  const Result<sim::NodeState> state = sim::InitialState(*node);
  if (!state.ok()) return console.Fail(state.error());
  console.out << node->text << '\n' << GpuTable(*node, *state);
}

std::string FaultLine(const sim::CallFaultState& fault) {
  std::string line = fault.call;
  if (fault.gpu != sim::kNobody) line += fmt::format(" of GPU {}", fault.gpu);
  if (fault.hang != 0) line += " hangs";
  if (fault.delay_ms > 0) line += fmt::format(" takes {} ms", fault.delay_ms);
  if (fault.code != 0) line += fmt::format(" answers {}", fault.code);
  if (fault.remaining > 0) line += fmt::format(" ({} more times)", fault.remaining);
  return line;
}

void Status(Console& console, const sim::Control& control) {
  const sim::NodeState state = control.Snapshot();
  console.out << fmt::format("simulated node  {}\ndriver          {}{}\nevents          {}\n\n",
                             control.node().name, state.driver_version,
                             state.driver_loaded != 0 ? "" : " (not loaded)", state.next_event);
  console.out << GpuTable(control.node(), state);
  for (const sim::CallFaultState& fault : state.call_faults) {
    if (fault.used != 0) console.out << "fault: " << FaultLine(fault) << '\n';
  }
  sim::SeenPids pids;
  for (const sim::ProcessState& process : state.processes) {
    if (process.used == 0) continue;
    console.out << fmt::format("process: {} {} on GPU {}, {} MiB\n", pids.Of(process), process.name,
                               process.gpu, process.memory_bytes >> 20);
  }
}

// Where the simulated libraries lie beside this program.
std::string DefaultLibraries() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string() : (self.parent_path().parent_path() / "sim").string();
}

void Tree(Console& console, const SimOptions& options) {
  sim::TreeOptions tree;
  tree.library_directory = options.libraries.empty() ? DefaultLibraries() : options.libraries;
  tree.device_nodes = options.device_nodes;
  // With a state directory the instances of the moment, without one those of the node file.
  Result<sim::NodeSpec> node = Error{};
  Result<sim::NodeState> state = Error{};
  if (!options.state.empty()) {
    const auto control = sim::Control::Open(options.state, options.node);
    if (!control.ok()) return console.Fail(control.error());
    node = (*control)->node();
    state = (*control)->Snapshot();
  } else {
    node = sim::LoadNode(options.node);
    if (!node.ok()) return console.Fail(node.error());
    state = sim::InitialState(*node);
    if (!state.ok()) return console.Fail(state.error());
  }
  if (aliquot::Status s = sim::WriteTree(*node, *state, options.directory, tree); !s.ok()) {
    console.Fail(s.error());
  }
}

// Adds a command that acts on the state directory.
CLI::App* AddLive(CLI::App* parent, Console& console, const Options& options,
                  const std::string& name, const std::string& description,
                  const std::function<aliquot::Status(sim::Control&)>& act) {
  CLI::App* command = parent->add_subcommand(name, description);
  command->callback([&console, options, act] {
    if (options->state.empty()) {
      console.Fail({Code::kInvalidArgument,
                    "no state directory; name it with --state or ALIQUOT_SIM_STATE, the same that "
                    "the programs on the simulated node use"});
      return;
    }
    const auto control = sim::Control::Open(options->state, options->node);
    if (!control.ok()) return console.Fail(control.error());
    if (const aliquot::Status status = act(**control); !status.ok()) console.Fail(status.error());
  });
  return command;
}

void AddGpuFaults(CLI::App* sim_command, Console& console, const Options& options) {
  CLI::App* xid = AddLive(
      sim_command, console, options, "xid", "raise an XID event", [options](sim::Control& control) {
        return control.RaiseXid(options->gpu, options->xid, options->gi, options->ci);
      });
  xid->add_option("code", options->xid, "XID, for example 79")->required();
  xid->add_option("--gpu", options->gpu, "index of the GPU")->required();
  xid->add_option("--gi", options->gi, "id of the GPU instance it concerns");
  xid->add_option("--ci", options->ci, "id of the compute instance it concerns");

  CLI::App* lose =
      AddLive(sim_command, console, options, "lose", "let a GPU fall off the bus (with XID 79)",
              [options](sim::Control& control) { return control.Lose(options->gpu); });
  lose->add_option("--gpu", options->gpu, "index of the GPU")->required();

  CLI::App* restore =
      AddLive(sim_command, console, options, "restore", "bring a lost GPU back",
              [options](sim::Control& control) { return control.Restore(options->gpu); });
  restore->add_option("--gpu", options->gpu, "index of the GPU")->required();

  CLI::App* ecc = AddLive(
      sim_command, console, options, "ecc", "add memory errors", [options](sim::Control& control) {
        return control.AddEccErrors(options->gpu, options->corrected, options->uncorrected);
      });
  ecc->add_option("--gpu", options->gpu, "index of the GPU")->required();
  ecc->add_option("--corrected", options->corrected, "how many single-bit errors");
  ecc->add_option("--uncorrected", options->uncorrected, "how many double-bit errors");
}

void AddCallFaults(CLI::App* sim_command, Console& console, const Options& options) {
  CLI::App* error = AddLive(sim_command, console, options, "error", "let an NVML call fail",
                            [options](sim::Control& control) {
                              return control.FailCall(options->call, options->code,
                                                      options->only_gpu, options->count);
                            });
  error->add_option("--call", options->call, "name such as nvmlDeviceGetMemoryInfo, or *")
      ->required();
  error->add_option("--code", options->code, "NVML return code, for example 999")->required();
  error->add_option("--gpu", options->only_gpu, "only for this GPU");
  error->add_option("--count", options->count, "how many calls fail; 0 is all of them")
      ->capture_default_str();

  CLI::App* slow =
      AddLive(sim_command, console, options, "slow", "let an NVML call take long",
              [options](sim::Control& control) -> aliquot::Status {
                if (options->hang == (options->delay_ms > 0)) {
                  return Error{Code::kInvalidArgument, "expected either --ms or --hang"};
                }
                return control.DelayCall(options->call, options->delay_ms, options->only_gpu);
              });
  slow->add_option("--call", options->call, "name such as nvmlDeviceGetMemoryInfo, or *")
      ->required();
  slow->add_option("--ms", options->delay_ms, "milliseconds")->check(CLI::Range(1, 3600000));
  slow->add_flag("--hang", options->hang, "until `sim reset`");
  slow->add_option("--gpu", options->only_gpu, "only for this GPU");
}

void AddDriver(CLI::App* sim_command, Console& console, const Options& options) {
  CLI::App* reload =
      AddLive(sim_command, console, options, "reload", "unload the driver and load it again",
              [options](sim::Control& control) { return control.Reload(options->driver); });
  reload->add_option("--driver", options->driver, "version of the new driver");
  AddLive(sim_command, console, options, "unload", "unload the driver",
          [](sim::Control& control) -> aliquot::Status {
            control.Unload();
            return {};
          });
  CLI::App* load =
      AddLive(sim_command, console, options, "load", "load the driver",
              [options](sim::Control& control) { return control.Load(options->driver); });
  load->add_option("--driver", options->driver, "version of the new driver");
}

void AddProcess(CLI::App* sim_command, Console& console, const Options& options) {
  CLI::App* process =
      AddLive(sim_command, console, options, "process", "put a process on a GPU, or take it off",
              [options](sim::Control& control) {
                if (options->remove) return control.RemoveProcess(options->pid);
                sim::ProcessOptions process_options;
                process_options.pid = options->pid;
                process_options.gpu = options->gpu;
                process_options.gi = options->gi.value_or(sim::kNobody);
                process_options.ci = options->ci.value_or(sim::kNobody);
                process_options.sm_percent = options->busy;
                process_options.name = options->name;
                return control.AddProcess(process_options, options->memory_mib << 20);
              });
  process->add_option("--pid", options->pid, "process id, real or not")->required();
  process->add_option("--gpu", options->gpu, "index of the GPU")->capture_default_str();
  process->add_option("--gi", options->gi, "id of the GPU instance, with MIG on");
  process->add_option("--ci", options->ci, "id of the compute instance, with MIG on");
  process->add_option("--memory-mib", options->memory_mib, "GPU memory it holds")
      ->check(CLI::Range(0, 1 << 24));
  process->add_option("--busy", options->busy, "percent of the GPU's time it uses")
      ->check(CLI::Range(0, 100));
  process->add_option("--name", options->name, "its name");
  process->add_flag("--remove", options->remove, "take it off");
}

}  // namespace

void AddSimCommand(CLI::App& root, Console& console) {
  const auto options = std::make_shared<SimOptions>();
  CLI::App* command = root.add_subcommand("sim", "simulated nodes, and what happens to them");
  command->require_subcommand(1);
  command->fallthrough();
  command->add_option("--state", options->state, "directory of the shared state")
      ->envname("ALIQUOT_SIM_STATE");
  command
      ->add_option("--node", options->node,
                   "bundled node or node file, to make the state if there is none yet")
      ->envname("ALIQUOT_SIM_NODE");

  command->add_subcommand("list", "bundled nodes")->callback([&console] { List(console); });
  CLI::App* show = command->add_subcommand("show", "a node's file and its GPUs");
  show->add_option("name", options->name, "bundled node, or path to a node file")->required();
  show->callback([&console, options] { Show(console, options->name); });
  AddLive(command, console, options, "status", "what state the node is in",
          [&console](sim::Control& control) -> aliquot::Status {
            Status(console, control);
            return {};
          });
  AddGpuFaults(command, console, options);
  AddCallFaults(command, console, options);
  AddDriver(command, console, options);
  AddProcess(command, console, options);
  AddLive(command, console, options, "reset", "end all faults",
          [](sim::Control& control) -> aliquot::Status {
            control.Reset();
            return {};
          });
  CLI::App* tree = command->add_subcommand(
      "tree", "write the files by which a host shows such a node: /proc, /sys, /dev, libraries");
  tree->add_option("directory", options->directory, "root of the tree")->required();
  tree->add_option("--libraries", options->libraries,
                   "where the simulated libraries are (default: beside this program)");
  tree->add_flag("--mknod", options->device_nodes, "real device nodes (needs root)");
  tree->callback([&console, options] { Tree(console, *options); });
}

}  // namespace aliquot::cli
