// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/exported.h"
#include "interposer/forward.h"
#include "interposer/nvml_abi.h"
#include "interposer/real.h"
#include "interposer/session.h"
#include "interposer/share_file.h"

const unsigned aliquotInterposerVersion = ALIQUOT_WIRE_VERSION;

namespace aliquot::interposer {
namespace {

const char* LibraryPath() { return GrantedShare().nvml; }

int FunctionNotFound() { return NVML_ERROR_FUNCTION_NOT_FOUND; }
int LibraryNotFound() { return NVML_ERROR_LIBRARY_NOT_FOUND; }

}  // namespace

const Front kFront = {"libnvidia-ml.so.1", &LibraryPath, reinterpret_cast<void*>(&FunctionNotFound),
                      reinterpret_cast<void*>(&LibraryNotFound)};
const uint32_t kRole = ALIQUOT_ROLE_OBSERVER;
const bool kWatched = false;

}  // namespace aliquot::interposer

using namespace aliquot::interposer;

// The one function that answers with a pointer, and the first that a program without a driver asks.
const char* nvmlErrorString(nvmlReturn_t result) {
  static constinit Real<decltype(nvmlErrorString)> real("nvmlErrorString");
  return RealLibrary() == nullptr ? "NVML Shared Library Not Found" : real(result);
}
