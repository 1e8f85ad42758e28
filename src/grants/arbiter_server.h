// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "arbiter/server.h"
#include "base/log.h"
#include "grants/share_server.h"

namespace aliquot::grants {

// Grants served by the arbiter of this process.
class ArbiterServer final : public ShareServer {
 public:
  // `on_event` is called on the arbiter's thread: short, and never calling back. `log` must outlive
  // the server. Fails if the kernel has no descriptors left.
  static Result<std::unique_ptr<ShareServer>> Start(
      std::function<void(const arbiter::GrantEvent&)> on_event, const Logger& log);

  explicit ArbiterServer(std::unique_ptr<arbiter::Server> server) : server_(std::move(server)) {}

  Status Add(const ServedGrant& grant) override;
  Status Update(const ServedGrant& grant) override;
  void Remove(const std::string& id) override { server_->RemoveGrant(id); }
  std::map<std::string, GrantUse> Look() override;
  void SetProcessMemory(const gpu::ProcessSnapshot& processes) override;

 private:
  const std::unique_ptr<arbiter::Server> server_;
};

// "gate-time-out", "ran-free", "no-markers", "misbehaved", "turned-away": as metrics call it.
const char* NameOf(arbiter::GrantEvent::Kind kind);

}  // namespace aliquot::grants
