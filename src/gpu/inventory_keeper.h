// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "gpu/inventory.h"

namespace aliquot::gpu {

// A device that was served before and cannot be reached now.
struct LostDevice {
  std::string uuid;    // of a GPU or a MIG device
  std::string reason;  // for people

  friend bool operator==(const LostDevice&, const LostDevice&) = default;
};

// Remembers devices that were there, so that one that breaks stays in the list (to be shown
// unhealthy) with its last good value instead of vanishing under the pods that hold it. A GPU that
// never worked stays in Inventory::broken only. A remembered GPU is forgotten when another GPU
// takes its index, which happens only when the driver was loaded again without it; MIG devices are
// forgotten when they are gone from a GPU that works, because then somebody destroyed them. Pure.
class InventoryKeeper {
 public:
  struct Merged {
    Inventory inventory;  // what to publish
    std::vector<LostDevice> lost;
  };
  // `fresh` is what the driver shows now.
  Merged Merge(Inventory fresh);

 private:
  Inventory last_;
};

}  // namespace aliquot::gpu
