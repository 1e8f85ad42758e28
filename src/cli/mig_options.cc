// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/mig_options.h"

#include <fmt/format.h>

#include <iostream>
#include <ostream>

#include "base/file.h"
#include "cli/config_command.h"
#include "config/yaml_document.h"

namespace aliquot::cli {
namespace {

constexpr const char* kDefaultStateDir = "/var/lib/aliquot";

Error Unusable(const std::string& what, const std::string& file) {
  return {Code::kInvalidArgument, fmt::format("the {} {} has errors", what, file)};
}

std::string NameOf(const std::string& file) { return file == "-" ? "<stdin>" : file; }

}  // namespace

std::string MigStateDir(const MigOptions& options) {
  if (!options.state_dir.empty()) return options.state_dir;
  return options.simulated() ? options.sim_state : kDefaultStateDir;
}

Result<std::string> ReadInput(const std::string& file) {
  if (file != "-") return ReadFile(file, config::kMaxFileBytes);
  std::string text(config::kMaxFileBytes + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::cin.gcount()));
  if (text.size() <= config::kMaxFileBytes) return text;
  return Error{
      Code::kResourceExhausted,
      fmt::format("reading standard input: expected at most {} bytes", config::kMaxFileBytes)};
}

Result<std::vector<mig::ConfigEntry>> LoadMigConfig(const MigOptions& options, Console& console) {
  const auto text = ReadInput(options.config_file);
  if (!text.ok()) return text.error().In("reading the MIG configuration");
  const mig::ParsedConfigFile parsed = mig::ParseConfigFile(*text);
  const std::string name = NameOf(options.config_file);
  console.err << RenderDiagnostics(parsed.problems, name, *text);
  if (!parsed.ok()) return Unusable("MIG configuration", name);
  const auto selected = mig::SelectConfig(parsed.file, options.selected_config);
  if (!selected.ok()) return selected.error().In(name);
  return **selected;
}

Result<mig::HooksFile> LoadMigHooks(const MigOptions& options, Console& console) {
  if (options.hooks_file.empty()) return mig::HooksFile();
  const auto text = ReadInput(options.hooks_file);
  if (!text.ok()) return text.error().In("reading the hooks");
  mig::ParsedHooksFile parsed = mig::ParseHooksFile(*text);
  const std::string name = NameOf(options.hooks_file);
  console.err << RenderDiagnostics(parsed.problems, name, *text);
  if (!parsed.ok()) return Unusable("hooks file", name);
  return std::move(parsed.file);
}

std::map<std::string, std::string> HookEnvironment(const MigOptions& options) {
  const auto truth = [](bool value) { return std::string(value ? "true" : "false"); };
  std::map<std::string, std::string> environment = {
      {"MIG_PARTED_DEBUG", truth(options.debug)},
      {"MIG_PARTED_HOOKS_FILE", options.hooks_file},
      {"MIG_PARTED_MODE_CHANGE_ONLY", truth(options.mode_only)},
      {"MIG_PARTED_SKIP_RESET", truth(options.skip_reset)}};
  for (const auto& [name, value] :
       {std::pair<const char*, const std::string&>{"MIG_PARTED_CONFIG_FILE", options.config_file},
        {"MIG_PARTED_SELECTED_CONFIG", options.selected_config},
        {"MIG_PARTED_CHECKPOINT_FILE", options.checkpoint_file}}) {
    if (!value.empty()) environment[name] = value;
  }
  return environment;
}

}  // namespace aliquot::cli
