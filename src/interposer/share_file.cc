// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/share_file.h"

#include <stdlib.h>
#include <string.h>

#include "interposer/libc.h"

namespace aliquot::interposer {
namespace {

constexpr unsigned kUuidText = 4 + 36;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "<uuid> <limit> <weight>"
bool ParseGpu(const char* text, Share* share) {
  if (share->gpu_count == ALIQUOT_WIRE_GPUS) return false;
  ShareGpu* gpu = &share->gpu[share->gpu_count];
  const char* end = nullptr;
  if (!ParseUuid(text, gpu->uuid) || text[kUuidText] != ' ') return false;
  if (!ParseNumber(text + kUuidText + 1, &gpu->limit, &end)) return false;
  ++share->gpu_count;
  return true;
}

bool Begins(const char* line, const char* key, const char** value) {
  const size_t length = ::strlen(key);
  if (::strncmp(line, key, length) != 0) return false;
  *value = line + length;
  return true;
}

bool Is(const char* value, size_t length, const char* word) {
  return ::strlen(word) == length && ::strncmp(value, word, length) == 0;
}

// One line of `length` bytes; false if it makes the grant unusable.
bool ParseLine(const char* line, size_t length, Share* share, bool* version) {
  const char* value = nullptr;
  const char* const end = line + length;
  if (Begins(line, "version=", &value)) {
    *version = Is(value, static_cast<size_t>(end - value), "1");
    return *version;
  }
  if (Begins(line, "gpu=", &value)) return ParseGpu(value, share);
  if (Begins(line, "memory=", &value)) {
    share->memory = !Is(value, static_cast<size_t>(end - value), "none");
  } else if (Begins(line, "compute=", &value)) {
    share->compute = !Is(value, static_cast<size_t>(end - value), "none");
  } else if (Begins(line, "driver=", &value)) {
    return Copy(share->driver, sizeof(share->driver), value, static_cast<size_t>(end - value));
  } else if (Begins(line, "nvml=", &value)) {
    return Copy(share->nvml, sizeof(share->nvml), value, static_cast<size_t>(end - value));
  }
  return true;
}

void ReadShare(Share* share) {
  const char* directory = ALIQUOT_GRANT_DIR;
  if (!Exists(directory)) directory = ::secure_getenv(ALIQUOT_GRANT_DIR_VARIABLE);
  if (directory == nullptr || *directory == '\0') return;
  if (!Copy(share->directory, sizeof(share->directory), directory, ::strlen(directory))) return;
  char path[kPathRoom + 16];
  const size_t length = ::strlen(directory);
  ::memcpy(path, directory, length);
  ::memcpy(path + length, "/" ALIQUOT_GRANT_SHARE, sizeof("/" ALIQUOT_GRANT_SHARE));
  static char text[ALIQUOT_GRANT_SHARE_MAX + 1];
  if (ReadWhole(path, text, sizeof(text)) < 0) {
    Log("can't read %s; forwarding only", path);
    return;
  }
  share->present = ParseShare(text, share);
  if (!share->present) Log("%s is not a grant of version 1; forwarding only", path);
}

Share g_share;
Mutex g_lock;
uint32_t g_read = 0;

}  // namespace

bool ParseUuid(const char* text, uint8_t uuid[16]) {
  if (::strncmp(text, "GPU-", 4) != 0 && ::strncmp(text, "MIG-", 4) != 0) return false;
  const char* at = text + 4;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      if (*at++ != '-') return false;
    }
    const int high = HexDigit(at[0]);
    const int low = high < 0 ? -1 : HexDigit(at[1]);
    if (low < 0) return false;
    uuid[i] = static_cast<uint8_t>(high * 16 + low);
    at += 2;
  }
  return true;
}

bool ParseShare(const char* text, Share* share) {
  share->memory = true;
  share->compute = true;
  share->gpu_count = 0;
  bool version = false;
  while (*text != '\0') {
    const size_t length = ::strcspn(text, "\n");
    if (*text != '#' && !ParseLine(text, length, share, &version)) return false;
    text += length;
    if (*text == '\n') ++text;
  }
  return version;
}

const Share& GrantedShare() {
  if (LoadAcquire(&g_read) == 0) {
    Locked lock(&g_lock);
    if (Load(&g_read) == 0) {
      ReadShare(&g_share);
      StoreRelease(&g_read, 1u);
    }
  }
  return g_share;
}

int ShareIndex(const Share& share, const uint8_t uuid[16]) {
  for (unsigned i = 0; i < share.gpu_count; ++i) {
    if (::memcmp(share.gpu[i].uuid, uuid, 16) == 0) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace aliquot::interposer
