// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/testing/program.h"

int main(int argc, char** argv) {
  using namespace aliquot::sim::cuda::testing;
  if (argc < 2) return 2;
  const std::string name = argv[1];
  const Arguments arguments(argv + 2, argv + argc);
  const bool known = PlayBasics(name, arguments) || PlayMemory(name, arguments) ||
                     PlayWork(name, arguments) || PlayGraphs(name, arguments) ||
                     PlayShared(name, arguments);
  if (!known) Fail(__FILE__, __LINE__, "no scenario " + name);
  return 0;
}
