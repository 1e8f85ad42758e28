// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The agent as a process: signals, exit statuses, what it says when it cannot start.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <boost/json.hpp>
#include <cstdio>

#include "base/file.h"
#include "base/unique_fd.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

class AgentProcessTest : public AgentTest {
 protected:
  struct Ended {
    int status = 0;
    std::string messages;
  };
  // Runs "aliquot agent <arguments>" to its end.
  Ended Run(std::vector<std::string> arguments,
            const std::map<std::string, std::string>& environment = {}) {
    arguments.insert(arguments.begin(), "agent");
    const std::string log = Path("run.log");
    auto child = cli::ChildProcess::Start(arguments, environment, log, ALIQUOT_PROGRAM);
    if (!child.ok()) return {-1, child.error().message};
    const bool ended = Eventually([&] { return !(*child)->Running(); });
    EXPECT_TRUE(ended) << "still running";
    const int status = (*child)->Stop();
    auto text = ReadFile(log);
    std::remove(log.c_str());
    return {status, text.ok() ? *text : text.error().message};
  }
  void ExpectRefused(const Ended& ended, int status, const std::string& named) {
    EXPECT_EQ(ended.status, status) << ended.messages;
    EXPECT_NE(ended.messages.find(named), std::string::npos) << ended.messages;
  }
};

TEST_F(AgentProcessTest, SigtermWithdrawsEverythingAndEndsWithZero) {
  Configure(SharedBy(2));
  StartAll(8);
  EXPECT_EQ(Sockets().size(), 1u);
  EXPECT_EQ(agent_.Stop(), 0);
  EXPECT_TRUE(Sockets().empty());
  EXPECT_TRUE(kubelet_->WaitFor(
      [](const rpc::StandinState& state) { return state.allocatable(kGpu) == 0; }));
}

TEST_F(AgentProcessTest, SigintAndSigquitEndItTheSameWay) {
  StartKubelet();
  for (const int number : {SIGINT, SIGQUIT}) {
    StartAgent();
    agent_.Signal(number);
    EXPECT_EQ(agent_.child().Wait(), 0) << number;
    EXPECT_TRUE(Sockets().empty());
  }
}

TEST_F(AgentProcessTest, ASecondSigtermIsHarmless) {
  StartAll(4);
  for (int i = 0; i < 3; ++i) agent_.Signal(SIGTERM);
  EXPECT_EQ(agent_.child().Wait(), 0);
  EXPECT_TRUE(Sockets().empty());
}

// What the driver says while the agent stops must find everything in place.
TEST_F(AgentProcessTest, SigtermDuringTheStartIsHarmless) {
  StartKubelet();
  Simulate();
  for (int i = 0; i < 20; ++i) {
    const std::string log = Path("start-" + std::to_string(i) + ".log");
    auto child =
        cli::ChildProcess::Start({"agent", "--node=t4-x4", "--listen=", "--cdi-root=" + Path("cdi"),
                                  "--kubelet-socket=" + Path("device-plugins/kubelet.sock")},
                                 {{"ALIQUOT_SIM_STATE", Path("sim")}}, log, ALIQUOT_PROGRAM);
    ASSERT_TRUE(child.ok()) << child.error().message;
    ASSERT_TRUE(
        Eventually([&] { return ReadFile(log).value().find("in use") != std::string::npos; }));
    ASSERT_EQ((*child)->Stop(), 0) << i << ": " << ReadFile(log).value();
  }
  EXPECT_TRUE(Sockets().empty());
}

TEST_F(AgentProcessTest, SigtermWhileTheDriverHangsEndsItInTime) {
  StartAll(4);
  ASSERT_TRUE(sim().DelayCall("*", 0, {}).ok());
  const auto began = std::chrono::steady_clock::now();
  agent_.Signal(SIGTERM);
  EXPECT_EQ(agent_.child().Wait(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
  EXPECT_TRUE(Sockets().empty());
  EXPECT_NE(agent_.Log().find("a driver call hangs"), std::string::npos);
}

TEST_F(AgentProcessTest, ATakenPortIsAnErrorThatNamesIt) {
  Simulate();
  const UniqueFd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string port = std::to_string(::ntohs(address.sin_port));
  ExpectRefused(
      Run({"--node=t4-x4", "--listen=127.0.0.1:" + port,
           "--kubelet-socket=" + Path("device-plugins/kubelet.sock"), "--cdi-root=" + Path("cdi")},
          {{"ALIQUOT_SIM_STATE", Path("sim")}}),
      1, port);
  EXPECT_TRUE(Sockets().empty());
}

TEST_F(AgentProcessTest, BadFlagsEndWithTwoAndAreNamed) {
  ExpectRefused(Run({"--no-such-flag"}), 2, "--no-such-flag");
  ExpectRefused(Run({"--listen=nonsense"}), 2, "nonsense");
  ExpectRefused(Run({"--poll-interval=0"}), 2, "--poll-interval");
  ExpectRefused(Run({"--mig-strategy=both"}), 2, "both");
  ExpectRefused(Run({"--pass-device-specs=perhaps"}), 2, "perhaps");
}

TEST_F(AgentProcessTest, BadEnvironmentEndsWithTwoAndIsNamed) {
  ExpectRefused(Run({}, {{"MIG_STRATEGY", "both"}}), 2, "MIG_STRATEGY");
  ExpectRefused(Run({}, {{"DEVICE_LIST_STRATEGY", "telepathy"}}), 2, "DEVICE_LIST_STRATEGY");
  ExpectRefused(Run({}, {{"PASS_DEVICE_SPECS", "perhaps"}}), 2, "PASS_DEVICE_SPECS");
  ExpectRefused(Run({}, {{"ALIQUOT_POLL_INTERVAL", "often"}}), 2, "ALIQUOT_POLL_INTERVAL");
  ExpectRefused(Run({}, {{"ALIQUOT_LISTEN", "nonsense"}}), 2, "nonsense");
}

// Waiting for a node that can never come would look like a missing driver.
TEST_F(AgentProcessTest, AnUnknownSimulatedNodeIsAnErrorThatListsTheKnownOnes) {
  const Ended ended =
      Run({"--node=t4-x5", "--listen=", "--kubelet-socket=", "--cdi-root=" + Path("cdi")});
  ExpectRefused(ended, 1, "t4-x5");
  ExpectRefused(ended, 1, "t4-x4");
}

TEST_F(AgentProcessTest, EnvironmentAloneConfiguresIt) {
  StartKubelet();
  StartAgent({}, {{"MIG_STRATEGY", "mixed"}, {"DEVICE_LIST_STRATEGY", "volume-mounts"}});
  ASSERT_TRUE(Shows(4));
  const boost::json::value status = agent_.Status();
  EXPECT_EQ(status.at_pointer("/config/effective/flags/migStrategy").as_string(), "mixed");
  EXPECT_EQ(kubelet_->Place("pod", "main", kGpu, 1)->allocation.mounts.size(), 1u);
}

}  // namespace
}  // namespace aliquot::tests
