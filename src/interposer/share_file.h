// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "arbiter/wire.h"

namespace aliquot::interposer {

constexpr size_t kPathRoom = 1024;

struct ShareGpu {
  uint8_t uuid[16];
  uint64_t limit;  // bytes; 0: not limited
};

// What the grant directory says, read once; it never changes while the container lives.
struct Share {
  bool present;  // a grant of a version we know
  bool memory;   // memory is limited
  bool compute;  // GPU time is arbitrated
  unsigned gpu_count;
  ShareGpu gpu[ALIQUOT_WIRE_GPUS];
  char driver[kPathRoom];  // where the real libraries are, or ""
  char nvml[kPathRoom];
  char directory[kPathRoom];
};

// Read at the first call; a grant that can't be read or understood counts as none. Any thread.
const Share& GrantedShare();

// The place of a device in the grant, or -1 if it is not governed by it.
int ShareIndex(const Share& share, const uint8_t uuid[16]);

// "GPU-" or "MIG-" and a UUID, as NVML and the share file write it. False if `text` does not begin
// with one.
bool ParseUuid(const char* text, uint8_t uuid[16]);

// Reads the text of a share file into `share`, whose directory stays as it is. For tests, too.
bool ParseShare(const char* text, Share* share);

}  // namespace aliquot::interposer
