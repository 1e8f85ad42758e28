// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/node.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "gpu/inventory_reader.h"
#include "sim/model/node.h"

namespace aliquot::cli {

void AddNodeOption(CLI::App& command, NodeChoice& choice) {
  command
      .add_option("--node", choice.node,
                  "a simulated node instead of this machine: a bundled name (aliquot sim list) or "
                  "the path of a node file")
      ->type_name("NAME|FILE");
}

Result<std::string> FindSimulatedNvml() {
  if (const char* named = std::getenv("ALIQUOT_SIM_LIBRARY"); named != nullptr) return {named};
  std::error_code failure;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  const auto library = program.parent_path().parent_path() / "sim" / "libnvidia-ml.so.1";
  if (!failure && std::filesystem::exists(library, failure)) return library.string();
  return Error{
      Code::kNotFound,
      fmt::format("cannot find the simulated NVML at {}; set ALIQUOT_SIM_LIBRARY to its path",
                  library.string())};
}

Result<std::unique_ptr<gpu::DriverSource>> OpenNode(const NodeChoice& choice) {
  if (!choice.simulated()) {
    return std::unique_ptr<gpu::DriverSource>(
        std::make_unique<gpu::NvmlDriverSource>(choice.driver_root));
  }
  // The simulated driver itself could only say that there is no driver.
  if (const auto known = sim::LoadNode(choice.node); !known.ok()) return known.error();
  Result<std::string> library = FindSimulatedNvml();
  if (!library.ok()) return library.error();
  ::setenv("ALIQUOT_SIM_NODE", choice.node.c_str(), 1);
  return std::unique_ptr<gpu::DriverSource>(std::make_unique<gpu::FileDriverSource>(*library));
}

Result<gpu::Inventory> ReadNode(const NodeChoice& choice) {
  auto source = OpenNode(choice);
  if (!source.ok()) return source.error();
  return gpu::ReadInventoryOnce(**source, gpu::HostFiles());
}

std::string DescribeNode(const gpu::Inventory& inventory) {
  return fmt::format("{}: driver {}, CUDA {}.{}, {} GPU{}",
                     inventory.simulated() ? "simulated node " + inventory.simulated_node
                                           : std::string("this machine"),
                     inventory.driver_version, inventory.cuda_version / 1000,
                     inventory.cuda_version % 1000 / 10, inventory.gpus.size(),
                     inventory.gpus.size() == 1 ? "" : "s");
}

}  // namespace aliquot::cli
