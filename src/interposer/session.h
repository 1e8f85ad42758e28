// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arbiter/wire.h"
#include "interposer/libc.h"

// The process's connection to the agent: socket and pages of docs/wire-protocol.md. There is one
// per library and process. All functions may be called from any thread; none waits longer than it
// says.
namespace aliquot::interposer {

// Opens the session at the first call, waiting for the agent for at most two seconds if it is not
// there, and starts the thread that opens it again when it is lost. Later calls return at once.
// Whether pages of an agent are there (the agent may be gone meanwhile).
bool EnsureSession();

// Whether a session was ever opened; opens none.
bool SessionOpened();

// Never null: a page of zeros, or of the process alone, as long as there is no session. What they
// point to stays mapped for ever; another agent brings other pages.
extern const aliquot_control* current_control;  // of this file's functions alone
extern aliquot_status* current_status;
inline const aliquot_control* Control() { return LoadAcquire(&current_control); }
inline aliquot_status* Status() { return LoadAcquire(&current_status); }

// False once the agent hung up, until it is back.
bool AgentConnected();

// Sends a request and waits for its answer, one request of the process at a time.
//   answer: the frame, `room` bytes; its type is answer->type.
// False if there is no agent, or no answer in time.
bool Ask(aliquot_header* request, uint16_t type, size_t size, aliquot_header* answer, size_t room,
         uint64_t milliseconds);
// Sends a one-way frame without waiting. False if it could not be sent.
bool Tell(aliquot_header* frame, uint16_t type, size_t size);

// Waits until the agent is back, at most this long. Whether it is.
bool AwaitAgent(uint64_t milliseconds);

// Defined by each library: its role (ALIQUOT_ROLE_*), and whether a thread watches the session. One
// without looks when it is asked for something.
extern const uint32_t kRole;
extern const bool kWatched;

}  // namespace aliquot::interposer
