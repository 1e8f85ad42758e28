// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/node_shares.h"

#include <filesystem>
#include <utility>

#include "grants/arbiter_server.h"

namespace aliquot::agent {
namespace {

// The kubelet's pod resources socket beside that of its device plugins.
std::string PodResourcesSocket(const std::string& kubelet_socket) {
  const std::filesystem::path kubelet =
      std::filesystem::path(kubelet_socket).parent_path().parent_path();
  return (kubelet / "pod-resources" / "kubelet.sock").string();
}

}  // namespace

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

NodeShares::NodeShares(ShareOptions options, const std::string& kubelet_socket, Executor& executor,
                       const Clock& clock, const Logger& log, metrics::Registry& registry,
                       std::function<void()> changed)
    : metrics_(registry) {
  if (!kubelet_socket.empty()) {
    holders_ = std::make_unique<KubeletHolders>(PodResourcesSocket(kubelet_socket));
  }
  const auto make_server = [this, &log] {
    // On the arbiter's thread; families may be used by any.
    return grants::ArbiterServer::Start(
        [this](const arbiter::GrantEvent& event) {
          metrics_.CountEvent(grants::NameOf(event.kind));
        },
        log);
  };
  shares_ = std::make_unique<EnforcedShares>(
      std::move(options),
      EnforcedShares::Dependencies{executor, clock, log, metrics_, holders_.get(),
                                   std::move(changed), make_server});
}

}  // namespace aliquot::agent
