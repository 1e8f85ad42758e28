// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/mig_actions.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <ostream>

#include "base/file.h"
#include "base/text.h"
#include "cli/mig_report.h"
#include "mig/checkpoint.h"

namespace aliquot::cli {
namespace {

struct Planned {
  std::unique_ptr<MigNode> node;
  MigNodePlan plan;
};

Result<Planned> PlanSelected(const MigOptions& options, Console& console) {
  const auto entries = LoadMigConfig(options, console);
  if (!entries.ok()) return entries.error();
  auto node = MigNode::Open(options);
  if (!node.ok()) return node.error();
  auto plan = PlanConfig(**node, *entries, options.mode_only);
  if (!plan.ok()) return plan.error();
  return Planned{*std::move(node), *std::move(plan)};
}

// A command that shows what the GPUs have is incomplete without those that cannot be read.
void FailForUnreadable(const MigNode& node, Console& console) {
  for (const mig::UnreadableGpu& gpu : node.unreadable()) {
    console.Fail({Code::kDataLoss, Describe(gpu) + "; it is left out"});
  }
}

void PrintConfig(const mig::ConfigFile& file, const MigOptions& options, Console& console) {
  const std::string text = options.output == "json" ? mig::WriteJson(file) : mig::WriteYaml(file);
  if (options.output_file.empty() || options.output_file == "-") {
    console.out << text;
  } else if (Status written = WriteFileAtomically(options.output_file, text); !written.ok()) {
    console.Fail(written.error());
  }
}

}  // namespace

void MigPlanCommand(const MigOptions& options, Console& console) {
  const auto planned = PlanSelected(options, console);
  if (!planned.ok()) return console.Fail(planned.error());
  const MigNodePlan& plan = planned->plan;
  if (options.output == "json") {
    console.out << boost::json::serialize(PlanToJson(*planned->node, plan)) << '\n';
  } else {
    console.out << DescribePlan(*planned->node, plan);
  }
  if (plan.plan.blocked()) {
    console.Fail({Code::kFailedPrecondition,
                  "the plan cannot be carried out while what is in its "
                  "way is in use"});
  }
  if (!plan.left_out.empty()) {
    console.Fail({Code::kDataLoss, "not every GPU that the configuration means can be read"});
  }
}

void MigAssertCommand(const MigOptions& options, Console& console) {
  if (options.valid_only) {
    const auto entries = LoadMigConfig(options, console);
    if (!entries.ok()) return console.Fail(entries.error());
    console.out << "the selected MIG configuration is valid\n";
    return;
  }
  const auto planned = PlanSelected(options, console);
  if (!planned.ok()) return console.Fail(planned.error());
  const MigNodePlan& plan = planned->plan;
  const bool applied = !plan.plan.changes() && plan.left_out.empty();
  if (options.output == "json") {
    boost::json::object object = PlanToJson(*planned->node, plan);
    object["applied"] = applied;
    console.out << boost::json::serialize(object) << '\n';
  }
  const char* what = options.mode_only ? "MIG mode" : "MIG configuration";
  if (applied) {
    if (options.output != "json") console.out << fmt::format("the node has the {}\n", what);
    return;
  }
  for (const mig::GpuPlan& gpu : plan.plan.gpus) {
    if (gpu.changes()) console.err << mig::Explain(gpu).front() << '\n';
  }
  for (const std::string& line : plan.left_out) console.err << line << '\n';
  console.Fail({Code::kFailedPrecondition, fmt::format("the node does not have the {}", what)});
}

void MigExportCommand(const MigOptions& options, Console& console) {
  const auto node = MigNode::Open(options);
  if (!node.ok()) return console.Fail(node.error());
  PrintConfig(mig::ExportConfig((*node)->gpus(), options.label), options, console);
  FailForUnreadable(**node, console);
}

void MigGenerateConfigCommand(const MigOptions& options, Console& console) {
  const auto node = MigNode::Open(options);
  if (!node.ok()) return console.Fail(node.error());
  const auto file = mig::GenerateConfig((*node)->gpus());
  if (!file.ok()) return console.Fail(file.error());
  PrintConfig(*file, options, console);
  FailForUnreadable(**node, console);
}

void MigCheckpointCommand(const MigOptions& options, Console& console) {
  const auto node = MigNode::Open(options);
  if (!node.ok()) return console.Fail(node.error());
  const mig::Checkpoint checkpoint = mig::CheckpointOf((*node)->gpus());
  const std::string text = mig::WriteCheckpoint(checkpoint);
  if (options.checkpoint_file == "-") {
    console.out << text;
  } else if (Status written = WriteFileAtomically(options.checkpoint_file, text); !written.ok()) {
    return console.Fail(written.error());
  } else {
    console.out << fmt::format("saved the MIG layout of {} GPU{} to {}\n", checkpoint.gpus.size(),
                               checkpoint.gpus.size() == 1 ? "" : "s", options.checkpoint_file);
  }
  FailForUnreadable(**node, console);
}

}  // namespace aliquot::cli
