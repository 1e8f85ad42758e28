// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace aliquot::mig {
namespace {

// Whether the outcome leaves nothing to do for Recover.
bool Settled(GpuOutcome outcome) {
  return outcome != GpuOutcome::kNeedsReboot && outcome != GpuOutcome::kStuck &&
         outcome != GpuOutcome::kUnknown;
}

// Adds who is in the way of an instance's end, if the driver said that something is.
Error NameHolders(const GpuMigState& state, const Step& step, const Error& error) {
  if (error.code != Code::kFailedPrecondition || step.kind == Step::Kind::kSetMode) return error;
  std::vector<Holder> holders = state.holders;
  for (const GpuInstance& instance : state.instances) {
    if (instance.id != step.gpu_instance_id) continue;
    for (const ComputeInstance& compute : instance.compute) {
      holders.insert(holders.end(), compute.holders.begin(), compute.holders.end());
    }
  }
  if (holders.empty()) return error;
  return {error.code, fmt::format("{}; in use by {}", error.message, Describe(holders))};
}

}  // namespace

std::string_view ToString(GpuOutcome outcome) {
  switch (outcome) {
    case GpuOutcome::kUnchanged:
      return "unchanged";
    case GpuOutcome::kDone:
      return "done";
    case GpuOutcome::kRolledBack:
      return "rolled back";
    case GpuOutcome::kRefused:
      return "refused";
    case GpuOutcome::kNeedsReboot:
      return "needs a reboot";
    case GpuOutcome::kStuck:
      return "stuck";
    case GpuOutcome::kUnknown:
      return "unknown";
  }
  return "unknown";
}

bool ApplyReport::done() const {
  return std::all_of(gpus.begin(), gpus.end(), [](const GpuReport& gpu) {
    return gpu.outcome == GpuOutcome::kUnchanged || gpu.outcome == GpuOutcome::kDone;
  });
}

bool ApplyReport::needs_reboot() const {
  return std::any_of(gpus.begin(), gpus.end(),
                     [](const GpuReport& gpu) { return gpu.outcome == GpuOutcome::kNeedsReboot; });
}

bool ApplyReport::unfinished() const {
  return std::any_of(gpus.begin(), gpus.end(),
                     [](const GpuReport& gpu) { return !Settled(gpu.outcome); });
}

Result<Applier::Reached> Applier::SetMode(const GpuMigState& state, bool on) {
  const bool changes = state.mode_on != on;
  if (changes && state.mode_switch == ModeSwitch::kWithReset && !options_.allow_reset) {
    return Error{Code::kFailedPrecondition,
                 fmt::format("turning MIG mode {} resets {}, which is not allowed",
                             on ? "on" : "off", GpuTitle(state))};
  }
  const auto result = driver_.SetMode(state.uuid, on);
  if (!result.ok()) return result.error();
  if (*result == ModeResult::kActive) return Reached::kYes;
  if (*result == ModeResult::kInUse) {
    std::vector<Holder> clients = driver_.Clients(state.uuid);
    if (clients.empty()) clients = state.holders;
    return Error{Code::kFailedPrecondition,
                 fmt::format("{} is held open by {}", GpuTitle(state),
                             clients.empty() ? "other clients" : Describe(clients))};
  }
  Status reset = Error{Code::kFailedPrecondition, "a reset is not allowed"};
  if (options_.allow_reset) reset = driver_.Reset(state.uuid);
  if (reset.ok()) return Reached::kYes;
  if (options_.allow_reboot) return Reached::kAtReboot;
  return Error{Code::kFailedPrecondition,
               fmt::format("MIG mode of {} changes only at a reset or reboot of the node ({}); "
                           "allow reboots (WITH_REBOOT=true) to have it done",
                           GpuTitle(state), reset.error().message)};
}

Result<Applier::Reached> Applier::Run(const GpuMigState& state, const Step& step) {
  const auto plain = [](const Status& status) -> Result<Reached> {
    if (!status.ok()) return status.error();
    return Reached::kYes;
  };
  switch (step.kind) {
    case Step::Kind::kDestroyComputeInstance:
      return plain(driver_.DestroyComputeInstance(state.uuid, step.gpu_instance_id,
                                                  step.compute_instance_id));
    case Step::Kind::kDestroyGpuInstance:
      return plain(driver_.DestroyGpuInstance(state.uuid, step.gpu_instance_id));
    case Step::Kind::kSetMode:
      return SetMode(state, step.mode_on);
    case Step::Kind::kCreateGpuInstance:
      return plain(driver_.CreateGpuInstance(state.uuid, step.profile, step.placement).status());
    case Step::Kind::kCreateComputeInstance:
      break;
  }
  for (const GpuInstance& instance : state.instances) {
    if (instance.placement != step.placement) continue;
    return plain(driver_
                     .CreateComputeInstance(state.uuid, instance.id, step.compute_profile,
                                            step.compute_placement)
                     .status());
  }
  return Error{Code::kInternal, "the GPU instance to fill is not there"};
}

