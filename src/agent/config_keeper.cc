// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/config_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "agent/last_good.h"
#include "base/file.h"
#include "config/options.h"

namespace aliquot::agent {
namespace {

// `base` with the variables of `over`. An option that `over` sets by one of its variables is not
// set by another one of `base`: GFD_MIG_STRATEGY of the process would else beat the MIG_STRATEGY
// that somebody asked for.
std::map<std::string, std::string> Overlay(std::map<std::string, std::string> base,
                                           const std::map<std::string, std::string>& over) {
  for (const config::Option& option : config::AllOptions()) {
    const bool set =
        std::any_of(option.variables.begin(), option.variables.end(),
                    [&](std::string_view name) { return over.contains(std::string(name)); });
    if (!set) continue;
    for (const std::string_view name : option.variables) base.erase(std::string(name));
  }
  for (const auto& [name, value] : over) base[name] = value;
  return base;
}

}  // namespace

struct ConfigKeeper::Attempt {
  ConfigOffer offer;  // as taken; its text is that of the file if that is what counts
  bool from_file = false;
  std::optional<config::Config> config;
  config::AgentSettings settings;
  std::string reason;
  std::vector<config::Diagnostic> diagnostics;
};

Status CheckSupported(const config::Config& config) {
  if (config.sharing.strategy == config::SharingStrategy::kMps) {
    return Error{Code::kUnimplemented,
                 "sharing.mps: this version runs no MPS daemon; use sharing.timeSlicing"};
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

ConfigKeeper::ConfigKeeper(config::ConfigSources sources, std::string state_dir, Mode mode,
                           const Clock& clock, const Logger& log)
    : sources_(std::move(sources)),
      file_(config::ConfigFilePath(sources_)),
      state_dir_(std::move(state_dir)),
      mode_(mode),
      clock_(clock),
      log_(log) {
  view_.path = file_;
  settings_ = Try({}, {}).settings;
}

std::string ConfigKeeper::LastGoodPath() const {
  return state_dir_ + (mode_ == Mode::kFile ? "/last-good-config.yaml" : "/last-good-cluster.json");
}

ConfigKeeper::Attempt ConfigKeeper::Try(std::optional<std::string> text,
                                        const ConfigOffer& offer) const {
  config::ConfigSources sources = sources_;
  sources.environment = Overlay(std::move(sources.environment), offer.environment);
  sources.file_text = text;
  config::ConfigOutcome outcome = config::ResolveConfig(sources);
  Attempt attempt;
  attempt.offer = offer;
  attempt.offer.text = std::move(text);
  attempt.config = std::move(outcome.config);
  attempt.settings = std::move(outcome.agent);
  attempt.diagnostics = std::move(outcome.diagnostics);
  if (!attempt.config) attempt.reason = "ConfigInvalid";
  for (config::Diagnostic& diagnostic : attempt.diagnostics) {
    if (diagnostic.position.line == 0 && offer.environment.contains(diagnostic.path)) {
      diagnostic.path += " of " + offer.environment_source;
    }
  }
  if (attempt.config) {
    if (const Status supported = CheckSupported(*attempt.config); !supported.ok()) {
      attempt.config.reset();
      attempt.reason = "ConfigUnsupported";
      attempt.diagnostics.push_back(
          {config::Severity::kError, {}, "this agent", supported.error().message, {}});
    }
  }
  return attempt;
}

ConfigKeeper::Attempt ConfigKeeper::TryNewest() const {
  const ConfigOffer offer = offer_.value_or(ConfigOffer());
  if (offer.refusal) {
    Attempt attempt;
    attempt.offer = offer;
    attempt.reason = offer.refusal->reason;
    attempt.diagnostics.push_back({config::Severity::kError,
                                   {},
                                   offer.refusal->object,
                                   offer.refusal->message,
                                   offer.refusal->hint});
    return attempt;
  }
  if (offer.text || file_.empty()) return Try(offer.text, offer);
  Result<std::string> text = ReadFile(file_);
  Attempt attempt;
  if (text.ok()) {
    attempt = Try(std::move(*text), offer);
  } else {
    attempt.offer = offer;
    attempt.reason = "ConfigFileUnreadable";
    attempt.diagnostics.push_back(
        {config::Severity::kError, {}, "--config-file", text.error().message, {}});
  }
  attempt.from_file = true;
  return attempt;
}

bool ConfigKeeper::Reload() {
  if (mode_ == Mode::kCluster && !offer_) return false;
  const Attempt attempt = TryNewest();
  view_.path = attempt.from_file ? file_ : attempt.offer.source;
  Report(attempt);
  const bool switched = SetWithdrawn(attempt.offer.withdrawn);
  if (attempt.config) {
    SaveLastGood(attempt);
    const char* origin = attempt.from_file    ? "file"
                         : attempt.offer.text ? "configmap"
                                              : "flags and defaults";
    return Adopt(attempt, origin) || switched;
  }
  return (!view_.serving && LoadLastGood()) || switched;
}

bool ConfigKeeper::Offer(ConfigOffer offer) {
  offer_ = std::move(offer);
  return Reload();
}

bool ConfigKeeper::ServeLastGood() { return !offer_ && !view_.serving && LoadLastGood(); }

bool ConfigKeeper::LoadLastGood() {
  if (state_dir_.empty()) return false;
  Result<std::string> text = ReadFile(LastGoodPath());
  if (!text.ok()) return false;
  if (mode_ == Mode::kFile) {
    const Attempt kept = Try(std::move(*text), {});
    return kept.config && Adopt(kept, "last good file");
  }
  Result<ConfigOffer> offer = ParseOffer(*text);
  if (!offer.ok()) {
    log_.Warning("the kept configuration cannot be used",
                 {{"file", LastGoodPath()}, {"error", offer.error().message}});
    return false;
  }
  const Attempt kept = Try(offer->text, *offer);
  if (!kept.config) return false;
  // What the cluster says now about advertising at all counts, if it says something.
  if (!offer_) {
    view_.path = kept.offer.source;
    SetWithdrawn(kept.offer.withdrawn);
  }
  return Adopt(kept, "last good of the cluster");
}

void ConfigKeeper::SaveLastGood(const Attempt& attempt) {
  if (state_dir_.empty() || (mode_ == Mode::kFile && !attempt.offer.text)) return;
  std::string text = mode_ == Mode::kFile ? *attempt.offer.text : FormatOffer(attempt.offer);
  if (text == saved_) return;
  std::error_code ignored;
  std::filesystem::create_directories(state_dir_, ignored);
  if (Status saved = WriteFileAtomically(LastGoodPath(), text); !saved.ok()) {
    log_.Warning("cannot keep the last good configuration", {{"error", saved.error().message}});
    return;
  }
  saved_ = std::move(text);
}

bool ConfigKeeper::SetWithdrawn(const std::string& why) {
  if (view_.withdrawn == why) return false;
  const bool switched = view_.withdrawn.empty() != why.empty();
  view_.withdrawn = why;
  if (why.empty()) {
    log_.Info("advertising devices again");
  } else {
    log_.Warning("advertising no devices", {{"because", why}});
  }
  return switched;
}

bool ConfigKeeper::Adopt(const Attempt& attempt, std::string origin) {
  view_.origin = std::move(origin);
  const bool same_settings = settings_ == attempt.settings;
  settings_ = attempt.settings;
  if (view_.serving && *view_.serving == *attempt.config && same_settings) return false;
  view_.serving = std::make_shared<const config::Config>(*attempt.config);
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
  view_.reason = attempt.reason;
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
