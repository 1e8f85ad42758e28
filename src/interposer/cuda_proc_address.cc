// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "interposer/cuda_hooks.h"
#include "interposer/forward.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

struct Replacement {
  void* real;
  void* hook;
};

// Every hook with the real function it stands for, by the address of the real one. Filled once, by
// the first who asks; two who come together fill two alike, and one is lost.
struct Replacements {
  uint32_t count;
  Replacement entry[512];
};
Replacements* g_replacements = nullptr;

int ByReal(const void* a, const void* b) {
  const void* const left = static_cast<const Replacement*>(a)->real;
  const void* const right = static_cast<const Replacement*>(b)->real;
  return left < right ? -1 : left > right;
}

const Replacements* Fill() {
  auto* table = static_cast<Replacements*>(Pages(sizeof(Replacements)));
  if (table == nullptr) return nullptr;
  const char* name = aliquot_names;
  for (uint32_t i = 0; i < aliquot_count; ++i, name += ::strlen(name) + 1) {
    if (aliquot_exports[i] == aliquot_trampolines[i]) continue;
    void* const real = RealFunction(name);
    if (real == nullptr || table->count == sizeof(table->entry) / sizeof(table->entry[0])) continue;
    table->entry[table->count++] = {real, aliquot_exports[i]};
  }
  ::qsort(table->entry, table->count, sizeof(Replacement), &ByReal);
  StoreRelease(&g_replacements, table);
  return table;
}

void* HookOf(void* real) {
  const Replacements* table = LoadAcquire(&g_replacements);
  if (table == nullptr) table = Fill();
  if (table == nullptr) return real;
  const Replacement key = {real, nullptr};
  const void* found = ::bsearch(&key, table->entry, table->count, sizeof(Replacement), &ByReal);
  return found == nullptr ? real : static_cast<const Replacement*>(found)->hook;
}

// The driver decides what a name, version and flags mean; a function of it that we hook is replaced
// in its answer, every other is handed on, also what no list of ours knows.
CUresult Replace(CUresult result, void** function) {
  if (result == CUDA_SUCCESS && function != nullptr && *function != nullptr) {
    *function = HookOf(*function);
  }
  return result;
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

// Without an agent: the same.
CUresult cuGetProcAddress(const char* symbol, void** function, int version, cuuint64_t flags) {
  static constinit Real<decltype(cuGetProcAddress)> real("cuGetProcAddress");
  return Replace(real(symbol, function, version, flags), function);
}

// Without an agent: the same.
CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, cuuint64_t flags,
                             int* status) {
  static constinit Real<decltype(cuGetProcAddress_v2)> real("cuGetProcAddress_v2");
  return Replace(real(symbol, function, version, flags, status), function);
}
