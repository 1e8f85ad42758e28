// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/hooks.h"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "config/reader.h"
#include "config/yaml_document.h"

namespace aliquot::mig {
namespace {

using config::KeyCase;
using config::MapReader;
using config::Node;
using config::Place;
using config::Problems;

constexpr std::array<std::string_view, 2> kTop = {"version", "hooks"};
constexpr std::array<std::string_view, 4> kPoints = {"apply-start", "pre-apply-mode",
                                                     "pre-apply-config", "apply-exit"};
constexpr std::array<std::string_view, 4> kHook = {"command", "args", "envs", "workdir"};

void ReadEnvs(const Place& place, Hook& hook, Problems& problems) {
  if (place.node->kind != Node::Kind::kMap) {
    problems.Error(place.position(), place.path, "expected a map of variables and values");
    return;
  }
  for (const Node::Entry& entry : place.node->entries) {
    const Place value{entry.value.get(), place.path + "." + entry.key, entry.position};
    if (const auto text = config::ReadLooseString(value, problems)) hook.envs[entry.key] = *text;
  }
}

Hook ReadHook(const Place& place, Problems& problems) {
  Hook hook;
  const MapReader fields(place, kHook, KeyCase::kExact, problems);
  if (!fields.is_map()) return hook;
  const auto command = fields.Get("command");
  if (!command) {
    problems.Error(place.position(), place.path, "the key \"command\" is required");
  } else if (const auto text = config::ReadString(*command, problems)) {
    if (text->empty()) problems.Error(command->position(), command->path, "expected a program");
    hook.command = *text;
  }
  if (const auto args = fields.Get("args");
      args && config::ExpectList(*args, "arguments", problems)) {
    for (std::size_t i = 0; i < args->node->items.size(); ++i) {
      const auto text = config::ReadLooseString(config::ItemOf(*args, i), problems);
      if (text) hook.args.push_back(*text);
    }
  }
  if (const auto envs = fields.Get("envs")) ReadEnvs(*envs, hook, problems);
  if (const auto workdir = fields.Get("workdir")) {
    if (const auto text = config::ReadString(*workdir, problems)) hook.workdir = *text;
  }
  return hook;
}

std::vector<Hook> ReadPoint(const MapReader& points, std::string_view point, Problems& problems) {
  std::vector<Hook> hooks;
  const auto list = points.Get(point);
  if (!list || !config::ExpectList(*list, "hooks", problems)) return hooks;
  for (std::size_t i = 0; i < list->node->items.size(); ++i) {
    hooks.push_back(ReadHook(config::ItemOf(*list, i), problems));
  }
  return hooks;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// This process's environment with `more` put over it.
std::vector<std::string> EnvironmentWith(const std::map<std::string, std::string>& more) {
  std::vector<std::string> texts;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view entry = *variable;
    if (more.count(std::string(entry.substr(0, entry.find('=')))) == 0) texts.emplace_back(entry);
  }
  for (const auto& [name, value] : more) texts.push_back(name + "=" + value);
  return texts;
}

}  // namespace

ParsedHooksFile ParseHooksFile(std::string_view text) {
  ParsedHooksFile parsed;
  Problems problems;
  if (const config::NodePtr root = config::ParseYaml(text, problems); root != nullptr) {
    const MapReader top({root.get(), "", root->position}, kTop, KeyCase::kExact, problems);
    const auto version = top.Get("version");
    if (top.is_map() && !root->is_null() && !version) {
      problems.Error(root->position, "",
                     "the key \"version\" is missing, expected \"version: v1\"");
    }
    if (version && (version->node->kind != Node::Kind::kString || version->node->text != "v1")) {
      problems.Error(version->position(), version->path,
                     fmt::format("unknown version, expected \"v1\", found {}",
                                 config::Describe(*version->node)));
    }
    if (const auto hooks = top.Get("hooks")) {
      const MapReader points(*hooks, kPoints, KeyCase::kExact, problems);
      parsed.file.apply_start = ReadPoint(points, "apply-start", problems);
      parsed.file.pre_apply_mode = ReadPoint(points, "pre-apply-mode", problems);
      parsed.file.pre_apply_config = ReadPoint(points, "pre-apply-config", problems);
      parsed.file.apply_exit = ReadPoint(points, "apply-exit", problems);
    }
  }
  parsed.problems = std::move(problems).Take();
  return parsed;
}

Status RunProgram(const Hook& program) {
  std::vector<std::string> argv = {program.command};
  argv.insert(argv.end(), program.args.begin(), program.args.end());
  std::vector<std::string> envp = EnvironmentWith(program.envs);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  if (!program.workdir.empty()) {
    ::posix_spawn_file_actions_addchdir_np(&actions, program.workdir.c_str());
  }
  // An agent blocks and ignores signals that its programs are to receive.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t set;
  ::sigemptyset(&set);
  ::posix_spawnattr_setsigmask(&attributes, &set);
  ::sigaddset(&set, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&attributes, &set);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int failure = ::posix_spawnp(&pid, program.command.c_str(), &actions, &attributes,
                                     Pointers(argv).data(), Pointers(envp).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return ErrnoError(fmt::format("cannot run \"{}\"", program.command), failure);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{Code::kAborted, WIFEXITED(status) ? fmt::format("\"{}\" ended with status {}",
                                                               program.command, WEXITSTATUS(status))
                                                 : fmt::format("\"{}\" was killed by signal {}",
                                                               program.command, WTERMSIG(status))};
}

Status RunHooks(const std::vector<Hook>& hooks,
                const std::map<std::string, std::string>& environment) {
  for (Hook hook : hooks) {
    for (const auto& [name, value] : environment) hook.envs[name] = value;
    if (Status ran = RunProgram(hook); !ran.ok()) return ran.error().In("hook");
  }
  return {};
}

}  // namespace aliquot::mig
