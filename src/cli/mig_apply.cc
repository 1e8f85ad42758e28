// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// The `mig` commands that change the node: apply and restore.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <functional>
#include <ostream>

#include "base/clock.h"
#include "base/log.h"
#include "cli/mig_actions.h"
#include "cli/mig_report.h"
#include "mig/apply.h"
#include "mig/checkpoint.h"
#include "mig/recovery.h"

namespace aliquot::cli {
namespace {

using Planner = std::function<Result<MigNodePlan>(const MigNode& node)>;

// One change of a node, from the interrupted one before it to its report.
class Change {
 public:
  Change(const MigOptions& options, const mig::HooksFile& hooks, Console& console)
      : options_(options),
        hooks_(hooks),
        console_(console),
        log_(clock_, Logger::StderrSink(), options.debug ? LogLevel::kDebug : LogLevel::kError),
        journal_(mig::JournalPath(MigStateDir(options))) {}

  // The hooks at the end run whatever became of the rest.
  void Run(const Planner& planner) {
    Status done = RunHooks(hooks_.apply_start);
    if (done.ok()) done = Carry(planner);
    const Status after = RunHooks(hooks_.apply_exit);
    if (!done.ok()) console_.Fail(done.error());
    if (!after.ok()) console_.Fail(after.error());
  }

 private:
  Status RunHooks(const std::vector<mig::Hook>& hooks) {
    return mig::RunHooks(hooks, HookEnvironment(options_));
  }

  Status Carry(const Planner& planner) {
    const auto lock = mig::LockMigChanges(MigStateDir(options_));
    if (!lock.ok()) return lock.error();
    auto node = MigNode::Open(options_);
    if (!node.ok()) return node.error();
    if (Status recovered = Recover(**node); !recovered.ok()) return recovered;
    const auto plan = planner(**node);
    if (!plan.ok()) return plan.error();
    for (const mig::GpuPlan& gpu : plan->plan.gpus) {
      for (const std::string& warning : gpu.warnings)
        console_.err << "warning: " << warning << '\n';
    }
    if (Status ready = Prepare(plan->plan); !ready.ok()) return ready;
    const mig::ApplyOptions apply{.allow_reset = true, .allow_reboot = options_.allow_reboot};
    const auto report = mig::Applier((*node)->driver(), journal_, log_, apply).Apply(plan->plan);
    if (!report.ok()) return report.error();
    if (Status read = (*node)->Refresh(); !read.ok()) return read;
    return Show(**node, *plan, *report);
  }

  Status Recover(MigNode& node) {
    const auto report = mig::RecoverMigChanges(node.driver(), journal_, log_);
    if (!report.ok()) return report.error();
    if (report->gpus.empty()) return {};
    if (Status read = node.Refresh(); !read.ok()) return read;
    console_.err << "an interrupted change was taken up again:\n" << DescribeReport(node, *report);
    const bool stuck =
        std::any_of(report->gpus.begin(), report->gpus.end(), [](const mig::GpuReport& gpu) {
          return gpu.outcome == mig::GpuOutcome::kStuck || gpu.outcome == mig::GpuOutcome::kUnknown;
        });
    if (!stuck) return {};
    return Error{Code::kFailedPrecondition,
                 "an interrupted change can be neither completed nor undone yet"};
  }

  Status Prepare(const mig::MigPlan& plan) {
    bool mode = false;
    bool instances = false;
    for (const mig::GpuPlan& gpu : plan.gpus) {
      if (!gpu.blockers.empty()) return {};  // the applier refuses it
      for (const mig::Step& step : gpu.steps) {
        (step.kind == mig::Step::Kind::kSetMode ? mode : instances) = true;
      }
      instances = instances || gpu.then.has_value();
    }
    if (mode) {
      if (Status ran = RunHooks(hooks_.pre_apply_mode); !ran.ok()) return ran;
    }
    if (instances) return RunHooks(hooks_.pre_apply_config);
    return {};
  }

  Status Show(const MigNode& node, const MigNodePlan& plan, const mig::ApplyReport& report) {
    if (options_.output == "json") {
      console_.out << boost::json::serialize(ReportToJson(node, report)) << '\n';
    } else {
      console_.out << DescribeReport(node, report);
    }
    for (const std::string& line : plan.left_out) console_.Fail({Code::kDataLoss, line});
    if (report.done()) return {};
    if (report.needs_reboot()) {
      return Error{Code::kFailedPrecondition,
                   "the rest of the change is done after a reboot of the node"};
    }
    return Error{Code::kAborted, "not every GPU has its new MIG layout"};
  }

  const MigOptions& options_;
  const mig::HooksFile& hooks_;
  Console& console_;
  SystemClock clock_;
  Logger log_;
  mig::FileJournalStore journal_;
};

void RunChange(const MigOptions& options, const Planner& planner, Console& console) {
  if (MigStateDir(options).empty()) {
    console.Fail({Code::kInvalidArgument,
                  fmt::format("simulated node {} is not kept anywhere, so a change would be lost; "
                              "name a directory for its state with --state or ALIQUOT_SIM_STATE",
                              options.node.node)});
    return;
  }
  const auto hooks = LoadMigHooks(options, console);
  if (!hooks.ok()) return console.Fail(hooks.error());
  Change(options, *hooks, console).Run(planner);
}

}  // namespace

void MigApplyCommand(const MigOptions& options, Console& console) {
  const auto entries = LoadMigConfig(options, console);
  if (!entries.ok()) return console.Fail(entries.error());
  RunChange(
      options, [&](const MigNode& node) { return PlanConfig(node, *entries, options.mode_only); },
      console);
}

void MigRestoreCommand(const MigOptions& options, Console& console) {
  const auto text = ReadInput(options.checkpoint_file);
  if (!text.ok()) return console.Fail(text.error().In("reading the checkpoint"));
  const auto checkpoint = mig::ReadCheckpoint(*text);
  if (!checkpoint.ok()) return console.Fail(checkpoint.error());
  RunChange(
      options,
      [&](const MigNode& node) { return PlanCheckpoint(node, *checkpoint, options.mode_only); },
      console);
}

}  // namespace aliquot::cli
