// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/driver.h"
#include "sim/cuda/simulated.h"

extern "C" const char* aliquotSimulatedNode() {
  const aliquot::sim::cuda::Driver* driver = aliquot::sim::cuda::Driver::Get();
  return driver == nullptr ? "" : driver->node->spec().name.c_str();
}

extern "C" unsigned aliquotSimulatedSeats(AliquotSimulatedSeat* seats, unsigned room) {
  aliquot::sim::cuda::Driver* driver = aliquot::sim::cuda::Driver::Get();
  if (driver == nullptr) return 0;
  unsigned count = 0;
  aliquot::sim::SeenPids pids;
  for (const aliquot::sim::cuda::SeatUse& use : driver->node->seats().Uses()) {
    if (count < room && seats != nullptr) {
      seats[count] = {
          driver->node->PidOf(use.owner, pids),      use.engine.gpu, use.engine.gi, use.engine.ci,
          static_cast<unsigned long long>(use.busy), use.turns};
    }
    ++count;
  }
  return count;
}