// Always does the first of the steps that are left, then looks again: what is left must have become
// less, or the driver claimed something that is not so.
Result<Applier::Reached> Applier::Reach(const std::string& gpu, const Layout& target) {
  auto state = driver_.Read(gpu);
  if (!state.ok()) return state.error();
  std::vector<Step> steps = StepsBetween(*state, target);
  while (!steps.empty()) {
    const Step& step = steps.front();
    const std::string what = Describe(*state, step);
    const auto ran = Run(*state, step);
    if (!ran.ok()) return NameHolders(*state, step, ran.error()).In(what);
    if (*ran == Reached::kAtReboot) return Reached::kAtReboot;
    state = driver_.Read(gpu);
    if (!state.ok()) return state.error().In("after " + what);
    std::vector<Step> left = StepsBetween(*state, target);
    if (left.size() >= steps.size()) {
      return Error{
          Code::kInternal,
          fmt::format("{}: the driver reports success, but the GPU does not show it", what)};
    }
    log_.Info("MIG step done", {{"gpu", gpu}, {"step", what}});
    steps = std::move(left);
  }
  return Reached::kYes;
}

Result<Applier::Reached> Applier::Forward(const GpuPlan& plan, Journal::Gpu& entry) {
  const auto reached = Reach(entry.uuid, entry.after);
  if (!reached.ok() || !plan.then) return reached;
  if (*reached == Reached::kAtReboot) {
    entry.goal = Journal::Goal::kAfter;  // MIG mode on is as far as can be seen before the reboot
    return reached;
  }
  // MIG mode is on now and the profiles can be read.
  const auto state = driver_.Read(entry.uuid);
  if (!state.ok()) return state.error();
  auto rest = PlanGpu(*state, *plan.then);
  if (!rest.ok()) return rest.error();
  if (rest->then) {
    return Error{Code::kFailedPrecondition,
                 fmt::format("the driver lists no MIG profiles of {}", GpuTitle(*state))};
  }
  if (!rest->blockers.empty()) {
    return Error{Code::kFailedPrecondition, DescribeBlockers(*rest)};
  }
  entry.after = std::move(rest->after);
  entry.goal = Journal::Goal::kAfter;
  if (Status saved = SaveJournal(); !saved.ok()) return saved.error();
  return Reach(entry.uuid, entry.after);
}

GpuReport Applier::Finish(Journal::Gpu& entry, Reached reached) {
  const bool after = entry.goal == Journal::Goal::kAfter;
  if (reached == Reached::kYes) {
    return {entry.uuid, after ? GpuOutcome::kDone : GpuOutcome::kRolledBack, "",
            after ? entry.after : entry.before};
  }
  entry.awaits_reboot = true;
  GpuReport report{
      entry.uuid, GpuOutcome::kNeedsReboot, "MIG mode changes at the next reboot of the node", {}};
  if (const auto state = driver_.Read(entry.uuid); state.ok()) report.layout = LayoutOf(*state);
  return report;
}

GpuReport Applier::RollBack(Journal::Gpu& entry, const Error& cause) {
  log_.Warning("MIG change failed, rolling back", {{"gpu", entry.uuid}, {"cause", cause.message}});
  entry.goal = Journal::Goal::kBefore;
  // Without this the worst is that the next start tries forward once more.
  if (Status saved = SaveJournal(); !saved.ok()) {
    log_.Warning("cannot save the MIG journal", {{"cause", saved.error().message}});
  }
  const auto reached = Reach(entry.uuid, entry.before);
  if (reached.ok()) {
    GpuReport report = Finish(entry, *reached);
    report.reason = cause.message;
    return report;
  }
  GpuReport report{entry.uuid, GpuOutcome::kUnknown, "", {}};
  report.reason =
      fmt::format("{}; rolling back failed: {}", cause.message, reached.error().message);
  if (const auto state = driver_.Read(entry.uuid); state.ok()) {
    report.layout = LayoutOf(*state);
    report.outcome =
        SameLayout(*report.layout, entry.before) && state->mode_on == state->pending_mode_on
            ? GpuOutcome::kRolledBack
            : GpuOutcome::kStuck;
    report.reason += "; it has now: MIG " + Describe(*state, *report.layout);
  }
  log_.Error("MIG rollback failed", {{"gpu", entry.uuid}, {"reason", report.reason}});
  return report;
}

