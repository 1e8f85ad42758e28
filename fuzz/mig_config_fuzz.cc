// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// A MIG configuration file is written by users: whatever it holds, reading it ends with a value or
// a problem that has a place, and what was read can be written and read back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mig/config_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using aliquot::mig::ParseConfigFile;
  const auto parsed = ParseConfigFile({reinterpret_cast<const char*>(data), size});
  if (!parsed.ok()) return 0;
  for (const std::string& text : {WriteYaml(parsed.file), WriteJson(parsed.file)}) {
    const auto again = ParseConfigFile(text);
    if (!again.ok() || !(again.file == parsed.file)) std::abort();
  }
  return 0;
}
