// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The interposer's one thread. It sleeps until the agent hangs up, and opens the session again, at
// first after 100 ms, later every two seconds. All signals are blocked in it. It never ends.
namespace aliquot::interposer {

// With pthread_create of whatever C library the real driver uses; without, sessions are not opened
// again. Once per process.
void StartWatcher();
// In the child of a fork, which has no such thread.
void ForgetWatcher();

// Of the session, for the watcher.
bool Reopen();
int WatchedSocket();
void NoteHangUp();

}  // namespace aliquot::interposer
