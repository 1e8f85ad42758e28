// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/mig_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "mig/clients.h"
#include "mig/hooks.h"

namespace aliquot::cli {
namespace {

Result<std::unique_ptr<gpu::DriverSource>> OpenSource(const MigOptions& options) {
  if (!options.sim_state.empty()) ::setenv("ALIQUOT_SIM_STATE", options.sim_state.c_str(), 1);
  if (options.node.simulated() || options.sim_state.empty()) return OpenNode(options.node);
  // The state directory knows which node it was made for.
  auto library = FindSimulatedNvml();
  if (!library.ok()) return library.error();
  return std::unique_ptr<gpu::DriverSource>(
      std::make_unique<gpu::FileDriverSource>(*std::move(library)));
}

mig::NvmlMigDriver::Host HostOf(const MigOptions& options, bool simulated) {
  mig::NvmlMigDriver::Host host;
  if (!simulated) {
    host.reset = [](const std::string& bus_id) {
      return mig::RunProgram({"nvidia-smi", {"--gpu-reset", "-i", bus_id}, {}, ""});
    };
    host.clients = [](const std::string& path) { return mig::ProcessesWithOpen(path); };
  }
  if (options.skip_reset) {
    host.reset = [](const std::string&) -> Status {
      return Error{Code::kFailedPrecondition, "resets are skipped"};
    };
  }
  return host;
}

// Changes nothing but the mode.
Result<mig::GpuPlan> PlanMode(const mig::GpuMigState& gpu, bool on) {
  if (gpu.mode_on == on) return mig::PlanLayout(gpu, mig::LayoutOf(gpu));
  return mig::PlanGpu(gpu, {on, {}});
}

}  // namespace

Result<std::unique_ptr<MigNode>> MigNode::Open(const MigOptions& options) {
  auto source = OpenSource(options);
  if (!source.ok()) return source.error();
  auto library = (*source)->Load();
  if (!library.ok()) return library.error();
  std::unique_ptr<MigNode> node(new MigNode(*std::move(library)));
  auto driver = mig::NvmlMigDriver::Open(node->library_->api(),
                                         HostOf(options, !node->simulated_node().empty()));
  if (!driver.ok()) return driver.error().In(node->library_->path());
  node->driver_ = *std::move(driver);
  if (Status read = node->Refresh(); !read.ok()) return read.error();
  return node;
}

Status MigNode::Refresh() {
  auto gpus = driver_->ReadAll();
  if (!gpus.ok()) return gpus.error();
  gpus_ = *std::move(gpus);
  return {};
}

std::string Describe(const mig::UnreadableGpu& gpu) {
  return fmt::format("GPU {}{} cannot be read: {}", gpu.index,
                     gpu.uuid.empty() ? "" : " (" + gpu.uuid + ")", gpu.reason);
}

Result<MigNodePlan> PlanConfig(const MigNode& node, const std::vector<mig::ConfigEntry>& entries,
                               bool mode_only) {
  MigNodePlan plan;
  for (const mig::UnreadableGpu& gpu : node.unreadable()) {
    if (mig::MayMean(entries, gpu.index)) plan.left_out.push_back(Describe(gpu));
  }
  const auto desired = mig::DesiredFor(entries, node.gpus());
  if (!desired.ok()) return desired.error();
  if (!mode_only) {
    auto planned = mig::PlanNode(node.gpus(), *desired);
    if (!planned.ok()) return planned.error();
    plan.plan = *std::move(planned);
    return plan;
  }
  for (std::size_t i = 0; i < desired->size(); ++i) {
    const auto& wanted = (*desired)[i];
    if (!wanted) continue;
    auto gpu = PlanMode(node.gpus()[i], wanted->mig_enabled);
    if (!gpu.ok()) return gpu.error();
    plan.plan.gpus.push_back(*std::move(gpu));
  }
  return plan;
}

Result<MigNodePlan> PlanCheckpoint(const MigNode& node, const mig::Checkpoint& checkpoint,
                                   bool mode_only) {
  MigNodePlan plan;
  for (const mig::Checkpoint::Gpu& wanted : checkpoint.gpus) {
    const auto is_it = [&](const auto& gpu) { return gpu.uuid == wanted.uuid; };
    const auto gpu = std::find_if(node.gpus().begin(), node.gpus().end(), is_it);
    if (gpu != node.gpus().end()) {
      auto planned =
          mode_only ? PlanMode(*gpu, wanted.layout.mode_on) : mig::PlanLayout(*gpu, wanted.layout);
      if (!planned.ok()) return planned.error();
      plan.plan.gpus.push_back(*std::move(planned));
      continue;
    }
    const auto& broken = node.unreadable();
    const auto unread = std::find_if(broken.begin(), broken.end(), is_it);
    if (unread == broken.end()) {
      return Error{Code::kNotFound,
                   fmt::format("the checkpoint is of GPU \"{}\", which this node does not have",
                               wanted.uuid)};
    }
    plan.left_out.push_back(Describe(*unread));
  }
  std::sort(plan.plan.gpus.begin(), plan.plan.gpus.end(),
            [](const auto& a, const auto& b) { return a.gpu.index < b.gpu.index; });
  return plan;
}

}  // namespace aliquot::cli
