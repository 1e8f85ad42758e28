// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace aliquot::sim::cuda {

struct ErrorName {
  int code;
  const char* name;
  const char* text;
};

// Null for a number that is no CUresult.
const ErrorName* FindErrorName(int code);

}  // namespace aliquot::sim::cuda
