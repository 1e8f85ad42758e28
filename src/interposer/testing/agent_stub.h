// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "arbiter/wire.h"
#include "base/unique_fd.h"

namespace aliquot::interposer::testing {

// The agent's side of the protocol for one grant with one GPU, as small as it can be: a ledger that
// refuses what is above the limit, and gates that the test moves. Its socket is served by a thread
// of its own; every function may be called from the test's thread.
class AgentStub {
 public:
  struct Options {
    std::string directory;  // the grant; exists, and gets `socket` and `share`
    std::string uuid = "GPU-00000000-0000-0000-0000-000000000000";
    std::string driver;  // for the share file; empty: no such line
    std::string nvml;
    std::uint64_t limit = 0;
    std::uint64_t context = 512u << 20;  // what a context is granted
    std::uint64_t credit_target = 0;
    std::uint64_t offline = 0;
    bool beats = true;  // has a heartbeat
    // Not 0: when the agent is gone the process keeps to this part of the time.
    std::uint32_t duty_permille = 0;
    std::uint32_t stall_ms = 0;
    std::string more;  // further lines of the share file
  };

  explicit AgentStub(Options options);
  ~AgentStub();  // as a crash: sockets close, pages are left as they are
  AgentStub(const AgentStub&) = delete;

  // What all sessions hold, their credit included, now and at most so far.
  std::uint64_t Charged();
  std::uint64_t Peak();
  std::size_t Sessions();
  // HELLOs so far, and what the last one said it holds.
  int Hellos();
  std::uint64_t LastHeld();
  std::uint64_t Denied();
  // What each session holds, and says of it itself: for messages of failed tests.
  std::string Describe();
  // Frames of a type so far.
  int Frames(std::uint16_t type);

  // Of every session, now and those to come. `bits`: ALIQUOT_GATE_CLOSED, ALIQUOT_GATE_SHARED.
  void SetGate(std::uint32_t bits, std::uint32_t cap_us = 0, std::uint32_t flags = 0,
               std::uint32_t doorbells = 7);
  void SetLimit(std::uint64_t limit);
  void SetCreditTarget(std::uint64_t bytes);
  void StopHeartbeat();
  // The status page of the only session; null without one.
  const aliquot_status* Status();

 private:
  struct Session {
    UniqueFd socket;
    aliquot_control* control = nullptr;
    aliquot_status* status = nullptr;
    std::uint64_t held = 0;
    std::uint32_t pid = 0;
  };

  void Serve();
  void Accept();
  // False: the session is over.
  bool Hear(Session& session);
  bool Answer(Session& session, const char* frame, std::size_t size);
  void Welcome(Session& session, const aliquot_hello& hello);
  void Reserve(Session& session, const aliquot_reserve& request);
  void List(Session& session, const aliquot_list& request);
  void Publish();
  void ApplyGate(Session& session);
  void TakeBackCredit();
  std::uint64_t Total() const;

  const Options options_;
  std::mutex mutex_;
  UniqueFd listener_;
  UniqueFd stop_;
  std::map<int, std::unique_ptr<Session>> sessions_;
  std::map<std::uint16_t, int> frames_;
  std::uint64_t limit_;
  std::uint64_t credit_target_;
  std::uint64_t peak_ = 0;
  std::uint64_t denied_ = 0;
  std::uint64_t last_held_ = 0;
  std::uint64_t epoch_;
  aliquot_gate gate_ = {};
  bool beating_;
  std::uint64_t beat_ = 0;
  std::thread thread_;
};

}  // namespace aliquot::interposer::testing
