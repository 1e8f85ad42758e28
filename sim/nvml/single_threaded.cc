// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Distributions build the yaml-cpp archive for executables. All that keeps it out of a shared
// library is one reference to a variable of the C library, by which reference counts skip atomic
// instructions while a process has one thread. A variable of our own (hidden, like everything but
// NVML's functions) that never claims a single thread settles it, and is correct in every process.
extern "C" {
extern char __libc_single_threaded;  // NOLINT: the C library's name
char __libc_single_threaded = 0;     // NOLINT
}
