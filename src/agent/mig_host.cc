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

Status HostPrograms::OnHost(const std::vector<std::string>& command) const {
  if (!options_.on_host) return Error{Code::kUnimplemented, "a simulated node has no host"};
  const auto status = options_.on_host(command);
  if (!status.ok()) return status.error();
  if (*status == 0) return {};
  return Error{Code::kAborted,
               fmt::format("\"{}\" ended with status {}", Join(command, " "), *status)};
}

// Those that are to be started again, as somebody left them in the record.
Result<std::vector<std::string>> HostPrograms::Recorded() const {
  const auto record = ReadFile(RecordPath());
  if (!record.ok() && record.error().code == Code::kNotFound) return std::vector<std::string>();
  if (!record.ok()) return record.error();
  std::vector<std::string> units = Split(*record, '\n');
  std::erase(units, "");
  return units;
}

// Only these are stopped, lest one that somebody keeps off is started at the end.
Result<std::vector<std::string>> HostPrograms::RunningOf(
    const std::vector<std::string>& units) const {
  std::vector<std::string> running;
  for (const std::string& unit : units) {
    const auto status = options_.on_host({"systemctl", "is-active", "--quiet", unit});
    if (!status.ok()) return status.error().In("cannot ask for " + unit);
    // 3 and 4: it is not, or is not known (LSB). Others say that systemd could not be asked.
    if (*status != 0 && *status != 3 && *status != 4) {
      return Error{Code::kUnavailable,
                   fmt::format("cannot ask for {}: \"systemctl is-active\" ended with status {}",
                               unit, *status)};
    }
    if (*status == 0) running.push_back(unit);
  }
  return running;
}

Status HostPrograms::RunHooks(const std::vector<mig::Hook>& hooks) const {
  for (mig::Hook hook : hooks) {
    for (const auto& [name, value] : options_.hook_environment) hook.envs[name] = value;
    if (Status ran = run_hook_(hook); !ran.ok()) return ran;
  }
  return {};
}

Status HostPrograms::StopNow(const std::vector<std::string>& units, bool mode) const {
  const auto running = RunningOf(units);
  if (!running.ok()) return running.error();
  // A process before this one may have died with some stopped.
  auto recorded = Recorded();
  if (!recorded.ok()) return recorded.error();
  for (const std::string& unit : *running) {
    if (std::find(recorded->begin(), recorded->end(), unit) == recorded->end()) {
      recorded->push_back(unit);
    }
  }
  std::error_code failure;
  std::filesystem::create_directories(options_.state_dir, failure);
  // Also with no unit to be stopped: that the hooks at the end are due is remembered by it.
  if (Status kept = WriteFileAtomically(RecordPath(), Join(*recorded, "\n"), 0600); !kept.ok()) {
    return kept;
  }
  if (Status ran = RunHooks(options_.hooks.apply_start); !ran.ok()) return ran;
  for (const std::string& unit : *running) {
    log_.Info("stopping a GPU client of the host", {{"service", unit}});
    if (Status stop = OnHost({"systemctl", "stop", unit}); !stop.ok()) return stop;
  }
  if (mode) {
    if (Status ran = RunHooks(options_.hooks.pre_apply_mode); !ran.ok()) return ran;
  }
  return RunHooks(options_.hooks.pre_apply_config);
}

// Goes on after a failure: whatever can be started is.
Status HostPrograms::StartNow() const {
  const auto recorded = Recorded();
  if (!recorded.ok()) return recorded.error();
  std::vector<std::string> problems;
  for (const std::string& service : *recorded) {
    log_.Info("starting a GPU client of the host", {{"service", service}});
    if (Status start = OnHost({"systemctl", "start", service}); !start.ok()) {
      problems.push_back(start.error().message);
    }
  }
  if (Status ran = RunHooks(options_.hooks.apply_exit); !ran.ok()) {
    problems.push_back(ran.error().message);
  }
  if (!problems.empty()) {
    return Error{Code::kUnavailable,
                 "clients of the host are still stopped: " + Join(problems, "; ")};
  }
  return Remove(RecordPath());
}

void HostPrograms::StopClients(std::vector<std::string> units, bool mode, Done done) {
  const mig::HooksFile& hooks = options_.hooks;
  if (units.empty() && hooks.apply_start.empty() && hooks.pre_apply_mode.empty() &&
      hooks.pre_apply_config.empty() && hooks.apply_exit.empty()) {
    return done({});
  }
  if (!thread_) thread_.emplace();
  thread_->Post([this, units = std::move(units), mode, done = std::move(done)] {
    done(StopNow(units, mode));
  });
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
  thread_->Post([this, done = std::move(done)] { done(OnHost(options_.reboot_command)); });
}

std::vector<std::string> UsualGpuClients() {
  return {"nvsm.service",          "nvsm-mqtt.service",
          "nvsm-core.service",     "nvsm-api-gateway.service",
          "nvsm-notifier.service", "nv_peer_mem.service",
          "nvidia-dcgm.service",   "dcgm.service",
          "dcgm-exporter.service"};
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
