// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arbiter/wire.h"
#include "interposer/share_file.h"

namespace aliquot::interposer {

struct HandshakeRequest {
  const Share* share;
  uint32_t role;
  const aliquot_control* former;  // of the last session, or zeros
  uint64_t held[ALIQUOT_WIRE_GPUS];
};

struct HandshakeResult {
  int socket;
  const aliquot_control* control;
  aliquot_status* status;
};

// Connects to the grant's socket, says HELLO and maps what WELCOME brings. Everything of the answer
// is checked; false, with nothing left open, if the agent is not there or anything is off. Waits
// ALIQUOT_HELLO_MS at most for each of connection and answer.
bool Shake(const HandshakeRequest& request, HandshakeResult* result);

}  // namespace aliquot::interposer
