// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/recovery.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "mig/boot_restore.h"
#include "mig/nvml_driver.h"

namespace aliquot::mig {

std::string JournalPath(const std::string& state_dir) { return state_dir + "/mig-journal.json"; }

Result<UniqueFd> LockMigChanges(const std::string& state_dir) {
  std::error_code failure;
  std::filesystem::create_directories(state_dir, failure);
  if (failure) {
    return ErrnoError(fmt::format("cannot make the state directory {}", state_dir),
                      failure.value());
  }
  const std::string path = state_dir + "/mig.lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoError(fmt::format("cannot open {}", path), errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return ErrnoError(fmt::format("cannot lock {}", path), errno);
  return Error{Code::kFailedPrecondition,
               fmt::format("another process is changing MIG on this node (it holds {})", path)};
}

Result<ApplyReport> RecoverMigChanges(MigDriver& driver, JournalStore& journal, const Logger& log) {
  ApplyOptions options;
  if (const auto text = journal.Load(); text.ok()) {
    const auto left = ReadJournal(*text);
    options.allow_reboot =
        left.ok() && std::any_of(left->gpus.begin(), left->gpus.end(),
                                 [](const Journal::Gpu& gpu) { return gpu.awaits_reboot; });
  }
  return Applier(driver, journal, log, options).Recover();
}

Status RecoveringDriverSource::Recover(const gpu::Driver& driver) {
  const auto lock = LockMigChanges(state_dir_);
  if (!lock.ok()) return lock.error();
  auto mig = NvmlMigDriver::Open(driver.api());
  if (!mig.ok()) return mig.error();
  FileJournalStore journal(JournalPath(state_dir_));
  const auto report = RecoverMigChanges(**mig, journal, log_);
  if (!report.ok()) return report.error();
  for (const GpuReport& gpu : report->gpus) {
    log_.Info("interrupted MIG change", {{"gpu", gpu.gpu},
                                         {"outcome", std::string(ToString(gpu.outcome))},
                                         {"reason", gpu.reason}});
  }
  return RestoreLayout(**mig, journal, state_dir_, boot_id_, *report, log_);
}

Result<std::unique_ptr<gpu::Driver>> RecoveringDriverSource::Load() {
  auto driver = inner_->Load();
  const bool interrupted = ::access(JournalPath(state_dir_).c_str(), F_OK) == 0;
  if (!driver.ok() || (!interrupted && !RestoreIsDue(state_dir_, boot_id_))) return driver;
  if (Status recovered = Recover(**driver); !recovered.ok()) {
    log_.Error("cannot finish the interrupted MIG change", {{"cause", recovered.error().message}});
  }
  return driver;
}

}  // namespace aliquot::mig
