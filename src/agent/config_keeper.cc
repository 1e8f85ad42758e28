// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/config_keeper.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "base/file.h"

namespace aliquot::agent {

struct ConfigKeeper::Attempt {
  std::optional<std::string> text;
  std::optional<config::Config> config;
  config::AgentSettings settings;
  std::vector<config::Diagnostic> diagnostics;
};

Status CheckSupported(const config::Config& config) {
  if (config.sharing.strategy == config::SharingStrategy::kMps) {
    return Error{Code::kUnimplemented,
                 "sharing.mps: this version runs no MPS daemon; use sharing.timeSlicing"};
  }
  if (config.sharing.isolation && config.sharing.isolation->active()) {
    return Error{Code::kUnimplemented,
                 "sharing.timeSlicing.isolation: this version enforces no shares; remove the key "
                 "for plain time-slicing"};
  }
  const auto discovery = config.flags.device_discovery_strategy;
  if (discovery == config::DiscoveryStrategy::kTegra ||
      discovery == config::DiscoveryStrategy::kVfio) {
    return Error{Code::kUnimplemented,
                 "flags.deviceDiscoveryStrategy: this version finds devices through NVML only; use "
                 "\"auto\" or \"nvml\""};
  }
  return {};
}

ConfigKeeper::ConfigKeeper(config::ConfigSources sources, std::string state_dir, const Clock& clock,
                           const Logger& log)
    : sources_(std::move(sources)), state_dir_(std::move(state_dir)), clock_(clock), log_(log) {
  view_.path = config::ConfigFilePath(sources_);
  settings_ = Try({}).settings;
}

ConfigKeeper::Attempt ConfigKeeper::Try(std::optional<std::string> text) const {
  config::ConfigSources sources = sources_;
  sources.file_text = text;
  config::ConfigOutcome outcome = config::ResolveConfig(sources);
  Attempt attempt{std::move(text), std::move(outcome.config), std::move(outcome.agent),
                  std::move(outcome.diagnostics)};
  if (attempt.config) {
    if (const Status supported = CheckSupported(*attempt.config); !supported.ok()) {
      attempt.config.reset();
      attempt.diagnostics.push_back(
          {config::Severity::kError, {}, "this agent", supported.error().message, {}});
    }
  }
  return attempt;
}

bool ConfigKeeper::Reload() {
  Attempt attempt;
  if (view_.path.empty()) {
    attempt = Try({});
  } else if (Result<std::string> text = ReadFile(view_.path); text.ok()) {
    attempt = Try(std::move(*text));
  } else {
    attempt.diagnostics.push_back(
        {config::Severity::kError, {}, "--config-file", text.error().message, {}});
  }
  Report(attempt);
  if (attempt.config) {
    if (attempt.text && !state_dir_.empty()) {
      std::error_code ignored;
      std::filesystem::create_directories(state_dir_, ignored);
      if (Status saved = WriteFileAtomically(LastGoodPath(), *attempt.text); !saved.ok()) {
        log_.Warning("cannot keep the last good configuration", {{"error", saved.error().message}});
      }
    }
    return Adopt(*attempt.config, attempt.text ? "file" : "flags and defaults");
  }
  if (view_.serving || state_dir_.empty()) return false;
  Result<std::string> text = ReadFile(LastGoodPath());
  if (!text.ok()) return false;
  const Attempt last_good = Try(std::move(*text));
  return last_good.config && Adopt(*last_good.config, "last good file");
}

bool ConfigKeeper::Adopt(const config::Config& config, std::string origin) {
  view_.origin = std::move(origin);
  if (view_.serving && *view_.serving == config) return false;
  view_.serving = std::make_shared<const config::Config>(config);
  ++view_.generation;
  view_.applied_at = clock_.WallNow();
  log_.Info("configuration in use", {{"origin", view_.origin},
                                     {"file", view_.path},
                                     {"generation", fmt::to_string(view_.generation)}});
  return true;
}

void ConfigKeeper::Report(const Attempt& attempt) {
  const bool news =
      attempt.diagnostics != view_.diagnostics || view_.failing != !attempt.config.has_value();
  view_.diagnostics = attempt.diagnostics;
  view_.failing = !attempt.config;
  if (!news) return;
  for (const config::Diagnostic& diagnostic : attempt.diagnostics) {
    const std::string text = config::Format(diagnostic, view_.path);
    if (diagnostic.severity == config::Severity::kError) {
      log_.Error("configuration problem", {{"problem", text}});
    } else {
      log_.Warning("configuration problem", {{"problem", text}});
    }
  }
  if (view_.failing) {
    log_.Error(
        "configuration refused",
        {{"file", view_.path}, {"serving", view_.serving ? "the last good one" : "nothing yet"}});
  }
}

}  // namespace aliquot::agent
