// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_job.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "mig/apply.h"
#include "mig/boot_restore.h"
#include "mig/checkpoint.h"
#include "mig/recovery.h"

namespace aliquot::agent {
namespace {

using mig::GpuMigState;
using mig::GpuPlan;
using mig::Step;

void AddPods(const std::map<std::string, std::vector<std::string>>& pods, const std::string& uuid,
             std::vector<mig::Holder>& holders) {
  const auto found = pods.find(uuid);
  if (found == pods.end()) return;
  for (const std::string& pod : found->second) holders.push_back({{}, "", pod});
}

// Pods first: they are what an administrator can move.
void AddPods(const MigRequest& request, std::vector<GpuMigState>& gpus) {
  const auto prepend = [&](const std::string& uuid, std::vector<mig::Holder>& holders) {
    std::vector<mig::Holder> all;
    AddPods(request.pods, uuid, all);
    all.insert(all.end(), holders.begin(), holders.end());
    holders = std::move(all);
  };
  for (GpuMigState& gpu : gpus) {
    prepend(gpu.uuid, gpu.holders);
    for (mig::GpuInstance& instance : gpu.instances) {
      for (mig::ComputeInstance& compute : instance.compute) {
        prepend(compute.uuid, compute.holders);
      }
    }
  }
}

Result<std::vector<mig::ConfigEntry>> Select(const MigRequest& request,
                                             const std::vector<GpuMigState>& gpus) {
  const MigLayouts& layouts = request.layouts;
  if (layouts.problem) return *layouts.problem;
  if (layouts.file) {
    const auto selected = mig::SelectConfig(*layouts.file, request.label);
    if (selected.ok()) return **selected;
  }
  const auto derived = mig::GenerateConfig(gpus);
  if (derived.ok()) {
    const auto selected = mig::SelectConfig(*derived, request.label);
    if (selected.ok()) return **selected;
  } else if (!layouts.file) {
    return derived.error();
  }
  std::vector<std::string> known;
  if (layouts.file) {
    for (const auto& [label, entries] : layouts.file->configs) known.push_back(label);
  }
  if (derived.ok()) {
    for (const auto& [label, entries] : derived->configs) known.push_back(label);
  }
  return Error{
      Code::kNotFound,
      fmt::format("there is no MIG configuration \"{}\"{}; this node has {}", request.label,
                  layouts.origin.empty() ? "" : " in " + layouts.origin, Join(known, ", "))};
}

bool ChangesMode(const GpuPlan& plan) {
  return std::any_of(plan.steps.begin(), plan.steps.end(),
                     [](const Step& step) { return step.kind == Step::Kind::kSetMode; });
}

// Those of the GPU's devices that are there before, meanwhile and after.
std::set<std::string> Staying(const GpuPlan& plan) {
  std::set<std::string> staying;
  if (ChangesMode(plan)) return staying;
  for (const mig::GpuInstance& instance : plan.gpu.instances) {
    for (const mig::ComputeInstance& compute : instance.compute) {
      const bool goes = std::any_of(plan.steps.begin(), plan.steps.end(), [&](const Step& step) {
        return step.kind == Step::Kind::kDestroyComputeInstance &&
               step.gpu_instance_id == instance.id && step.compute_instance_id == compute.id;
      });
      if (!goes) staying.insert(compute.uuid);
    }
  }
  return staying;
}

// GPUs of an interrupted change: whatever they have now is neither here nor there. Awaiting a
// reboot is no interruption.
std::set<std::string> Interrupted(const std::string& state_dir) {
  std::set<std::string> gpus;
  const auto text = mig::FileJournalStore(mig::JournalPath(state_dir)).Load();
  if (!text.ok()) return gpus;
  const auto journal = mig::ReadJournal(*text);
  if (!journal.ok()) return gpus;
  for (const mig::Journal::Gpu& gpu : journal->gpus) {
    if (!gpu.awaits_reboot) gpus.insert(gpu.uuid);
  }
  return gpus;
}

std::string Announce(const GpuPlan& plan) {
  std::string text = mig::Explain(plan).front();
  if (plan.needs_reset) {
    text += " (resets the GPU, or takes effect at a reboot where that is impossible)";
  }
  return text;
}

MigLook Describe(const MigPlanned& planned, const std::set<std::string>& interrupted) {
  MigLook look;
  std::vector<std::string> lines, blocked;
  for (const GpuPlan& gpu : planned.plan.gpus) {
    if (!gpu.blockers.empty()) {
      blocked.push_back(mig::GpuTitle(gpu.gpu) + ": " + mig::DescribeBlockers(gpu));
    }
    if (!gpu.changes()) continue;
    look.affected[gpu.gpu.uuid] = Staying(gpu);
    lines.push_back(Announce(gpu));
  }
  for (const std::string& gpu : interrupted) {
    look.affected[gpu] = {};
    lines.push_back(fmt::format("GPU {}: finish an interrupted change", gpu));
  }
  look.changes = !look.affected.empty();
  look.blocked = Join(blocked, "; ");
  look.plan = Join(lines, "; ");
  return look;
}

MigPlanned Failure(Error error) {
  MigPlanned planned;
  planned.look.planned = std::move(error);
  return planned;
}

std::string Describe(const mig::UnreadableGpu& gpu) {
  return fmt::format("GPU {}{} cannot be read: {}", gpu.index,
                     gpu.uuid.empty() ? "" : " (" + gpu.uuid + ")", gpu.reason);
}

}  // namespace

MigLayouts ParseMigLayouts(const std::string& text, std::string origin) {
  MigLayouts layouts;
  mig::ParsedConfigFile parsed = mig::ParseConfigFile(text);
  if (parsed.ok()) {
    layouts.file = std::make_shared<const mig::ConfigFile>(std::move(parsed.file));
  } else {
    std::vector<std::string> problems;
    for (const config::Diagnostic& problem : parsed.problems) {
      if (problem.severity != config::Severity::kError) continue;
      problems.push_back(config::Format(problem, origin));
    }
    layouts.problem = Error{Code::kInvalidArgument, Join(problems, "; ")};
  }
  layouts.origin = std::move(origin);
  return layouts;
}

MigPlanned LookAtMig(mig::NvmlMigDriver& driver, const MigRequest& request, const Logger& log) {
  auto gpus = driver.ReadAll();
  if (!gpus.ok()) return Failure(gpus.error());
  AddPods(request, *gpus);
  const auto entries = Select(request, *gpus);
  if (!entries.ok()) return Failure(entries.error());
  const auto desired = mig::DesiredFor(*entries, *gpus);
  if (!desired.ok()) return Failure(desired.error());
  auto plan = mig::PlanNode(*gpus, *desired);
  if (!plan.ok()) return Failure(plan.error());
  MigPlanned planned;
  planned.plan = *std::move(plan);
  planned.changes_mode = std::any_of(planned.plan.gpus.begin(), planned.plan.gpus.end(),
                                     [](const GpuPlan& gpu) { return ChangesMode(gpu); });
  planned.look = Describe(planned, Interrupted(request.state_dir));
  if (planned.look.changes) return planned;
  for (const mig::UnreadableGpu& gpu : driver.unreadable()) {
    if (!mig::MayMean(*entries, gpu.index)) continue;
    planned.look.planned = Error{Code::kDataLoss, Describe(gpu)};
    return planned;
  }
  std::vector<GpuMigState> settled;
  for (const GpuPlan& gpu : planned.plan.gpus) settled.push_back(gpu.gpu);
  if (Status kept = mig::RememberLayout(request.state_dir, request.boot_id, settled); !kept.ok()) {
    log.Warning("cannot keep the MIG layout for the next boot", {{"cause", kept.error().message}});
  }
  return planned;
}

MigApplied ApplyMig(mig::NvmlMigDriver& driver, const mig::MigPlan& plan,
                    const MigApplyOptions& options, const Logger& log,
                    const std::function<void()>& breathe) {
  const auto lock = mig::LockMigChanges(options.state_dir);
  if (!lock.ok()) return {lock.error()};
  mig::FileJournalStore journal(mig::JournalPath(options.state_dir));
  if (!Interrupted(options.state_dir).empty()) {
    const auto report = mig::RecoverMigChanges(driver, journal, log);
    if (!report.ok()) return {report.error()};
    for (const mig::GpuReport& gpu : report->gpus) {
      if (gpu.outcome == mig::GpuOutcome::kStuck || gpu.outcome == mig::GpuOutcome::kUnknown) {
        return {Error{Code::kFailedPrecondition,
                      fmt::format("an interrupted change of GPU {} can be neither completed nor "
                                  "undone: {}",
                                  gpu.gpu, gpu.reason)}};
      }
    }
    return {Error{Code::kAborted, "an interrupted change had to be finished first"}};
  }
  MigApplied applied;
  std::vector<std::string> problems;
  Code code = Code::kFailedPrecondition;
  mig::Applier applier(driver, journal, log, {options.allow_reset, options.allow_reboot});
  for (const GpuPlan& gpu : plan.gpus) {
    if (!gpu.changes()) continue;
    const auto report = applier.Apply({{gpu}});
    breathe();
    if (!report.ok()) {
      problems.push_back(report.error().message);
      continue;
    }
    applied.needs_reboot = applied.needs_reboot || report->needs_reboot();
    for (const mig::GpuReport& one : report->gpus) {
      if (one.outcome == mig::GpuOutcome::kDone || one.outcome == mig::GpuOutcome::kUnchanged ||
          one.outcome == mig::GpuOutcome::kNeedsReboot) {
        continue;
      }
      if (one.outcome == mig::GpuOutcome::kRefused) code = Code::kAborted;
      problems.push_back(fmt::format("{} ({}): {}", mig::GpuTitle(gpu.gpu),
                                     mig::ToString(one.outcome), one.reason));
    }
    for (const std::string& warning : report->warnings) {
      log.Warning("MIG change", {{"warning", warning}});
    }
  }
  if (!problems.empty()) applied.done = Error{code, Join(problems, "; ")};
  return applied;
}

}  // namespace aliquot::agent
