// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/forward.h"

#include <string.h>

#include "interposer/find_library.h"
#include "interposer/loader.h"

namespace aliquot::interposer {
namespace {

// The one symbol that tells our libraries from real ones; see interposer/exported.h.
constexpr char kOwnSymbol[] = "aliquotInterposerVersion";

enum : uint32_t { kNotOpened, kOpening, kOpened };

uint32_t g_state = kNotOpened;
int g_opener = 0;
void* g_library = nullptr;

}  // namespace

// Not a lock: while the library is opened its constructors run, and may call us.
void* RealLibrary() {
  while (true) {
    uint32_t state = LoadAcquire(&g_state);
    if (state == kOpened) return g_library;
    if (state == kOpening) {
      if (Load(&g_opener) == ThreadId()) return nullptr;
      FutexWait(&g_state, kOpening, 100000000u, false);
      continue;
    }
    if (!__atomic_compare_exchange_n(&g_state, &state, static_cast<uint32_t>(kOpening), false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
      continue;
    }
    Store(&g_opener, ThreadId());
    g_library = OpenReal(kFront.soname, kFront.path(), kOwnSymbol);
    StoreRelease(&g_state, static_cast<uint32_t>(kOpened));
    FutexWake(&g_state, 1 << 30);
    return g_library;
  }
}

void* RealFunction(const char* name) {
  void* library = RealLibrary();
  return library == nullptr ? nullptr : FindSymbol(library, name);
}

namespace {

const char* Name(uint32_t index) {
  const char* name = aliquot_names;
  for (uint32_t i = 0; i < index; ++i) name += ::strlen(name) + 1;
  return name;
}

}  // namespace

void* Slot::Find() {
  uint32_t index = 0;
  const char* name = aliquot_names;
  for (; index < aliquot_count && ::strcmp(name, name_) != 0; ++index) name += ::strlen(name) + 1;
  if (index == aliquot_count) return kFront.missing_function;
  Store(&slot_, static_cast<void* const*>(&aliquot_slots[index]));
  return Load(&aliquot_slots[index]);
}

bool Slot::Present() { return RealFunction(name_) != nullptr; }

}  // namespace aliquot::interposer

// From trampolines.S, at the first call of a function.
extern "C" __attribute__((visibility("hidden"))) void* aliquot_resolve(uint32_t index) {
  using namespace aliquot::interposer;
  void* const library = RealLibrary();
  void* target = library == nullptr ? kFront.missing_library : nullptr;
  if (target == nullptr) target = FindSymbol(library, Name(index));
  if (target == nullptr) target = kFront.missing_function;
  // While the library is being opened by this very thread there is no answer to keep.
  if (library != nullptr || LoadAcquire(&g_state) == kOpened) Store(&aliquot_slots[index], target);
  return target;
}
