// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/host_program.h"

#include <gtest/gtest.h>

#include "base/elsewhere_testing.h"

namespace aliquot {
namespace {

constexpr std::chrono::minutes kPatience{5};

TEST(RunOnHost, AProgramSeesWhatTheOtherProcessSees) {
  const Elsewhere elsewhere;
  ASSERT_TRUE(elsewhere.ready()) << "needs CAP_SYS_ADMIN, as the agent does";
  const std::vector<std::string> look = {"test", "-e", "/mnt/marker"};
  EXPECT_EQ(*RunOnHost(elsewhere.process(), look, kPatience), 0);
  EXPECT_EQ(*RunOnHost("", look, kPatience), 1) << "and this process stays where it was";
  EXPECT_EQ(RunOnHost(elsewhere.process(), {"/bin/sh", "-c", "kill -TERM $$; exit 0"}, kPatience)
                .error()
                .code,
            Code::kAborted)
      << "signals are those of a fresh process";
  EXPECT_EQ(*RunOnHost(elsewhere.process(), {"sh", "-c", "exit 3"}, kPatience), 3);
}

TEST(RunOnHost, WhatHangsIsEnded) {
  const auto ran = RunOnHost("", {"sleep", "3600"}, std::chrono::milliseconds(1));
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(ran.error().message, "\"sleep 3600\" was not done after 0.001 seconds");
}

TEST(RunOnHost, WhatCannotBeBegunIsSaid) {
  const auto message = [](const std::string& process, const std::string& program) {
    const auto ran = RunOnHost(process, {program}, kPatience);
    return ran.ok() ? "it ran" : ran.error().message;
  };
  EXPECT_EQ(message("/proc/self", "no-such-program"),
            "cannot run \"no-such-program\" on the host: No such file or directory; a container "
            "without hostPID looks in itself");
  EXPECT_EQ(message("/proc/self", "/etc/passwd"),
            "cannot run \"/etc/passwd\" on the host: Permission denied");
  EXPECT_NE(message("/nowhere", "true").find("cannot enter the host by /nowhere"),
            std::string::npos);
}

}  // namespace
}  // namespace aliquot
