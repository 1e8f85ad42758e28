// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/forward.h"

namespace aliquot::interposer {

// A function of the real library under the type of our hook:
//   static constinit Real<decltype(cuMemFree_v2)> real("cuMemFree_v2");
//   return real(pointer);
template <typename Function>
class Real;

template <typename Result, typename... Arguments>
class Real<Result(Arguments...)> {
 public:
  constexpr explicit Real(const char* name) : slot_(name) {}
  Result operator()(Arguments... arguments) {
    return reinterpret_cast<Result (*)(Arguments...)>(slot_.Get())(arguments...);
  }
  bool Present() { return slot_.Present(); }

 private:
  Slot slot_;
};

}  // namespace aliquot::interposer
