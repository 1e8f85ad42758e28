// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/auth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/file.h"

namespace aliquot::kube {
namespace {

using testing::HasSubstr;

class AuthTest : public testing::Test {
 protected:
  AuthTest() {
    std::string name = testing::TempDir() + "auth-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    Write("token", "secret\n");
    Write("ca.crt", "the authority");
    Write("namespace", "gpu-operator");
  }
  ~AuthTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(directory_ + "/" + name, text).ok());
  }
  Environment Env() const {
    return [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return {};
      return found->second;
    };
  }
  Result<Access> Kubeconfig(const std::string& text, const std::string& context = {}) {
    Write("config", text);
    return KubeconfigAccess(directory_ + "/config", context);
  }
  // A kubeconfig with this server and user.
  Result<Access> With(const std::string& cluster, const std::string& user) {
    return Kubeconfig(
        "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
        "clusters: [{name: k, cluster: {" +
        cluster +
        "}}]\n"
        "users: [{name: u, user: {" +
        user + "}}]\n");
  }

  std::string directory_;
  std::map<std::string, std::string> variables_ = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
                                                   {"KUBERNETES_SERVICE_PORT", "443"}};
};

TEST_F(AuthTest, ReadsTheServiceAccount) {
  const auto access = InClusterAccess(directory_, Env());
  ASSERT_TRUE(access.ok()) << access.error().message;
  EXPECT_EQ(access->host, "10.96.0.1");
  EXPECT_EQ(access->port, 443);
  EXPECT_EQ(access->ns, "gpu-operator");
  const auto credentials = Credentials::Open(*access);
  EXPECT_EQ((*credentials)->Get().token, "secret");
  EXPECT_EQ((*credentials)->Get().tls.ca, "the authority");
}

TEST_F(AuthTest, SaysWhyThisIsNoPod) {
  std::filesystem::remove(directory_ + "/token");
  EXPECT_THAT(InClusterAccess(directory_, Env()).error().message,
              HasSubstr("automountServiceAccountToken"));
  variables_["KUBERNETES_SERVICE_PORT"] = "x";
  EXPECT_THAT(InClusterAccess(directory_, Env()).error().message, HasSubstr("\"x\""));
  variables_.clear();
  EXPECT_EQ(InClusterAccess(directory_, Env()).error().code, Code::kFailedPrecondition);
}

TEST_F(AuthTest, ReadsChangedFilesAgain) {
  const auto credentials = *Credentials::Open(*InClusterAccess(directory_, Env()));
  const auto first = credentials->Get();
  EXPECT_FALSE(credentials->Refresh(first));
  Write("token", "rotated");
  EXPECT_TRUE(credentials->Refresh(first));
  Write("token", "rotated again");
  EXPECT_EQ(credentials->Get().token, "rotated again");
  std::filesystem::remove(directory_ + "/token");
  EXPECT_EQ(credentials->Get().token, "rotated again");
  Write("token", "\n");  // about to be written
  EXPECT_EQ(credentials->Get().token, "rotated again");
}

TEST_F(AuthTest, ReadsAKubeconfig) {
  const std::string text = R"(
apiVersion: v1
kind: Config
current-context: main
contexts:
- {name: main, context: {cluster: k, user: u, namespace: team}}
- {name: other, context: {cluster: plain, user: bearer}}
clusters:
- name: k
  cluster:
    server: https://[fd00::1]:6443/k8s/clusters/one/
    certificate-authority-data: dGhlIGF1dGhvcml0eQ==
    tls-server-name: kubernetes
- {name: plain, cluster: {server: "http://localhost", insecure-skip-tls-verify: false}}
users:
- {name: u, user: {client-certificate: cert.pem, client-key-data: a2V5}}
- {name: bearer, user: {token: 12345, tokenFile: /etc/token}}
)";
  const auto main = Kubeconfig(text);
  ASSERT_TRUE(main.ok()) << main.error().message;
  EXPECT_EQ(main->host, "fd00::1");
  EXPECT_EQ(main->port, 6443);
  EXPECT_EQ(main->path, "/k8s/clusters/one");
  EXPECT_EQ(main->ca.text, "the authority");
  EXPECT_EQ(main->server_name, "kubernetes");
  EXPECT_EQ(main->certificate.file, directory_ + "/cert.pem");
  EXPECT_EQ(main->key.text, "key");
  EXPECT_EQ(main->ns, "team");
  const auto other = Kubeconfig(text, "other");
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_EQ(other->host, "localhost");
  EXPECT_EQ(other->port, 80);
  EXPECT_FALSE(other->use_tls);
  EXPECT_FALSE(other->insecure);
  EXPECT_EQ(other->token.text, "12345");
  EXPECT_EQ(other->token.file, "/etc/token");
  EXPECT_EQ(other->ns, "default");
  EXPECT_THAT(Kubeconfig(text, "none").error().message, HasSubstr("no context \"none\""));
}

TEST_F(AuthTest, RefusesWhatItCannotDo) {
  const std::string server = "server: 'https://k:6443'";
  for (const char* user : {"exec: {command: aws-iam-authenticator}", "auth-provider: {name: oidc}",
                           "username: me", "as: somebody"}) {
    const auto access = With(server, user);
    EXPECT_EQ(access.error().code, Code::kUnimplemented) << user;
  }
  EXPECT_THAT(With(server, "exec: {command: aws-iam-authenticator}").error().message,
              HasSubstr("\"aws-iam-authenticator\" (exec)"));
  EXPECT_EQ(With(server + ", proxy-url: 'http://p'", "").error().code, Code::kUnimplemented);
  EXPECT_EQ(With(server, "client-key-data: a2V5").error().code, Code::kInvalidArgument);
  EXPECT_EQ(With(server + ", certificate-authority-data: '%%'", "").error().code,
            Code::kInvalidArgument);
  for (const char* bad : {"k:6443", "ftp://k", "https://", "https://k:0", "https://me@k"}) {
    EXPECT_EQ(With(std::string("server: '") + bad + "'", "").error().code, Code::kInvalidArgument)
        << bad;
  }
  EXPECT_EQ(Kubeconfig("a: [").error().code, Code::kInvalidArgument);
  EXPECT_EQ(Kubeconfig("[]").error().code, Code::kInvalidArgument);
  EXPECT_EQ(KubeconfigAccess(directory_ + "/none").error().code, Code::kNotFound);
}

TEST_F(AuthTest, FindsTheAccessThatIsThere) {
  ASSERT_TRUE(With("server: 'https://k:6443'", "token: t").ok());
  const std::string file = directory_ + "/config";
  EXPECT_EQ(FindAccess(file, directory_, Env())->host, "k");
  EXPECT_EQ(FindAccess("", directory_, Env())->host, "10.96.0.1");
  variables_ = {{"KUBECONFIG", file}};
  EXPECT_EQ(FindAccess("", directory_, Env())->host, "k");
  variables_.clear();
  EXPECT_EQ(FindAccess("", directory_, Env()).error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace aliquot::kube
