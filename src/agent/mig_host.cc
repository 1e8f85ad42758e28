// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_host.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "config/reader.h"
#include "config/yaml_document.h"

namespace aliquot::agent {
namespace {

Status Remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return ErrnoError("cannot remove " + path, errno);
}

}  // namespace

bool HostPrograms::stopped() const { return ::access(RecordPath().c_str(), F_OK) == 0; }

Status HostPrograms::RunOnHost(std::vector<std::string> command) const {
  command.insert(command.begin(), options_.prefix.begin(), options_.prefix.end());
  mig::Hook program;
  program.command = command.front();
  program.args.assign(command.begin() + 1, command.end());
  return run_(program);
}

Status HostPrograms::StopNow(bool mode) const {
  std::vector<std::string> running;
  for (const std::string& service : options_.services) {
    if (RunOnHost({"systemctl", "is-active", "--quiet", service}).ok()) running.push_back(service);
  }
  std::error_code failure;
  std::filesystem::create_directories(options_.state_dir, failure);
  // Also with no service to be stopped: that the hooks at the end are due is remembered by it.
  if (Status kept = WriteFileAtomically(RecordPath(), Join(running, "\n"), 0600); !kept.ok()) {
    return kept;
  }
  const auto hooks = [&](const std::vector<mig::Hook>& list) -> Status {
    for (mig::Hook hook : list) {
      for (const auto& [name, value] : options_.hook_environment) hook.envs[name] = value;
      if (Status ran = run_(hook); !ran.ok()) return ran;
    }
    return {};
  };
  if (Status ran = hooks(options_.hooks.apply_start); !ran.ok()) return ran;
  for (const std::string& service : running) {
    log_.Info("stopping a GPU client of the host", {{"service", service}});
    if (Status stop = RunOnHost({"systemctl", "stop", service}); !stop.ok()) return stop;
  }
  if (mode) {
    if (Status ran = hooks(options_.hooks.pre_apply_mode); !ran.ok()) return ran;
  }
  return hooks(options_.hooks.pre_apply_config);
}

// Goes on after a failure: whatever can be started is.
Status HostPrograms::StartNow() const {
  const auto record = ReadFile(RecordPath());
  if (!record.ok()) {
    if (record.error().code == Code::kNotFound) return {};
    return record.error();
  }
  std::vector<std::string> problems;
  for (const std::string& service : Split(*record, '\n')) {
    if (service.empty()) continue;
    log_.Info("starting a GPU client of the host", {{"service", service}});
    if (Status start = RunOnHost({"systemctl", "start", service}); !start.ok()) {
      problems.push_back(start.error().message);
    }
  }
  for (mig::Hook hook : options_.hooks.apply_exit) {
    for (const auto& [name, value] : options_.hook_environment) hook.envs[name] = value;
    if (Status ran = run_(hook); !ran.ok()) {
      problems.push_back(ran.error().message);
      break;
    }
  }
  if (!problems.empty()) {
    return Error{Code::kUnavailable,
                 "clients of the host are still stopped: " + Join(problems, "; ")};
  }
  return Remove(RecordPath());
}

void HostPrograms::StopClients(bool mode, Done done) {
  const mig::HooksFile& hooks = options_.hooks;
  if (options_.services.empty() && hooks.apply_start.empty() && hooks.pre_apply_mode.empty() &&
      hooks.pre_apply_config.empty() && hooks.apply_exit.empty()) {
    return done({});
  }
  if (!thread_) thread_.emplace();
  thread_->Post([this, mode, done = std::move(done)] { done(StopNow(mode)); });
}

void HostPrograms::StartClients(Done done) {
  if (!stopped()) return done({});
  if (!thread_) thread_.emplace();
  thread_->Post([this, done = std::move(done)] { done(StartNow()); });
}

void HostPrograms::Reboot(Done done) {
  if (options_.reboot_command.empty()) {
    return done(Error{Code::kUnimplemented,
                      "there is no command for it; a simulated node is not rebooted"});
  }
  if (!thread_) thread_.emplace();
  thread_->Post([this, done = std::move(done)] { done(RunOnHost(options_.reboot_command)); });
}

Result<std::vector<std::string>> ParseGpuClients(const std::string& text) {
  static constexpr std::array<std::string_view, 2> kKeys = {"version", "systemd-services"};
  config::Problems problems;
  std::vector<std::string> services;
  if (const auto document = config::ParseYaml(text, problems)) {
    const config::MapReader fields({document.get(), "", document->position}, kKeys,
                                   config::KeyCase::kExact, problems);
    if (const auto version = fields.Get("version")) {
      const auto written = config::ReadString(*version, problems);
      if (written && *written != "v1") {
        problems.Error(version->position(), "version",
                       fmt::format("\"{}\" is not a version, expected \"v1\"", *written));
      }
    }
    if (const auto list = fields.Get("systemd-services");
        list && config::ExpectList(*list, "systemd units", problems)) {
      for (std::size_t i = 0; i < list->node->items.size(); ++i) {
        const auto unit = config::ReadString(config::ItemOf(*list, i), problems);
        // A unit is an argument of systemctl and must not look like an option.
        if (unit && (unit->empty() || unit->front() == '-')) {
          problems.Error(list->position(), "systemd-services", "expected names of units");
        } else if (unit) {
          services.push_back(*unit);
        }
      }
    }
  }
  const auto found = std::move(problems).Take();
  for (const config::Diagnostic& problem : found) {
    if (problem.severity != config::Severity::kError) continue;
    return Error{Code::kInvalidArgument, config::Format(problem, "the file of GPU clients")};
  }
  return services;
}

}  // namespace aliquot::agent
