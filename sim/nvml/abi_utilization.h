// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// As abi.h, for the calls that tell how busy processes keep a GPU.
namespace aliquot::sim::abi {

struct ProcessUtilizationSample {
  unsigned pid;
  unsigned long long time_stamp;
  unsigned sm_util;
  unsigned mem_util;
  unsigned enc_util;
  unsigned dec_util;
};
static_assert(sizeof(ProcessUtilizationSample) == 32);

struct ProcessUtilizationInfo {
  unsigned long long time_stamp;
  unsigned pid;
  unsigned sm_util;
  unsigned mem_util;
  unsigned enc_util;
  unsigned dec_util;
  unsigned jpg_util;
  unsigned ofa_util;
};
static_assert(sizeof(ProcessUtilizationInfo) == 40);

struct ProcessesUtilizationInfo {
  unsigned version;
  unsigned count;
  unsigned long long last_seen;
  ProcessUtilizationInfo* samples;
};
static_assert(sizeof(ProcessesUtilizationInfo) == 24);

}  // namespace aliquot::sim::abi
