// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "cdi/gpu_spec.h"

namespace aliquot::cdi {

// The one device of class aliquot-share.
inline constexpr std::string_view kShareDevice = "libraries";

// For containers with an enforced share: mounts our libraries over every place where `gpu`, the
// spec of class gpu, mounts libcuda and libnvidia-ml, and the real ones as libcuda.so.1 and
// libnvidia-ml.so.1 in ShareLibraries::driver_directory. Asked for after a device of class gpu,
// since of two mounts at one place runtimes keep the later (Container Device Interface, package
// cdi, ContainerEdits.Apply). No device if shares are not enforced, on a simulated node whose
// files are not on the host, or if `gpu` mounts no such libraries (with a warning). Libraries of
// 32-bit programs are left alone.
BuiltSpec BuildShareSpec(const SpecInput& input, const Spec& gpu);

}  // namespace aliquot::cdi
