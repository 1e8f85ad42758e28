// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <time.h>

#include <cstdint>
#include <limits>

namespace aliquot::sim::cuda {

// Nanoseconds of simulated GPU time since some moment common to all processes of the machine.
using DeviceTime = std::int64_t;
inline constexpr DeviceTime kNever = std::numeric_limits<DeviceTime>::max();

// Turns wall time into simulated GPU time and back: wall = simulated * scale. Processes that share
// a GPU must use the same scale, so the seat file keeps the first one's.
class DeviceClock {
 public:
  explicit DeviceClock(std::uint64_t scale_ppm) : scale_ppm_(static_cast<Wide>(scale_ppm)) {}

  std::uint64_t scale_ppm() const { return static_cast<std::uint64_t>(scale_ppm_); }
  static std::int64_t WallNow() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }
  DeviceTime Now() const { return FromWall(WallNow()); }
  DeviceTime FromWall(std::int64_t wall) const {
    return static_cast<DeviceTime>(static_cast<Wide>(wall) * 1'000'000 / scale_ppm_);
  }
  // Rounded up, so that waiting until then is waiting long enough.
  std::int64_t ToWall(DeviceTime time) const {
    if (time == kNever) return time;
    return static_cast<std::int64_t>((static_cast<Wide>(time) * scale_ppm_ + 999'999) / 1'000'000);
  }

 private:
  __extension__ using Wide = __int128;
  Wide scale_ppm_;
};

}  // namespace aliquot::sim::cuda
