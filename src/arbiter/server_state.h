// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <set>

#include "arbiter/server.h"

namespace aliquot::arbiter {

// What an epoll event is about, in the low two bits of its number; the rest is an id.
enum class Watched : std::uint64_t { kControl = 0, kListener = 1, kSocket = 2, kProcess = 3 };

constexpr std::uint64_t WatchNumber(Watched what, std::uint64_t id) {
  return id << 2 | static_cast<std::uint64_t>(what);
}

struct Server::Grant {
  Grant(const GrantSpec& grant_spec, std::uint64_t grant_number, Ledger::Settings settings)
      : spec(grant_spec), number(grant_number), memory(grant_spec.devices, settings) {}

  GrantSpec spec;
  std::uint64_t number;  // tenant id
  UniqueFd listener;
  TenantMemory memory;
  std::set<std::uint64_t> sessions;
  std::deque<Pending> pending;
};

struct Server::Session {
  std::uint64_t id = 0;
  Grant* grant = nullptr;
  UniqueFd socket;
  UniqueFd process;  // pidfd, readable when it ended
  pid_t pid = 0;
  uid_t uid = 0;
  std::uint32_t container_pid = 0;
  std::string name;
  bool greeted = false;
  bool uses_gpu = false;  // else it only asks
  std::shared_ptr<Pages> pages;
  double frames = 0;  // tokens of the rate limit
  Nanos refilled{0};
};

}  // namespace aliquot::arbiter
