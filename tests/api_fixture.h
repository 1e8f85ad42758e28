// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "http/testing_certs.h"
#include "kube/fake_api_server.h"
#include "kube/fake_cluster.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {

// The agent's process as it runs in a cluster, on an API server over HTTPS, for the node "worker-1"
// and the namespace "gpu-operator".
class ApiAgentTest : public AgentTest {
 protected:
  ApiAgentTest() {
    EXPECT_TRUE(cluster_.Put(kube::kNodes, {{"metadata", {{"name", "worker-1"}}}}).ok());
    EXPECT_TRUE(WriteFileAtomically(Path("ca.crt"), authority_.certificate()).ok());
    std::ofstream(Path("kubeconfig"))
        << "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
           "clusters:\n- name: test\n  cluster:\n    server: https://127.0.0.1:"
        << server_.port()
        << "\n    certificate-authority: ca.crt\n"
           "users:\n- name: test\n  user: {token: secret}\n"
           "contexts:\n- name: test\n  context: {cluster: test, user: test, namespace: "
           "gpu-operator}\n";
    server_.RequireTokens({"secret"});
  }

  // Starts the agent alone; `node` is as for AgentProcess.
  void StartInCluster(const std::string& node, std::vector<std::string> arguments = {},
                      std::map<std::string, std::string> environment = {}) {
    // Beats the file that the fixture names.
    for (const char* argument : {"--cluster=on", "--node-name=worker-1"}) {
      arguments.emplace_back(argument);
    }
    arguments.push_back("--kubeconfig=" + Path("kubeconfig"));
    agent_.Start(node, arguments, std::move(environment));
  }

  SystemClock clock_;
  const http::TestingAuthority authority_{"test authority"};
  kube::FakeCluster cluster_{clock_};
  kube::FakeApiServer server_{cluster_, Options()};

 private:
  http::TestingServerOptions Options() const {
    const http::TestingIdentity identity = authority_.Issue("server", {"IP:127.0.0.1"});
    return {0, identity.certificate, identity.key, ""};
  }
};

}  // namespace aliquot::tests
