// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/clock.h"
#include "http/testing_certs.h"
#include "kube/fake_api_server.h"
#include "kube/fake_cluster.h"

namespace aliquot::bench {

inline constexpr char kNamespace[] = "gpu-operator";

// With 40 labels, 50 images and the managedFields that come of it: about 20 KiB as JSON, as on
// a node in production.
kube::Object RealisticNode(const std::string& name);

// An API server in this process and a kubeconfig for it. The cluster is made up and empty.
class ClusterRig {
 public:
  // With `tls` the server has a certificate of an authority that the kubeconfig names.
  explicit ClusterRig(bool tls);
  ~ClusterRig();

  kube::FakeCluster& cluster() { return cluster_; }
  kube::FakeApiServer& server() { return server_; }
  // A temporary directory with the kubeconfig.
  const std::string& directory() const { return directory_; }
  const std::string& kubeconfig() const { return kubeconfig_; }

 private:
  const std::string directory_;
  const SystemClock clock_;
  const http::TestingAuthority authority_;
  kube::FakeCluster cluster_;
  kube::FakeApiServer server_;
  const std::string kubeconfig_;  // path
};

// What an administrator writes: the text of a configuration as the default of the policy.
void PutConfiguration(kube::FakeCluster& cluster, const std::string& text);

}  // namespace aliquot::bench
