// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/watcher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "interposer/forward.h"
#include "interposer/session.h"

namespace aliquot::interposer {
namespace {

constexpr int kFirstPauseMs = 100;
constexpr int kLongestPauseMs = 2000;

uint32_t g_started = 0;

// True once the other side hung up.
bool Watch() {
  pollfd watched = {WatchedSocket(), POLLRDHUP, 0};
  const int ready = ::poll(&watched, 1, -1);
  return ready > 0 || (ready < 0 && errno != EINTR);
}

void* Run(void*) {
  ::prctl(PR_SET_NAME, "aliquot", 0, 0, 0);
  int pause = kFirstPauseMs;
  while (true) {
    if (AgentConnected()) {
      pause = kFirstPauseMs;
      if (Watch()) NoteHangUp();
      continue;
    }
    ::poll(nullptr, 0, pause);
    pause = Min(pause * 2, kLongestPauseMs);
    Reopen();
  }
  return nullptr;
}

}  // namespace

void StartWatcher() {
  if (__atomic_exchange_n(&g_started, 1u, __ATOMIC_ACQ_REL) != 0) return;
  // Looked up there because these functions moved from libpthread to libc in glibc 2.34.
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  using Detach = int (*)(pthread_t);
  const auto create = reinterpret_cast<Create>(RealFunction("pthread_create"));
  const auto detach = reinterpret_cast<Detach>(RealFunction("pthread_detach"));
  if (create == nullptr || detach == nullptr) return;
  sigset_t all;
  sigset_t former;
  ::sigfillset(&all);
  if (::sigprocmask(SIG_SETMASK, &all, &former) != 0) return;
  pthread_t thread;
  if (create(&thread, nullptr, &Run, nullptr) == 0) detach(thread);
  ::sigprocmask(SIG_SETMASK, &former, nullptr);
}

void ForgetWatcher() { Store(&g_started, 0u); }

}  // namespace aliquot::interposer
