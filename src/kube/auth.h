// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/status.h"
#include "http/client.h"

namespace aliquot::kube {

inline constexpr char kServiceAccountDirectory[] = "/var/run/secrets/kubernetes.io/serviceaccount";

// A secret or certificate: given as it is, or as a file that is read again when it changes. Where
// both are set, the file counts and the text is what to begin with.
struct Material {
  std::string text;
  std::string file;

  bool empty() const { return text.empty() && file.empty(); }
};

// Where an API server is, and as whom to speak to it.
struct Access {
  std::string source;  // "the service account in /var/…", "context \"a\" of /root/.kube/config"
  std::string host;    // IPv6 without brackets
  std::uint16_t port = 443;
  bool use_tls = true;
  std::string path;         // before "/api"; usually empty
  std::string server_name;  // expected in the certificate instead of the host
  bool insecure = false;    // any certificate will do
  Material ca;              // empty = the system's authorities
  Material certificate;
  Material key;
  Material token;
  std::string ns;  // the one to work in: of the service account or the context; "default"
};

// An environment variable; nothing if it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// As a pod: KUBERNETES_SERVICE_HOST and _PORT, and `token`, `ca.crt` and `namespace` in
// `directory`. kFailedPrecondition if this is no pod with a service account.
Result<Access> InClusterAccess(const std::string& directory, const Environment& environment);

// As kubectl: the given context of a kubeconfig file, or its current one if empty. Understands
// certificate-authority(-data), insecure-skip-tls-verify, tls-server-name,
// client-certificate(-data), client-key(-data), token, tokenFile, namespace; relative file names
// start at the file's directory. Programs that make credentials (exec), auth providers, passwords,
// impersonation and proxies are refused (kUnimplemented) rather than ignored.
Result<Access> KubeconfigAccess(const std::string& file, const std::string& context = {});

// `kubeconfig` if it is not empty, else as a pod, else the file that KUBECONFIG names.
Result<Access> FindAccess(const std::string& kubeconfig, const std::string& service_account,
                          const Environment& environment);

// What an Access says at present. Thread-safe.
class Credentials {
 public:
  struct Present {
    std::string token;  // empty = none
    http::TlsOptions tls;
  };

  // Reads every file. kNotFound and the like if one cannot be read.
  static Result<std::unique_ptr<Credentials>> Open(Access access);

  const Access& access() const { return access_; }
  // Looks at the files first, which costs a stat each. A file that cannot be read at the moment
  // leaves what it said last.
  Present Get();
  // Reads all files again, changed or not: the server does not know us any more. Whether there is
  // another token than `refused` or another client certificate now.
  bool Refresh(const Present& refused);

 private:
  struct Source {
    Material material;
    std::string seen;        // identity and time of the file that was read last
    bool Read(bool always);  // whether the text is another one now
  };

  explicit Credentials(Access access);
  Present Assemble() const;
  void Reread(bool always);

  const Access access_;
  std::mutex mutex_;  // guards the sources: requests start on any thread
  Source ca_;
  Source certificate_;
  Source key_;
  Source token_;
};

}  // namespace aliquot::kube
