// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/mig_flow_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/host_program.h"
#include "base/text.h"
#include "cli/mig_options.h"
#include "config/yaml_document.h"
#include "mig/boot_restore.h"
#include "mig/clients.h"

namespace aliquot::cli {
namespace {

// An orderly shutdown, of which the kubelet and its pods are told.
constexpr char kReboot[] = "systemctl reboot";
// Longer than systemd gives a unit to stop before it kills it, 90 seconds.
constexpr std::chrono::minutes kHostPatience{2};

std::vector<std::string> Words(const std::string& text, char separator) {
  std::vector<std::string> words;
  for (const std::string& word : Split(text, separator)) {
    if (const std::string_view trimmed = Trim(word); !trimmed.empty()) words.emplace_back(trimmed);
  }
  return words;
}

using OnHost = std::function<Result<int>(const std::vector<std::string>&)>;

OnHost HostRunner(const std::vector<std::string>& prefix, const std::string& host_root) {
  const std::string process = prefix.empty() ? host_root + "/proc/1" : std::string();
  return [prefix, process](const std::vector<std::string>& command) {
    std::vector<std::string> whole = prefix;
    whole.insert(whole.end(), command.begin(), command.end());
    return RunOnHost(process, whole, kHostPatience);
  };
}

mig::NvmlMigDriver::Host DriverHost(const OnHost& on_host, const std::string& driver_root) {
  // A driver in a container has its programs there.
  std::vector<std::string> command;
  if (!driver_root.empty() && driver_root != "/") command = {"chroot", driver_root};
  command.insert(command.end(), {"nvidia-smi", "--gpu-reset", "-i"});
  mig::NvmlMigDriver::Host host;
  host.reset = [on_host, command](const std::string& bus_id) -> Status {
    std::vector<std::string> whole = command;
    whole.push_back(bus_id);
    const auto status = on_host(whole);
    if (!status.ok()) return status.error();
    if (*status == 0) return {};
    return Error{Code::kAborted,
                 fmt::format("\"nvidia-smi --gpu-reset\" ended with status {}", *status)};
  };
  host.clients = [](const std::string& path) { return mig::ProcessesWithOpen(path); };
  return host;
}

Result<std::vector<std::string>> HostClients(const std::string& file) {
  if (file.empty()) return agent::UsualGpuClients();
  const auto text = ReadFile(file, config::kMaxFileBytes);
  if (!text.ok()) return text.error().In("reading the GPU clients of the host");
  auto services = agent::ParseGpuClients(*text);
  if (!services.ok()) return services.error().In(file);
  return services;
}

}  // namespace

void AddMigFlowOptions(CLI::App& command, MigFlowFlags& flags) {
  command
      .add_option("--mig-config-map", flags.config_map,
                  "ConfigMap of the agent's namespace with MIG layouts (key config.yaml), where no "
                  "ClusterPolicy names one")
      ->type_name("NAME")
      ->envname("ALIQUOT_MIG_CONFIG_MAP");
  command
      .add_option(
          "--mig-config-file", flags.config_file,
          "file with MIG layouts, where there is no ConfigMap; without both they follow from "
          "what the GPUs offer")
      ->type_name("FILE")
      ->envname("MIG_PARTED_CONFIG_FILE");
  command
      .add_option("--mig-hooks-file", flags.hooks_file, "programs to run around a change of MIG")
      ->type_name("FILE")
      ->envname("MIG_PARTED_HOOKS_FILE");
  command
      .add_option(
          "--mig-clients", flags.clients,
          "labels nvidia.com/gpu.deploy.<name> whose pods leave the GPUs for a change of MIG")
      ->type_name("NAMES")
      ->envname("ALIQUOT_MIG_CLIENTS")
      ->capture_default_str();
  command
      .add_option("--gpu-clients-file", flags.host_clients_file,
                  "systemd units of the host that use GPUs, a clients.yaml of mig-manager, where "
                  "no ClusterPolicy names one [those of DCGM and NVSM]")
      ->type_name("FILE")
      ->envname("GPU_CLIENTS_FILE");
  command
      .add_flag("--with-shutdown-host-gpu-clients", flags.stop_host_clients,
                "stop those units for a change of MIG, and start them again")
      ->envname("WITH_SHUTDOWN_HOST_GPU_CLIENTS");
  command
      .add_flag("--with-reboot", flags.allow_reboot,
                "reboot the node where a MIG mode changes no other way")
      ->envname("WITH_REBOOT");
  command
      .add_flag("--mig-skip-reset", flags.skip_reset, "never reset a GPU for a change of MIG mode")
      ->envname("MIG_PARTED_SKIP_RESET");
  command
      .add_option("--host-command", flags.host_command,
                  "put before systemctl and nvidia-smi, to run them on the host [enters the "
                  "namespaces of process 1; nothing is run for a simulated node]")
      ->type_name("COMMAND")
      ->envname("ALIQUOT_HOST_COMMAND");
  command
      .add_option(
          "--reboot-command", flags.reboot_command,
          fmt::format("run on the host for --with-reboot [{}; none on a simulated node]", kReboot))
      ->type_name("COMMAND")
      ->envname("ALIQUOT_REBOOT_COMMAND");
}

Result<agent::MigAgentOptions> ResolveMigFlow(const MigFlowFlags& flags, const MigFlowPlace& place,
                                              Console& console) {
  agent::MigAgentOptions options;
  MigOptions hooks;
  hooks.hooks_file = flags.hooks_file;
  auto file = LoadMigHooks(hooks, console);
  if (!file.ok()) return file.error();
  auto services = HostClients(flags.host_clients_file);
  if (!services.ok()) return services.error();

  options.allow_reboot = flags.allow_reboot;
  options.stop_host_clients = flags.stop_host_clients;
  options.config_map = flags.config_map;
  options.node.layouts.file = flags.config_file;
  options.node.clients.clear();
  for (const std::string& name : Words(flags.clients, ',')) options.node.clients.insert(name);
  options.node.host_clients = *std::move(services);
  options.node.allow_reset = !flags.skip_reset;
  options.node.state_dir = place.state_dir;
  options.node.boot_id = mig::BootId(place.host_root);

  options.host.state_dir = place.state_dir;
  options.host.hooks = *std::move(file);
  options.host.hook_environment = {{"MIG_PARTED_HOOKS_FILE", flags.hooks_file}};
  const bool named = !flags.reboot_command.empty();
  if (place.simulated && !named && flags.host_command.empty()) return options;
  options.host.on_host = HostRunner(Words(flags.host_command, ' '), place.host_root);
  if (named || !place.simulated) {
    options.host.reboot_command = Words(named ? flags.reboot_command : kReboot, ' ');
  }
  if (!place.simulated) {
    options.node.driver_host = DriverHost(options.host.on_host, place.driver_root);
  }
  return options;
}

}  // namespace aliquot::cli
