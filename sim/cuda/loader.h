// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "sim/cuda/driver.h"

namespace aliquot::sim::cuda {

// Puts an image into a context: functions are made, globals get zeroed device memory.
CUresult LoadModule(Driver& driver, Context& context, KernelImage image, CUmodule* out);
// Frees the globals. Functions of it are invalid from here on.
void UnloadModule(Driver& driver, Module& module);
// The function of that name; null if there is none. Compiled code has any.
std::shared_ptr<Function> FindFunction(Driver& driver, Module& module, std::string_view name);
// A CUfunction, or a CUkernel put into `context`. Null if it is neither.
std::shared_ptr<Function> ResolveFunction(Driver& driver, Context& context, CUfunction handle);

}  // namespace aliquot::sim::cuda
