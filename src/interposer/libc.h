// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

// What the interposer needs and takes from nothing but an old glibc. Everything here may be called
// from any thread, fails without side effects and never ends the process.

// Calls between the library's own files; nothing of it is exported.
#define ALIQUOT_EXPORT extern "C" __attribute__((visibility("default")))
// No memory is allocated on first access, also after dlopen.
#define ALIQUOT_THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

namespace aliquot::interposer {

template <typename T>
T Load(const T* word) {
  return __atomic_load_n(word, __ATOMIC_RELAXED);
}
template <typename T>
T LoadAcquire(const T* word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
template <typename T>
void Store(T* word, T value) {
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}
template <typename T>
void StoreRelease(T* word, T value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
template <typename T>
T Add(T* word, T value) {
  return __atomic_fetch_add(word, value, __ATOMIC_RELAXED);
}

template <typename T>
T Min(T a, T b) {
  return a < b ? a : b;
}
template <typename T>
T Max(T a, T b) {
  return a < b ? b : a;
}
// a - b, at least 0.
inline uint64_t Less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// CLOCK_MONOTONIC in nanoseconds.
uint64_t NowNs();
int ThreadId();

// Gives way to the other thread of the core for a moment.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

// Waits until the word is not `value`, somebody wakes it, or the time is over. The word may lie in
// another process's read-only page.
void FutexWait(const uint32_t* word, uint32_t value, uint64_t nanoseconds, bool shared);
void FutexWake(uint32_t* word, int threads);

// A lock of four bytes that is free when zero. Held for a few memory accesses or one exchange with
// the agent, never across a call of the driver.
class Mutex {
 public:
  void Lock();
  void Unlock();
  // In the child of a fork, whose other threads are gone.
  void Forget() { Store(&word_, 0u); }

 private:
  uint32_t word_ = 0;
};

class Locked {
 public:
  explicit Locked(Mutex* mutex) : mutex_(mutex) { mutex_->Lock(); }
  ~Locked() { mutex_->Unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  Mutex* mutex_;
};

// A line to where ALIQUOT_LOG says, unless the program has privileges its user has not: "1" or
// "stderr" for standard error, else a file that is appended to. Without the variable, nothing.
// Keeps errno.
void Log(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Zeroed memory of whole pages, or null; most is never given back.
void* Pages(size_t bytes);
void FreePages(void* pages, size_t bytes);

// Reads a file of at most `room - 1` bytes and ends it with a zero. Its length, or -1.
long ReadWhole(const char* path, char* buffer, size_t room);
// Whether two paths lead to the same file.
bool SameFile(const char* a, const char* b);
bool Exists(const char* path);
// A decimal number at the beginning of `text`; what follows it in `*end`. False without digits or
// if it does not fit.
bool ParseNumber(const char* text, uint64_t* value, const char** end);
bool Copy(char* to, size_t room, const char* from, size_t length);

}  // namespace aliquot::interposer
