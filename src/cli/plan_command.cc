// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <ctime>
#include <memory>
#include <ostream>

#include "cli/console.h"
#include "cli/node_plan.h"

namespace aliquot::cli {
namespace {

namespace json = boost::json;

template <typename T>
json::value OrNull(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

json::array DevicesToJson(const share::PlannedResource& resource) {
  json::array devices;
  for (const share::PlannedDevice& device : resource.devices) {
    devices.push_back({{"id", device.id},
                       {"gpu", device.gpu_uuid},
                       {"mig", OrNull(device.mig_uuid)},
                       {"replica", OrNull(device.replica)},
                       {"healthy", true},
                       {"numaNode", OrNull(device.numa_node)},
                       {"share",
                        {{"memoryBytes", OrNull(device.share.memory_bytes)},
                         {"computePermille", OrNull(device.share.compute_permille)}}}});
  }
  return devices;
}

json::value ToJson(const NodePlan& node) {
  json::array resources;
  for (const share::PlannedResource& resource : node.plan.resources) {
    resources.push_back({{"name", resource.name}, {"devices", DevicesToJson(resource)}});
  }
  json::object labels;
  for (const auto& [key, value] : node.labels) labels[key] = value;
  json::array warnings;
  for (const share::Condition& condition : node.plan.conditions) {
    warnings.push_back({{"object", condition.object}, {"message", condition.message}});
  }
  json::value name = nullptr;
  if (node.inventory.simulated()) name = node.inventory.simulated_node;
  return {{"node", std::move(name)},
          {"simulated", node.inventory.simulated()},
          {"resources", std::move(resources)},
          {"labels", std::move(labels)},
          {"warnings", std::move(warnings)}};
}

std::string ModelOf(const gpu::Inventory& inventory, const share::PlannedDevice& device) {
  for (const gpu::Gpu& gpu : inventory.gpus) {
    if (gpu.uuid != device.gpu_uuid) continue;
    if (!device.mig_uuid) return gpu.name;
    for (const gpu::MigDevice& mig : gpu.mig_devices) {
      if (mig.uuid == *device.mig_uuid) return gpu.name + " MIG " + mig.profile;
    }
  }
  return "-";
}

std::string ShareOf(const share::PlannedDevice& device) {
  std::string text;
  if (device.share.memory_bytes) text = fmt::format("{} MiB", *device.share.memory_bytes >> 20);
  if (device.share.compute_permille) {
    text += fmt::format("{}{:.1f} % of time", text.empty() ? "" : ", ",
                        *device.share.compute_permille / 10.0);
  }
  return text.empty() ? "-" : text;
}

void Print(const NodePlan& node, std::ostream& out) {
  out << DescribeNode(node.inventory) << '\n';
  Table table({"RESOURCE", "COUNT", "DEVICE", "UUID", "MODEL", "COPIES", "SHARE OF EACH"});
  for (const share::PlannedResource& resource : node.plan.resources) {
    std::string name = resource.name;
    std::string count = fmt::to_string(resource.devices.size());
    const share::PlannedDevice* last = nullptr;
    for (const share::PlannedDevice& device : resource.devices) {
      if (last != nullptr && last->device_uuid == device.device_uuid) continue;
      last = &device;
      table.Add({std::exchange(name, ""), std::exchange(count, ""), device.index,
                 device.device_uuid, ModelOf(node.inventory, device),
                 fmt::to_string(device.replicas), ShareOf(device)});
    }
  }
  out << table.ToString();
  if (node.plan.resources.empty()) out << "nothing to advertise\n";
  for (const share::Condition& condition : node.plan.conditions) {
    const bool error = condition.severity == share::Condition::Severity::kError;
    out << fmt::format("{}: {}: {}\n", error ? "error" : "warning", condition.object,
                       condition.message);
  }
}

}  // namespace

void AddPlanCommand(CLI::App& root, Console& console) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App& command = *root.add_subcommand(
      "plan", "show what this machine or a simulated node would advertise to Kubernetes");
  AddPlanOptions(command, *options, "table");
  command.callback([options, &console] {
    const auto node = MakeNodePlan(*options, console, std::time(nullptr));
    if (!node.ok()) return console.Fail(node.error());
    if (options->output == "json") {
      console.out << json::serialize(ToJson(*node)) << '\n';
    } else {
      Print(*node, console.out);
    }
  });
}

}  // namespace aliquot::cli
