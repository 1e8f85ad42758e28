// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/devices_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <ostream>

#include "cli/console.h"
#include "cli/inventory_json.h"
#include "cli/node.h"

namespace aliquot::cli {
namespace {

struct Options {
  NodeChoice node;
  std::string output = "table";
};

std::string Gib(std::uint64_t bytes) {
  return bytes == 0 ? "-" : fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1u << 30));
}

std::string DeviceTable(const gpu::Inventory& inventory) {
  Table table({"GPU", "UUID", "MODEL", "BUS", "MEMORY", "USABLE", "SM", "CC", "NUMA", "MIG"});
  for (const gpu::Gpu& gpu : inventory.gpus) {
    table.Add({fmt::to_string(gpu.index), gpu.uuid, gpu.name, gpu.bus_id,
               Gib(gpu.memory_total_bytes), Gib(gpu.memory_usable_bytes),
               fmt::to_string(gpu.multiprocessors),
               fmt::format("{}.{}", gpu.compute_major, gpu.compute_minor),
               gpu.numa_node ? fmt::to_string(*gpu.numa_node) : "-",
               gpu.mig_enabled   ? "on"
               : gpu.mig_capable ? "off"
                                 : "-"});
    for (const gpu::MigDevice& mig : gpu.mig_devices) {
      table.Add({fmt::format("{}:{}", gpu.index, mig.index), mig.uuid, "  " + mig.profile, "",
                 Gib(mig.memory_total_bytes), Gib(mig.memory_usable_bytes),
                 fmt::to_string(mig.multiprocessors), "", "",
                 fmt::format("gi {} ci {} at {}+{}", mig.gi_id, mig.ci_id, mig.placement_start,
                             mig.placement_size)});
    }
  }
  return table.ToString();
}

std::string LinkTable(const gpu::Inventory& inventory) {
  std::vector<std::string> header = {"LINKS"};
  for (const gpu::Gpu& gpu : inventory.gpus) header.push_back(fmt::to_string(gpu.index));
  Table table(std::move(header));
  for (std::size_t a = 0; a < inventory.topology.size(); ++a) {
    std::vector<std::string> row = {fmt::to_string(inventory.gpus[a].index)};
    for (std::size_t b = 0; b < inventory.topology.size(); ++b) {
      const gpu::Link& link = inventory.topology.At(a, b);
      std::string cell = ToString(link.p2p);
      if (link.nvlinks > 0) cell += fmt::format("+nv{}", link.nvlinks);
      row.push_back(a == b ? "-" : cell);
    }
    table.Add(std::move(row));
  }
  return table.ToString();
}

void Print(const gpu::Inventory& inventory, std::ostream& out) {
  out << DescribeNode(inventory) << '\n' << DeviceTable(inventory);
  if (inventory.topology.size() > 1) out << '\n' << LinkTable(inventory);
  for (const gpu::BrokenGpu& gpu : inventory.broken) {
    out << fmt::format("left out: GPU {} {}: {}\n", gpu.index, gpu.uuid, gpu.reason);
  }
}

}  // namespace

void AddDevicesCommand(CLI::App& root, Console& console) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *root.add_subcommand(
      "devices", "show the GPUs and MIG devices of this machine or a simulated one");
  AddNodeOption(command, options->node);
  command
      .add_option("--driver-root", options->node.driver_root,
                  "where the driver is installed, if not in the usual library folders")
      ->type_name("DIR")
      ->envname("NVIDIA_DRIVER_ROOT");
  command.add_option("-o,--output", options->output, "table for people, json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command.callback([options, &console] {
    const auto inventory = ReadNode(options->node);
    if (!inventory.ok()) return console.Fail(inventory.error());
    if (options->output == "json") {
      console.out << boost::json::serialize(ToJson(*inventory)) << '\n';
    } else {
      Print(*inventory, console.out);
    }
  });
}

}  // namespace aliquot::cli
