// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "kube/auth.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::kube {
namespace {

constexpr std::size_t kMaxFile = 1u << 20;

// Tells one version of a file from the next; empty if there is none.
std::string Identity(const std::string& file) {
  struct stat info = {};
  if (::stat(file.c_str(), &info) != 0) return "";
  return fmt::format("{}:{}:{}:{}.{}", info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec);
}

}  // namespace

Result<Access> InClusterAccess(const std::string& directory, const Environment& environment) {
  const auto host = environment("KUBERNETES_SERVICE_HOST");
  const auto port = environment("KUBERNETES_SERVICE_PORT");
  if (!host || !port || host->empty()) {
    return Error{Code::kFailedPrecondition,
                 "this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; "
                 "name a kubeconfig file outside of a cluster"};
  }
  const auto number = ParseUnsigned(*port);
  if (!number || *number == 0 || *number > 65'535) {
    return Error{Code::kInvalidArgument,
                 fmt::format("KUBERNETES_SERVICE_PORT is \"{}\", expected a port number", *port)};
  }
  Access access;
  access.source = "the service account in " + directory;
  access.host = *host;
  access.port = static_cast<std::uint16_t>(*number);
  access.token.file = directory + "/token";
  access.ca.file = directory + "/ca.crt";
  const auto ns = ReadFile(directory + "/namespace", kMaxFile);
  access.ns = ns.ok() ? std::string(Trim(*ns)) : "default";
  for (const std::string& file : {access.token.file, access.ca.file}) {
    if (const auto content = ReadFile(file, kMaxFile); !content.ok()) {
      return Error{Code::kFailedPrecondition,
                   fmt::format("read the service account: {}; does the pod have "
                               "automountServiceAccountToken: false?",
                               content.error().message)};
    }
  }
  return access;
}

Result<Access> FindAccess(const std::string& kubeconfig, const std::string& service_account,
                          const Environment& environment) {
  if (!kubeconfig.empty()) return KubeconfigAccess(kubeconfig);
  auto access = InClusterAccess(service_account, environment);
  const auto named = environment("KUBECONFIG");
  if (access.ok() || environment("KUBERNETES_SERVICE_HOST") || !named || named->empty()) {
    return access;
  }
  return KubeconfigAccess(*named);
}

Credentials::Credentials(Access access)
    : access_(std::move(access)),
      ca_{access_.ca, {}},
      certificate_{access_.certificate, {}},
      key_{access_.key, {}},
      token_{access_.token, {}} {}

Result<std::unique_ptr<Credentials>> Credentials::Open(Access access) {
  for (const Material* material : {&access.ca, &access.certificate, &access.key, &access.token}) {
    if (material->file.empty() || !material->text.empty()) continue;
    if (const auto content = ReadFile(material->file, kMaxFile); !content.ok()) {
      return content.error().In("read credentials");
    }
  }
  std::unique_ptr<Credentials> credentials(new Credentials(std::move(access)));
  credentials->Reread(true);
  return credentials;
}

bool Credentials::Source::Read(bool always) {
  if (material.file.empty()) return false;
  const std::string identity = Identity(material.file);
  if (identity.empty() || (!always && identity == seen)) return false;
  auto content = ReadFile(material.file, kMaxFile);
  if (!content.ok() || Trim(*content).empty()) return false;
  seen = identity;
  if (material.text == *content) return false;
  material.text = *std::move(content);
  return true;
}

void Credentials::Reread(bool always) {
  for (Source* source : {&ca_, &certificate_, &key_, &token_}) source->Read(always);
}

Credentials::Present Credentials::Assemble() const {
  Present present;
  present.token = std::string(Trim(token_.material.text));
  present.tls = {ca_.material.text, certificate_.material.text, key_.material.text,
                 access_.server_name, access_.insecure};
  return present;
}

Credentials::Present Credentials::Get() {
  std::lock_guard lock(mutex_);
  Reread(false);
  return Assemble();
}

bool Credentials::Refresh(const Present& refused) {
  std::lock_guard lock(mutex_);
  Reread(true);
  const Present now = Assemble();
  return now.token != refused.token || now.tls != refused.tls;
}

}  // namespace aliquot::kube
