// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace aliquot::rpc {

// Keeps gRPC's library started until the process ends, which must then be by _exit: its threads
// are still there. Otherwise the library ends with the last server or channel, and that takes up to
// ten seconds after a message that did not fit into a socket's buffer at once, such as a list of
// 10,000 devices: the thread that finished writing it (gRPC 1.51, "backup poller") sleeps and is
// not woken. Thread-safe.
void KeepGrpc();

}  // namespace aliquot::rpc
