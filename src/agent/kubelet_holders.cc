// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_holders.h"

#include <filesystem>
#include <utility>

namespace aliquot::agent {

void KubeletHolders::List(std::function<void(Result<std::vector<grants::HeldIds>>)> done) {
  client_.List("", [done = std::move(done)](Result<std::vector<rpc::HeldDevices>> held) {
    if (!held.ok()) return done(held.error());
    std::vector<grants::HeldIds> out;
    for (rpc::HeldDevices& one : *held) {
      out.push_back({{std::move(one.pod_namespace), std::move(one.pod), std::move(one.container)},
                     std::move(one.resource),
                     std::move(one.ids)});
    }
    done(std::move(out));
  });
}

std::string PodResourcesSocket(const std::string& kubelet_socket) {
  const std::filesystem::path kubelet =
      std::filesystem::path(kubelet_socket).parent_path().parent_path();
  return (kubelet / "pod-resources" / "kubelet.sock").string();
}

}  // namespace aliquot::agent
