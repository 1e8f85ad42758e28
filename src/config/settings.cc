// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "config/config_file.h"
#include "config/resolve_sharing.h"

namespace aliquot::config {
namespace {

// One answer to "what is this option set to", and who gave it.
struct Given {
  OptionValue value;
  Position position;  // in the file; line 0 elsewhere
  std::string giver;  // "--mig-strategy", "MIG_STRATEGY" or "flags.migStrategy"
};

std::optional<Given> FromFlags(const Option& option, const ConfigSources& sources,
                               Problems& problems) {
  std::vector<std::string> texts;
  std::string giver;
  for (const std::string_view flag : option.flags) {
    const auto found = sources.flags.find(std::string(flag));
    if (found == sources.flags.end()) continue;
    texts.insert(texts.end(), found->second.begin(), found->second.end());
    giver = (flag.size() == 1 ? "-" : "--") + std::string(flag);
  }
  if (texts.empty()) return {};
  auto value = ParseOptionText(option, texts);
  if (!value.ok()) {
    problems.Error({}, giver, value.error().message);
    return {};
  }
  return Given{*std::move(value), {}, giver};
}

std::optional<Given> FromEnvironment(const Option& option, const ConfigSources& sources,
                                     Problems& problems) {
  for (const std::string_view variable : option.variables) {
    const auto found = sources.environment.find(std::string(variable));
    if (found == sources.environment.end()) continue;
    auto value = ParseOptionVariable(option, found->second);
    if (!value.ok()) {
      problems.Error({}, std::string(variable), value.error().message);
      return {};
    }
    if (!*value) return {};
    return Given{**std::move(value), {}, std::string(variable)};
  }
  return {};
}

std::optional<Given> FromFile(const Option& option, const ConfigFile& file) {
  for (const FileOption& given : file.options) {
    if (given.option == &option) return Given{given.value, given.position, std::string(option.key)};
  }
  return {};
}

void ResolveOption(const Option& option, const ConfigSources& sources, const ConfigFile& file,
                   OptionTargets& targets, Problems& problems) {
  const auto from_flags = FromFlags(option, sources, problems);
  const auto from_environment = FromEnvironment(option, sources, problems);
  const auto from_file = FromFile(option, file);
  const auto& winner = from_flags ? from_flags : from_environment ? from_environment : from_file;
  if (!winner) return;
  if (const Status valid = ValidateOptionValue(option, winner->value); valid.ok()) {
    option.store(winner->value, targets);
  } else {
    problems.Error(winner->position, winner->giver, valid.error().message);
  }
  if (!from_file || winner->position.line > 0) return;
  if (const Status valid = ValidateOptionValue(option, from_file->value); !valid.ok()) {
    problems.Warn(from_file->position, from_file->giver, valid.error().message,
                  fmt::format("{} overrides it", winner->giver));
  }
}

void ReportUnknownFlags(const ConfigSources& sources, Problems& problems) {
  std::vector<std::string_view> known;
  for (const Option& option : AllOptions()) {
    known.insert(known.end(), option.flags.begin(), option.flags.end());
  }
  for (const auto& [flag, texts] : sources.flags) {
    if (FindOptionByFlag(flag) != nullptr) continue;
    const auto nearest = NearestOf(flag, known);
    problems.Error({}, "--" + flag, "there is no such option",
                   nearest ? fmt::format("did you mean --{}?", *nearest) : "");
  }
}

}  // namespace

ConfigOutcome ResolveConfig(const ConfigSources& sources) {
  Problems problems;
  ConfigFile file;
  if (sources.file_text) file = ParseConfigFile(*sources.file_text, problems);
  ReportUnknownFlags(sources, problems);
  OptionTargets targets;
  targets.config.flags.nvidia_dev_root.clear();
  for (const Option& option : AllOptions()) {
    ResolveOption(option, sources, file, targets, problems);
  }
  Flags& flags = targets.config.flags;
  if (flags.nvidia_dev_root.empty()) flags.nvidia_dev_root = flags.nvidia_driver_root;
  ResolveSharing(file, targets.config, problems);

  ConfigOutcome outcome;
  outcome.agent = std::move(targets.agent);
  outcome.agent.strict_config = outcome.agent.strict_config || sources.strict;
  outcome.diagnostics = std::move(problems).Take();
  if (outcome.agent.strict_config) {
    for (Diagnostic& diagnostic : outcome.diagnostics) {
      if (diagnostic.strict) diagnostic.severity = Severity::kError;
    }
  }
  if (!HasErrors(outcome.diagnostics)) outcome.config = std::move(targets.config);
  return outcome;
}

std::string ConfigFilePath(const ConfigSources& sources) {
  return ResolveConfig({.environment = sources.environment, .flags = sources.flags})
      .agent.config_file;
}

}  // namespace aliquot::config
