// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/exported.h"
#include "interposer/forward.h"
#include "interposer/session.h"
#include "interposer/share_file.h"

const unsigned aliquotInterposerVersion = ALIQUOT_WIRE_VERSION;

namespace aliquot::interposer {
namespace {

const char* DriverPath() { return GrantedShare().driver; }

// CUDA_ERROR_NOT_SUPPORTED: an older driver without this function.
int NotSupported() { return 801; }
// CUDA_ERROR_NO_DEVICE: a container without a driver.
int NoDevice() { return 100; }

}  // namespace

const Front kFront = {"libcuda.so.1", &DriverPath, reinterpret_cast<void*>(&NotSupported),
                      reinterpret_cast<void*>(&NoDevice)};

const uint32_t kRole = ALIQUOT_ROLE_CUDA;
const bool kWatched = true;

}  // namespace aliquot::interposer
