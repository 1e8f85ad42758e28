// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/boot_restore.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "mig/checkpoint.h"
#include "mig/planner.h"

namespace aliquot::mig {
namespace {

namespace json = boost::json;

constexpr char kBootKey[] = "BootId";

// The file with the boot it is of in it.
Result<std::string> WithBoot(const std::string& checkpoint, const std::string& boot_id) {
  boost::system::error_code failure;
  json::value value = json::parse(checkpoint, failure);
  if (failure || !value.is_object()) return Error{Code::kInvalidArgument, "it is not JSON"};
  value.get_object()[kBootKey] = boot_id;
  return json::serialize(value) + "\n";
}

std::string BootOf(const std::string& text) {
  boost::system::error_code failure;
  const json::value value = json::parse(text, failure);
  if (failure || !value.is_object()) return {};
  const json::value* boot = value.get_object().if_contains(kBootKey);
  return boot != nullptr && boot->is_string() ? std::string(boot->get_string()) : std::string();
}

bool Has(const ApplyReport& report, const std::string& gpu) {
  return std::any_of(report.gpus.begin(), report.gpus.end(),
                     [&](const GpuReport& other) { return other.gpu == gpu; });
}

void Restore(MigDriver& driver, JournalStore& journal, const Checkpoint::Gpu& wanted,
             const Logger& log) {
  const auto say = [&](const std::string& outcome, const std::string& reason) {
    log.Info("MIG layout after the reboot",
             {{"gpu", wanted.uuid}, {"outcome", outcome}, {"reason", reason}});
  };
  const auto now = driver.Read(wanted.uuid);
  if (!now.ok()) return say("not restored", now.error().message);
  if (!now->instances.empty()) return say("left alone", "it has MIG devices by now");
  auto plan = PlanLayout(*now, wanted.layout);
  if (!plan.ok()) return say("not restored", plan.error().message);
  if (!plan->changes()) return;
  const auto report = Applier(driver, journal, log, {.allow_reset = true}).Apply({{*plan}});
  if (!report.ok()) return say("not restored", report.error().message);
  const GpuReport& gpu = report->gpus.front();
  say(gpu.outcome == GpuOutcome::kDone ? "restored" : std::string(ToString(gpu.outcome)),
      gpu.reason);
}

}  // namespace

std::string LayoutPath(const std::string& state_dir) { return state_dir + "/mig-layout.json"; }

std::string BootId(const std::string& root) {
  const auto text = ReadFile(root + "/proc/sys/kernel/random/boot_id");
  return text.ok() ? std::string(Trim(*text)) : std::string();
}

Status RememberLayout(const std::string& state_dir, const std::string& boot_id,
                      const std::vector<GpuMigState>& gpus) {
  const auto text = WithBoot(WriteCheckpoint(CheckpointOf(gpus)), boot_id);
  if (!text.ok()) return text.error();
  const std::string path = LayoutPath(state_dir);
  const auto before = ReadFile(path);
  if (before.ok() && *before == *text) return {};
  std::error_code failure;
  std::filesystem::create_directories(state_dir, failure);
  return WriteFileAtomically(path, *text, 0600);
}

Status ForgetLayout(const std::string& state_dir) {
  const std::string path = LayoutPath(state_dir);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return ErrnoError("cannot remove " + path, errno);
}

bool RestoreIsDue(const std::string& state_dir, const std::string& boot_id) {
  if (boot_id.empty()) return false;
  const auto text = ReadFile(LayoutPath(state_dir));
  return text.ok() && BootOf(*text) != boot_id;
}

Status RestoreLayout(MigDriver& driver, JournalStore& journal, const std::string& state_dir,
                     const std::string& boot_id, const ApplyReport& recovered, const Logger& log) {
  if (!RestoreIsDue(state_dir, boot_id)) return {};
  const std::string path = LayoutPath(state_dir);
  const auto text = ReadFile(path);
  if (!text.ok()) return text.error();
  const auto checkpoint = ReadCheckpoint(*text);
  if (!checkpoint.ok()) return checkpoint.error().In(path);
  for (const Checkpoint::Gpu& gpu : checkpoint->gpus) {
    if (!Has(recovered, gpu.uuid)) Restore(driver, journal, gpu, log);
  }
  // Once is enough: what happens to the GPUs from here on is somebody's wish.
  const auto done = WithBoot(*text, boot_id);
  if (!done.ok()) return done.error();
  return WriteFileAtomically(path, *done, 0600);
}

}  // namespace aliquot::mig
