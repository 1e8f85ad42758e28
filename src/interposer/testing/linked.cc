// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// A program that was linked with the driver's library. Its status tells what it came to: 0 the
// interposer, 3 the driver, anything else that it does not work.

#include <dlfcn.h>

extern "C" {
int cuInit(unsigned flags);
int cuDeviceGetCount(int* count);
}

int main() {
  int count = 0;
  if (cuInit(0) != 0 || cuDeviceGetCount(&count) != 0 || count != 1) return 1;
  return ::dlsym(RTLD_DEFAULT, "aliquotInterposerVersion") == nullptr ? 3 : 0;
}