Status Applier::CheckCurrent(const GpuPlan& plan, const GpuMigState& now) {
  if (StepsBetween(now, plan.after) != plan.steps) {
    return Error{Code::kAborted,
                 fmt::format("{} changed since it was planned; plan again", GpuTitle(now))};
  }
  const auto again = PlanLayout(now, plan.after);
  if (!again.ok()) return again.error();
  if (again->blockers.empty()) return {};
  return Error{Code::kFailedPrecondition, DescribeBlockers(*again)};
}

GpuReport Applier::ApplyGpu(const GpuPlan& plan, Journal::Gpu& entry) {
  const auto now = driver_.Read(entry.uuid);
  if (!now.ok()) return {entry.uuid, GpuOutcome::kRefused, now.error().message, {}};
  if (Status current = CheckCurrent(plan, *now); !current.ok()) {
    return {entry.uuid, GpuOutcome::kRefused, current.error().message, LayoutOf(*now)};
  }
  const auto reached = Forward(plan, entry);
  return reached.ok() ? Finish(entry, *reached) : RollBack(entry, reached.error());
}

Result<Journal> Applier::LoadJournal() {
  const auto text = store_.Load();
  if (!text.ok() && text.error().code == Code::kNotFound) return Journal{};
  if (!text.ok()) return text.error();
  return ReadJournal(*text);
}

Status Applier::SaveJournal() { return store_.Save(WriteJournal(journal_)); }

void Applier::CloseJournal(ApplyReport& report) {
  std::erase_if(journal_.gpus, [&](const Journal::Gpu& entry) {
    const auto at = std::find_if(report.gpus.begin(), report.gpus.end(),
                                 [&](const GpuReport& gpu) { return gpu.gpu == entry.uuid; });
    return at != report.gpus.end() && Settled(at->outcome);
  });
  const Status closed = journal_.gpus.empty() ? store_.Remove() : SaveJournal();
  if (!closed.ok()) {
    report.warnings.push_back("the MIG journal was not closed: " + closed.error().message);
  }
}

Result<ApplyReport> Applier::Apply(const MigPlan& plan) {
  for (const GpuPlan& gpu : plan.gpus) {
    if (gpu.blockers.empty()) continue;
    return Error{Code::kFailedPrecondition,
                 fmt::format("{}: {}", GpuTitle(gpu.gpu), DescribeBlockers(gpu))};
  }
  auto left = LoadJournal();
  if (!left.ok()) return left.error();
  journal_ = *std::move(left);
  for (const Journal::Gpu& entry : journal_.gpus) {
    if (entry.awaits_reboot) continue;
    return Error{Code::kFailedPrecondition,
                 fmt::format("an earlier MIG change of GPU {} was interrupted; recover it first",
                             entry.uuid)};
  }
  for (const GpuPlan& gpu : plan.gpus) {
    // What waited for a reboot is replaced by what is wanted now.
    std::erase_if(journal_.gpus, [&](const auto& entry) { return entry.uuid == gpu.gpu.uuid; });
    if (!gpu.changes()) continue;
    // With profiles still unknown, only the way back is known.
    const auto goal = gpu.then ? Journal::Goal::kBefore : Journal::Goal::kAfter;
    journal_.gpus.push_back({gpu.gpu.uuid, LayoutOf(gpu.gpu), gpu.after, goal, false});
  }
  if (plan.changes()) {
    if (Status saved = SaveJournal(); !saved.ok()) {
      return saved.error().In("cannot begin the MIG change");
    }
  }
  ApplyReport report;
  for (const GpuPlan& gpu : plan.gpus) {
    const auto entry = std::find_if(journal_.gpus.begin(), journal_.gpus.end(),
                                    [&](const auto& e) { return e.uuid == gpu.gpu.uuid; });
    report.gpus.push_back(entry != journal_.gpus.end()
                              ? ApplyGpu(gpu, *entry)
                              : GpuReport{gpu.gpu.uuid, GpuOutcome::kUnchanged, "", gpu.after});
  }
  CloseJournal(report);
  return report;
}

Result<ApplyReport> Applier::Recover() {
  auto left = LoadJournal();
  if (!left.ok()) return left.error();
  journal_ = *std::move(left);
  ApplyReport report;
  if (journal_.gpus.empty()) return report;
  for (Journal::Gpu& entry : journal_.gpus) {
    entry.awaits_reboot = false;
    log_.Info("MIG change resumed", {{"gpu", entry.uuid}});
    const bool forward = entry.goal == Journal::Goal::kAfter;
    const auto reached = Reach(entry.uuid, forward ? entry.after : entry.before);
    if (reached.ok()) {
      report.gpus.push_back(Finish(entry, *reached));
    } else {
      report.gpus.push_back(RollBack(entry, reached.error()));
    }
  }
  CloseJournal(report);
  return report;
}

}  // namespace aliquot::mig
