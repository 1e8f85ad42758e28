// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/config_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cli/console.h"
#include "config/options.h"

namespace aliquot::cli {
namespace {

std::string HelpOf(const config::Option& option) {
  std::string help(option.help);
  if (!option.words.empty()) {
    const std::vector<std::string> words(option.words.begin(), option.words.end());
    help += fmt::format(" ({})", Join(words, ", "));
  }
  if (!option.default_text.empty()) help += fmt::format(" [{}]", option.default_text);
  if (!option.variables.empty()) {
    const std::vector<std::string> names(option.variables.begin(), option.variables.end());
    help += fmt::format(" env: {}", Join(names, ", "));
  }
  return help;
}

// Two names differ from the reference's: -o and --output say how commands print, and --config is
// what people type.
std::string NamesOf(const config::Option& option) {
  std::vector<std::string> names;
  for (const std::string_view flag : option.flags) {
    if (flag != "o" && flag != "output") names.push_back("--" + std::string(flag));
  }
  if (option.flags.front() == "config-file") names.push_back("--config");
  return Join(names, ",");
}

void AddOne(CLI::App& command, const config::Option& option, config::ConfigSources& sources) {
  const std::string key(option.flags.front());
  CLI::Option* added = nullptr;
  if (option.type == config::OptionType::kBool) {
    // "--name" alone means true, "--name=false" is taken too.
    added = command.add_flag(NamesOf(option))->description(HelpOf(option));
  } else {
    added = command.add_option(NamesOf(option))->description(HelpOf(option));
    added->type_name("TEXT")->expected(1);
  }
  added->each([&sources, key](const std::string& value) { sources.flags[key].push_back(value); });
  added->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  added->group(option.key.starts_with("flags.gfd") ? "Labels" : "Configuration");
}

}  // namespace

void AddConfigOptions(CLI::App& command, config::ConfigSources& sources) {
  for (const config::Option& option : config::AllOptions()) {
    if (!option.flags.empty()) AddOne(command, option, sources);
  }
}

std::map<std::string, std::string> ReadEnvironment() {
  std::map<std::string, std::string> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos) environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return environment;
}

Status LoadSources(config::ConfigSources& sources) {
  sources.environment = ReadEnvironment();
  const std::string path = config::ConfigFilePath(sources);
  if (path.empty()) return {};
  Result<std::string> text = ReadFile(path);
  if (!text.ok()) return text.error().In("configuration file");
  sources.file_text = std::move(*text);
  return {};
}

Result<config::ConfigOutcome> ResolveOrExplain(config::ConfigSources& sources, Console& console) {
  if (Status loaded = LoadSources(sources); !loaded.ok()) return loaded.error();
  config::ConfigOutcome outcome = config::ResolveConfig(sources);
  const std::string path = config::ConfigFilePath(sources);
  for (const config::Diagnostic& diagnostic : outcome.diagnostics) {
    console.err << config::Format(diagnostic, path) << '\n';
  }
  if (!outcome.config) {
    return Error{Code::kInvalidArgument, "the configuration has errors; see above"};
  }
  return outcome;
}

}  // namespace aliquot::cli
