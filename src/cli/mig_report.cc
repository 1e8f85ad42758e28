// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/mig_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "mig/drawing.h"
#include "mig/steps.h"

namespace aliquot::cli {
namespace {

namespace json = boost::json;
using mig::GpuMigState;
using mig::GpuPlan;
using mig::GpuReport;

const GpuMigState* FindGpu(const MigNode& node, const std::string& uuid) {
  for (const GpuMigState& gpu : node.gpus()) {
    if (gpu.uuid == uuid) return &gpu;
  }
  return nullptr;
}

json::array ToJson(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

json::value OrNull(const std::string& text) { return text.empty() ? json::value() : text.c_str(); }

json::object ToJson(const GpuMigState& gpu, const mig::Layout& layout) {
  json::array instances;
  for (const mig::InstanceTarget& instance : layout.instances) {
    json::array devices;
    for (const mig::ComputeTarget& compute : instance.compute) {
      devices.push_back(json::string(mig::DeviceName(gpu, instance.profile, compute.profile)));
    }
    instances.push_back(json::object{{"profile", mig::InstanceName(gpu, instance.profile)},
                                     {"start", instance.placement.start},
                                     {"size", instance.placement.size},
                                     {"devices", std::move(devices)}});
  }
  return {{"migEnabled", layout.mode_on}, {"instances", std::move(instances)}};
}

json::object ToJson(const mig::Blocker& blocker) {
  json::array holders;
  for (const mig::Holder& holder : blocker.holders) {
    holders.push_back(json::object{{"pid", holder.pid ? json::value(*holder.pid) : json::value()},
                                   {"process", OrNull(holder.process)},
                                   {"pod", OrNull(holder.pod)}});
  }
  return {{"object", blocker.object}, {"uuid", blocker.uuid}, {"holders", std::move(holders)}};
}

json::object ToJson(const GpuPlan& plan) {
  json::array steps;
  for (const mig::Step& step : plan.steps) {
    steps.push_back(json::string(mig::Describe(plan.gpu, step)));
  }
  json::array blockers;
  for (const mig::Blocker& blocker : plan.blockers) blockers.push_back(ToJson(blocker));
  return {{"index", plan.gpu.index},
          {"uuid", plan.gpu.uuid},
          {"name", plan.gpu.name},
          {"changes", plan.changes()},
          {"needsReset", plan.needs_reset},
          {"before", ToJson(plan.gpu, mig::LayoutOf(plan.gpu))},
          {"after", ToJson(plan.gpu, plan.after)},
          {"steps", std::move(steps)},
          {"blockers", std::move(blockers)},
          {"warnings", ToJson(plan.warnings)}};
}

json::object NodeToJson(const MigNode& node) {
  return {{"node", OrNull(node.simulated_node())}, {"simulated", !node.simulated_node().empty()}};
}

std::string Heading(const MigNode& node) {
  return node.simulated_node().empty()
             ? std::string()
             : fmt::format("simulated node {}\n\n", node.simulated_node());
}

// GPUs that the plan does not speak of.
std::vector<unsigned> LeftAlone(const MigNode& node, const MigNodePlan& plan) {
  std::vector<unsigned> indices;
  for (const GpuMigState& gpu : node.gpus()) {
    const bool planned =
        std::any_of(plan.plan.gpus.begin(), plan.plan.gpus.end(),
                    [&](const GpuPlan& planned_gpu) { return planned_gpu.gpu.uuid == gpu.uuid; });
    if (!planned) indices.push_back(gpu.index);
  }
  return indices;
}

}  // namespace

std::string DescribePlan(const MigNode& node, const MigNodePlan& plan) {
  std::string text = Heading(node);
  for (const GpuPlan& gpu : plan.plan.gpus) {
    text += mig::Draw(gpu) + Join(mig::Explain(gpu), "\n") + "\n\n";
  }
  for (const std::string& line : plan.left_out) text += line + "\n";
  const std::vector<unsigned> alone = LeftAlone(node, plan);
  if (!alone.empty()) {
    text += fmt::format("left alone: GPU {}\n", fmt::join(alone, ", "));
  } else if (text.ends_with("\n\n")) {
    text.pop_back();
  }
  return text;
}

json::object PlanToJson(const MigNode& node, const MigNodePlan& plan) {
  json::object object = NodeToJson(node);
  object["changes"] = plan.plan.changes();
  object["blocked"] = plan.plan.blocked();
  json::array gpus;
  for (const GpuPlan& gpu : plan.plan.gpus) gpus.push_back(ToJson(gpu));
  object["gpus"] = std::move(gpus);
  const std::vector<unsigned> alone = LeftAlone(node, plan);
  object["leftAlone"] = json::array(alone.begin(), alone.end());
  object["leftOut"] = ToJson(plan.left_out);
  return object;
}

std::string DescribeReport(const MigNode& node, const mig::ApplyReport& report) {
  Table table({"GPU", "OUTCOME", "MIG"});
  std::string reasons;
  for (const GpuReport& gpu : report.gpus) {
    const GpuMigState* state = FindGpu(node, gpu.gpu);
    const std::string title = state == nullptr ? gpu.gpu : fmt::to_string(state->index);
    const std::string layout = state == nullptr || !gpu.layout ? std::string("cannot be read")
                                                               : mig::Describe(*state, *gpu.layout);
    table.Add({title, std::string(ToString(gpu.outcome)), layout});
    if (!gpu.reason.empty()) reasons += fmt::format("GPU {}: {}\n", title, gpu.reason);
  }
  for (const std::string& warning : report.warnings) reasons += "warning: " + warning + "\n";
  return Heading(node) + table.ToString() + reasons;
}

json::object ReportToJson(const MigNode& node, const mig::ApplyReport& report) {
  json::object object = NodeToJson(node);
  object["done"] = report.done();
  object["needsReboot"] = report.needs_reboot();
  json::array gpus;
  for (const GpuReport& gpu : report.gpus) {
    const GpuMigState* state = FindGpu(node, gpu.gpu);
    gpus.push_back(json::object{
        {"index", state == nullptr ? json::value() : json::value(state->index)},
        {"uuid", gpu.gpu},
        {"outcome", json::string(ToString(gpu.outcome))},
        {"reason", OrNull(gpu.reason)},
        {"layout", state == nullptr || !gpu.layout ? json::value()
                                                   : json::value(ToJson(*state, *gpu.layout))}});
  }
  object["gpus"] = std::move(gpus);
  object["warnings"] = ToJson(report.warnings);
  return object;
}

}  // namespace aliquot::cli
