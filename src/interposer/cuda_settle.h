// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What pools and graphs hold changes on its own, when the GPU comes to a free; it is read off the
// driver's counters at moments when that is likely.
namespace aliquot::interposer {

// Reads the counters of every pool. Whether any of them had given memory back.
bool SettlePools();
// As SettlePools, for calls after which the GPU may have come to a free. One relaxed load in a
// process that has no pools, and one query of the driver for each pool that holds memory.
void SettleAfterSync();
// From now on graphs may have memory of their own: an allocation became a node of one.
void ExpectGraphMemory();
// As SettlePools, for the memory of graphs alone.
bool SettleGraphMemory();

}  // namespace aliquot::interposer
