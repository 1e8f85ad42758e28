// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/hooks.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/file.h"

namespace aliquot::mig {
namespace {

constexpr const char* kFile = R"(version: v1
hooks:
  apply-start:
  - command: /bin/sh
    args: ["-c", "echo start"]
    envs: {A: "1", B: 2}
    workdir: /tmp
  apply-exit:
  - command: "true"
  - command: "false"
)";

TEST(Hooks, AreReadFromAFile) {
  const ParsedHooksFile parsed = ParseHooksFile(kFile);
  ASSERT_TRUE(parsed.ok()) << config::Format(parsed.problems.front(), "hooks.yaml");
  ASSERT_EQ(parsed.file.apply_start.size(), 1u);
  EXPECT_EQ(parsed.file.apply_start[0],
            (Hook{"/bin/sh", {"-c", "echo start"}, {{"A", "1"}, {"B", "2"}}, "/tmp"}));
  EXPECT_EQ(parsed.file.apply_exit.size(), 2u);
  EXPECT_TRUE(parsed.file.pre_apply_mode.empty());
  EXPECT_TRUE(ParseHooksFile("").ok());
  EXPECT_TRUE(ParseHooksFile("version: v1\n").ok());
}

TEST(Hooks, EveryProblemIsReported) {
  for (const char* text :
       {"hooks: {}", "version: v2", "version: v1\nhooks: {apply-start: {}}",
        "version: v1\nhooks: {apply-start: [{args: [a]}]}",
        "version: v1\nhooks: {apply-start: [{command: \"\"}]}",
        "version: v1\nhooks: {apply-exit: [{command: a, args: b}]}",
        "version: v1\nhooks: {apply-exit: [{command: a, envs: [b]}]}", "a: [", "[]"}) {
    EXPECT_FALSE(ParseHooksFile(text).ok()) << text;
  }
  const ParsedHooksFile misspelt = ParseHooksFile("version: v1\nhooks: {aply-exit: []}");
  ASSERT_EQ(misspelt.problems.size(), 1u);
  EXPECT_NE(misspelt.problems[0].hint.find("apply-exit"), std::string::npos);
}

TEST(Hooks, RunInTurnUntilOneFails) {
  char name[] = "/tmp/aliquot-hooks-XXXXXX";
  const std::string directory = ::mkdtemp(name);
  const auto shell = [&](const std::string& script) {
    return Hook{"sh", {"-c", script}, {{"MIG_PARTED_DEBUG", "mine"}, {"OWN", "own"}}, directory};
  };
  const std::map<std::string, std::string> environment = {{"MIG_PARTED_DEBUG", "ours"}};
  EXPECT_TRUE(RunHooks({shell("echo $MIG_PARTED_DEBUG $OWN >one")}, environment).ok());
  EXPECT_EQ(*ReadFile(directory + "/one"), "ours own\n");
  const Status failed = RunHooks({shell("exit 3"), shell("echo >two")}, environment);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "hook: \"sh\" ended with status 3");
  EXPECT_FALSE(std::filesystem::exists(directory + "/two"));
  EXPECT_NE(RunHooks({shell("kill -9 $$")}, {}).error().message.find("signal 9"),
            std::string::npos);
  EXPECT_EQ(RunHooks({{"/no/such/program", {}, {}, ""}}, {}).error().code, Code::kNotFound);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace aliquot::mig
