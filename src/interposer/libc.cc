// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/libc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace aliquot::interposer {

uint64_t NowNs() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

int ThreadId() { return static_cast<int>(::syscall(SYS_gettid)); }

void FutexWait(const uint32_t* word, uint32_t value, uint64_t nanoseconds, bool shared) {
  const int saved = errno;
  timespec timeout = {};
  timeout.tv_sec = static_cast<time_t>(nanoseconds / 1000000000u);
  timeout.tv_nsec = static_cast<long>(nanoseconds % 1000000000u);
  ::syscall(SYS_futex, word, FUTEX_WAIT | (shared ? 0 : FUTEX_PRIVATE_FLAG), value, &timeout,
            nullptr, 0);
  errno = saved;
}

void FutexWake(uint32_t* word, int threads) {
  const int saved = errno;
  ::syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, threads, nullptr, nullptr, 0);
  errno = saved;
}

// 0 free, 1 held, 2 held and perhaps waited for.
void Mutex::Lock() {
  uint32_t expected = 0;
  if (__atomic_compare_exchange_n(&word_, &expected, 1u, false, __ATOMIC_ACQUIRE,
                                  __ATOMIC_RELAXED)) {
    return;
  }
  while (__atomic_exchange_n(&word_, 2u, __ATOMIC_ACQUIRE) != 0) {
    FutexWait(&word_, 2, 1000000000u, false);
  }
}

void Mutex::Unlock() {
  if (__atomic_exchange_n(&word_, 0u, __ATOMIC_RELEASE) == 2) FutexWake(&word_, 1);
}

void Log(const char* format, ...) {
  const int saved = errno;
  const char* where = ::secure_getenv("ALIQUOT_LOG");
  if (where == nullptr || *where == '\0' || ::strcmp(where, "0") == 0) return;
  char line[512];
  int length = ::snprintf(line, sizeof(line), "aliquot[%d]: ", static_cast<int>(::getpid()));
  va_list arguments;
  va_start(arguments, format);
  length +=
      ::vsnprintf(line + length, sizeof(line) - static_cast<size_t>(length) - 1, format, arguments);
  va_end(arguments);
  const size_t size = Min(static_cast<size_t>(length), sizeof(line) - 2);
  line[size] = '\n';
  const bool standard = ::strcmp(where, "1") == 0 || ::strcmp(where, "stderr") == 0;
  const int fd = standard ? 2 : ::open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd >= 0 && ::write(fd, line, size + 1) < 0) {
    // Nobody to tell.
  }
  if (fd > 2) ::close(fd);
  errno = saved;
}

void* Pages(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void FreePages(void* pages, size_t bytes) { ::munmap(pages, bytes); }

long ReadWhole(const char* path, char* buffer, size_t room) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t length = 0;
  while (length + 1 < room) {
    const ssize_t got = ::read(fd, buffer + length, room - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) length = 0;
    if (got <= 0) break;
    length += static_cast<size_t>(got);
  }
  ::close(fd);
  buffer[length] = '\0';
  return static_cast<long>(length);
}

bool Exists(const char* path) { return ::access(path, F_OK) == 0; }

// The stat functions of glibc have new symbol versions, so the kernel is asked.
bool SameFile(const char* a, const char* b) {
  struct Identity {
    uint64_t device;
    uint64_t inode;
  };
  Identity identity[2] = {};
  const char* paths[2] = {a, b};
  for (int i = 0; i < 2; ++i) {
    // The kernel's struct stat begins with device and inode; it has 144 bytes on x86-64, 128 on
    // aarch64.
    uint64_t raw[32] = {};
    if (::syscall(SYS_newfstatat, AT_FDCWD, paths[i], raw, 0) != 0) return false;
    identity[i] = {raw[0], raw[1]};
  }
  return identity[0].device == identity[1].device && identity[0].inode == identity[1].inode;
}

bool ParseNumber(const char* text, uint64_t* value, const char** end) {
  uint64_t number = 0;
  const char* at = text;
  for (; *at >= '0' && *at <= '9'; ++at) {
    if (__builtin_mul_overflow(number, 10u, &number) ||
        __builtin_add_overflow(number, static_cast<uint64_t>(*at - '0'), &number)) {
      return false;
    }
  }
  if (at == text) return false;
  *value = number;
  *end = at;
  return true;
}

bool Copy(char* to, size_t room, const char* from, size_t length) {
  if (length >= room) return false;
  ::memcpy(to, from, length);
  to[length] = '\0';
  return true;
}

}  // namespace aliquot::interposer
