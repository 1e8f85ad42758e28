// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  aliquot::cli::Console console{std::cout, std::cerr};
  return aliquot::cli::RunCommandLine(argc, argv, console);
}
