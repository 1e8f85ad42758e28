// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/config_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/file.h"
#include "base/text.h"
#include "cli/console.h"
#include "config/effective.h"
#include "config/settings.h"
#include "config/yaml_document.h"

namespace aliquot::cli {
namespace {

using config::ConfigOutcome;
using config::ConfigSources;
using config::Diagnostic;
using config::Severity;

// What both commands take.
struct Arguments {
  std::string file;
  std::vector<std::string> settings;  // name=value, as the flags of the agent
  std::string node;
  std::string output = "text";
  bool strict = false;
};

// The file's content, "-" being standard input. Stops reading soon after the limit.
Result<std::string> ReadInput(const std::string& file) {
  if (file != "-") {
    auto text = ReadFile(file, config::kMaxFileBytes);
    if (!text.ok()) return text.error().In("reading the configuration");
    return text;
  }
  std::string text(config::kMaxFileBytes + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::cin.gcount()));
  if (text.size() > config::kMaxFileBytes) {
    return Error{
        Code::kResourceExhausted,
        fmt::format("reading standard input: expected at most {} bytes", config::kMaxFileBytes)};
  }
  return text;
}

// "mig-strategy=mixed" as the flag --mig-strategy=mixed.
Status AddSettings(const std::vector<std::string>& settings, ConfigSources& sources) {
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return Error{
          Code::kInvalidArgument,
          fmt::format("--set \"{}\": expected name=value, such as mig-strategy=mixed", setting)};
    }
    std::string name = setting.substr(0, equals);
    name.erase(0, name.find_first_not_of('-'));
    sources.flags[name].push_back(setting.substr(equals + 1));
  }
  return {};
}

std::string Count(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string Summary(const std::vector<Diagnostic>& diagnostics) {
  const auto errors = static_cast<std::size_t>(
      std::count_if(diagnostics.begin(), diagnostics.end(),
                    [](const Diagnostic& d) { return d.severity == Severity::kError; }));
  return fmt::format("{}, {}", Count(errors, "error"),
                     Count(diagnostics.size() - errors, "warning"));
}

void Check(const Arguments& arguments, const NodeCheck& node_check, Console& console) {
  const auto text = ReadInput(arguments.file);
  if (!text.ok()) return console.Fail(text.error());
  // Only the file and --set: the environment of whoever checks a file is not the node's.
  ConfigSources sources{.file_text = *text, .strict = arguments.strict};
  if (const Status added = AddSettings(arguments.settings, sources); !added.ok()) {
    return console.Fail(added.error());
  }
  ConfigOutcome outcome = config::ResolveConfig(sources);
  if (outcome.config && node_check && !arguments.node.empty()) {
    auto more = node_check(*outcome.config, arguments.node);
    if (!more.ok()) return console.Fail(more.error());
    outcome.diagnostics.insert(outcome.diagnostics.end(), more->begin(), more->end());
  }
  const bool valid = !config::HasErrors(outcome.diagnostics);
  if (!valid) console.exit_code = kExitFailed;
  const std::string name = arguments.file == "-" ? "<stdin>" : arguments.file;
  if (arguments.output == "json") {
    const boost::json::object result{
        {"file", name}, {"valid", valid}, {"diagnostics", config::ToJson(outcome.diagnostics)}};
    console.out << boost::json::serialize(result) << '\n';
    return;
  }
  console.out << RenderDiagnostics(outcome.diagnostics, name, *text);
  console.out << name << ": "
              << (outcome.diagnostics.empty() ? "valid" : Summary(outcome.diagnostics)) << '\n';
}

void Show(const Arguments& arguments, Console& console) {
  ConfigSources sources{.strict = arguments.strict};
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view entry = *variable;
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    sources.environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  if (const Status added = AddSettings(arguments.settings, sources); !added.ok()) {
    return console.Fail(added.error());
  }
  const std::string file =
      !arguments.file.empty() ? arguments.file : config::ConfigFilePath(sources);
  std::string text;
  if (!file.empty()) {
    auto read = ReadInput(file);
    if (!read.ok()) return console.Fail(read.error());
    text = *std::move(read);
    sources.file_text = text;
  }
  const ConfigOutcome outcome = config::ResolveConfig(sources);
  console.err << RenderDiagnostics(outcome.diagnostics, file == "-" ? "<stdin>" : file, text);
  if (!outcome.config) {
    console.exit_code = kExitFailed;
    return;
  }
  console.out << boost::json::serialize(config::ToJson(*outcome.config)) << '\n';
}

}  // namespace

std::string RenderDiagnostics(const std::vector<Diagnostic>& diagnostics, const std::string& file,
                              const std::string& text) {
  std::vector<std::string> lines = Split(text, '\n');
  if (!lines.empty() && lines[0].starts_with("\xef\xbb\xbf")) lines[0].erase(0, 3);
  std::string rendered;
  for (const Diagnostic& diagnostic : diagnostics) {
    rendered += config::Format(diagnostic, file) + '\n';
    const auto line = static_cast<std::size_t>(diagnostic.position.line);
    if (line < 1 || line > lines.size()) continue;
    // The excerpt keeps to printable text, one cell per character, so that the mark below fits.
    std::string excerpt;
    for (const char c : Trim(lines[line - 1]).empty() ? std::string() : lines[line - 1]) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\r') continue;
      excerpt += byte < 0x20 || byte == 0x7f ? ' ' : c;
    }
    constexpr std::size_t kLongest = 160;
    const auto column = static_cast<std::size_t>(std::max(diagnostic.position.column, 1));
    if (excerpt.empty() || excerpt.size() > kLongest) continue;
    const std::string number = fmt::to_string(line);
    rendered += fmt::format("  {} | {}\n  {:{}} | {:{}}^\n", number, excerpt, "", number.size(), "",
                            column - 1);
  }
  return rendered;
}

void AddConfigCommand(CLI::App& root, Console& console, NodeCheck node_check) {
  CLI::App* command = root.add_subcommand("config", "check and show configurations");
  command->require_subcommand(1);

  const auto arguments = std::make_shared<Arguments>();
  const auto add_common = [&](CLI::App* app) {
    app->add_option("--set", arguments->settings,
                    "a setting as on the agent's command line, NAME=VALUE")
        ->type_name("NAME=VALUE")
        ->expected(1)
        ->take_all();
    app->add_flag("--strict,--strict-config", arguments->strict,
                  "refuse unknown and repeated keys");
  };

  CLI::App* check =
      command->add_subcommand("check", "report every problem of a configuration file");
  check->add_option("FILE", arguments->file, "the file, - for standard input")->required();
  add_common(check);
  if (node_check) {
    check->add_option("--node", arguments->node, "also check against this node: a name or a file");
  }
  check->add_option("-o,--output", arguments->output, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  check->callback([arguments, node_check = std::move(node_check), &console] {
    Check(*arguments, node_check, console);
  });

  CLI::App* show = command->add_subcommand("show", "print the effective configuration as JSON");
  show->add_option("--config,--config-file", arguments->file,
                   "the file, - for standard input; default: CONFIG_FILE");
  add_common(show);
  show->callback([arguments, &console] { Show(*arguments, console); });
}

}  // namespace aliquot::cli
