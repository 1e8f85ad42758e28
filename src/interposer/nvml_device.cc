// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/nvml_device.h"

#include "interposer/real.h"
#include "interposer/share_file.h"

namespace aliquot::interposer {

int GpuOf(nvmlDevice_t device) {
  static constinit Real<nvmlReturn_t(nvmlDevice_t, char*, unsigned)> real_uuid("nvmlDeviceGetUUID");
  const Share& share = GrantedShare();
  char text[96] = {};
  uint8_t uuid[16];
  if (!share.present || real_uuid(device, text, sizeof(text)) != NVML_SUCCESS) return -1;
  return ParseUuid(text, uuid) ? ShareIndex(share, uuid) : -1;
}

}  // namespace aliquot::interposer
