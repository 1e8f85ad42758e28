// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "interposer/libc.h"

// The tables of trampolines.S: of every function of the list its slot, where it jumps; what is
// exported under its name; its trampoline, which differs from that if a hook is exported instead.
extern "C" {
extern void* aliquot_slots[];
extern void* const aliquot_exports[];
extern void* const aliquot_trampolines[];
extern const char aliquot_names[];
extern const uint32_t aliquot_count;
}

namespace aliquot::interposer {

// What differs between our two libraries, defined by each of them.
struct Front {
  const char* soname;
  // Where the grant says the real library is, or "". May read the grant.
  const char* (*path)();
  // Called instead of a function that the real library lacks, and of every function if there is no
  // real library. They take whatever they are called with.
  void* missing_function;
  void* missing_library;
};
extern const Front kFront;

// Handle of the real library, opened at the first call; null if there is none.
void* RealLibrary();
// A function of the real library by name, null if it has none.
void* RealFunction(const char* name);

// A real function as it is called: `Real(&cuMemFree_v2)(pointer)` forwards to the driver what our
// cuMemFree_v2 was called with. The place of the slot is looked for once for each use.
class Slot {
 public:
  constexpr explicit Slot(const char* name) : name_(name) {}
  // Never null: a function that the real library lacks answers with an error.
  void* Get() {
    void* const* slot = Load(&slot_);
    return __builtin_expect(slot != nullptr, 1) ? Load(slot) : Find();
  }
  // Whether the real library has it.
  bool Present();

 private:
  void* Find();

  const char* name_;
  void* const* slot_ = nullptr;
};

}  // namespace aliquot::interposer
