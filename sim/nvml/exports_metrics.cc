// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// What a device is doing. Memory and processes are those registered in the state; temperature,
// power and clocks follow from how busy the processes say they are, so that they move plausibly.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>

#include "sim/nvml/call.h"
#include "sim/state/process.h"

namespace aliquot::sim {
namespace {

constexpr unsigned kClockGraphics = 0;  // NVML_CLOCK_*
constexpr unsigned kClockMemory = 2;
constexpr unsigned kClockVideo = 3;
constexpr unsigned kClockCount = 4;
constexpr unsigned kIdleGraphicsMhz = 210;
constexpr unsigned kSamplingPeriodUs = 167000;
constexpr unsigned long long kClocksReasonIdle = 0x1;

template <typename T>
int Put(T* out, T value) {
  if (out == nullptr) return abi::kInvalidArgument;
  *out = value;
  return abi::kSuccess;
}

// Percent of the GPU's time that its processes use.
unsigned Busy(const DeviceView& d) {
  unsigned busy = 0;
  for (const ProcessState& process : d.state.processes) {
    if (process.gpu == d.index) busy += BusyPercent(process);
  }
  return std::min(busy, 100u);
}

struct MemoryAmounts {
  std::uint64_t total = 0;
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;  // by processes
};

MemoryAmounts Memory(const DeviceView& d) {
  if (!d.is_mig) {
    const Product& product = d.product;
    return {product.memory_total_bytes(), product.memory_reserved_bytes(),
            UsedMemory(d.state, d.index)};
  }
  // Compute instances of one GPU instance share its memory.
  return {d.profile->memory_mib << 20, kMigReservedBytes, UsedMemory(d.state, d.index, d.gi_id)};
}

unsigned PowerMilliwatts(const DeviceView& d) {
  const unsigned idle = d.product.power_idle_watts;
  return (idle * 100 + (d.product.power_limit_watts - idle) * Busy(d)) * 10;
}

unsigned TemperatureCelsius(const DeviceView& d) { return 31 + d.index % 4 + Busy(d) * 2 / 5; }

unsigned MaxClockMhz(const Product& product, unsigned type) {
  if (type == kClockMemory) return product.memory_clock_mhz;
  return type == kClockVideo ? product.video_clock_mhz : product.graphics_clock_mhz;
}

unsigned ClockMhz(const DeviceView& d, unsigned type) {
  const unsigned most = MaxClockMhz(d.product, type);
  if (type == kClockMemory) return most;
  return Busy(d) == 0 ? std::min(kIdleGraphicsMhz, most) : most;
}

// P0 at work; at rest P8, or P0 for GPUs with stacked memory.
unsigned PerformanceState(const DeviceView& d) {
  return Busy(d) == 0 && !d.product.has_hbm() ? 8 : 0;
}

// Since the machine started, at idle power: steady and never falling.
unsigned long long EnergyMillijoules(const DeviceView& d) {
  timespec up{};
  ::clock_gettime(CLOCK_BOOTTIME, &up);
  const auto milliseconds = static_cast<unsigned long long>(up.tv_sec) * 1000 +
                            static_cast<unsigned long long>(up.tv_nsec) / 1000000;
  return milliseconds * d.product.power_idle_watts;
}

// Calls that answer one number about a GPU.
template <typename T, typename Value>
int Number(std::string_view name, abi::Device device, T* out, Value value) {
  return GpuCall(name, device, [&](const DeviceView& d) { return Put(out, value(d)); });
}

int EngineUtilization(std::string_view name, abi::Device device, unsigned* value,
                      unsigned* period_us) {
  return GpuCall(name, device, [&](const DeviceView& d) -> int {
    if (value == nullptr || period_us == nullptr) return abi::kInvalidArgument;
    if (d.mig_enabled()) return abi::kNotSupported;
    *value = 0;
    *period_us = kSamplingPeriodUs;
    return abi::kSuccess;
  });
}

int FillField(const DeviceView& d, abi::FieldValue* field) {
  const auto put = [&](unsigned value) {
    field->value_type = abi::kValueUnsignedInt;
    field->value.ui = value;
    return abi::kSuccess;
  };
  const auto put_long = [&](unsigned long long value) {
    field->value_type = abi::kValueUnsignedLongLong;
    field->value.ull = value;
    return abi::kSuccess;
  };
  const bool immediate = d.product.mig && d.product.mig->mode_change == MigModeChange::kImmediate;
  switch (field->field_id) {  // NVML_FI_DEV_*
    case 1:                   // ECC mode
      return put(d.product.ecc ? 1 : 0);
    case 82:  // memory temperature
      return put(TemperatureCelsius(d) + 4);
    case 83:   // energy since the driver was loaded
    case 191:  // the same
      return put_long(EnergyMillijoules(d));
    case 91:  // number of NVLinks
      return put(d.product.nvlink_count);
    case 94:  // PCIe replays
      return put(0);
    case 184:  // MIG mode changes without a reset
      return put(immediate ? 1 : 0);
    case 185:  // power, average
    case 186:  // power, now
      return put(PowerMilliwatts(d));
    case 190:  // power limit
      return put(d.product.power_limit_watts * 1000);
    case 199:  // MIG can be queried whatever its mode
      return put(d.product.mig ? 1 : 0);
    case 230:  // recovery action wanted: none, a GPU that answers has nothing left to recover from
      return put(0);
    default:
      return abi::kNotSupported;
  }
}

}  // namespace

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMemoryInfo(abi::Device device, abi::Memory* memory) {
  return DeviceCall("nvmlDeviceGetMemoryInfo", device, [&](const DeviceView& d) -> int {
    if (memory == nullptr) return abi::kInvalidArgument;
    // The first version counts what the driver reserves as used.
    const MemoryAmounts amounts = Memory(d);
    const std::uint64_t used = std::min(amounts.total, amounts.reserved + amounts.used);
    *memory = {amounts.total, amounts.total - used, used};
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetMemoryInfo_v2(abi::Device device, abi::MemoryV2* memory) {
  return DeviceCall("nvmlDeviceGetMemoryInfo_v2", device, [&](const DeviceView& d) -> int {
    if (memory == nullptr) return abi::kInvalidArgument;
    // Driver 580 answers a wrong version with this code, not with ARGUMENT_VERSION_MISMATCH.
    if (memory->version != abi::StructVersion<abi::MemoryV2>(2)) return abi::kFunctionNotFound;
    const MemoryAmounts amounts = Memory(d);
    const std::uint64_t used = std::min(amounts.total - amounts.reserved, amounts.used);
    memory->total = amounts.total;
    memory->reserved = amounts.reserved;
    memory->used = used;
    memory->free = amounts.total - amounts.reserved - used;
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetBAR1MemoryInfo(abi::Device device, abi::Bar1Memory* memory) {
  return DeviceCall("nvmlDeviceGetBAR1MemoryInfo", device, [&](const DeviceView& d) -> int {
    if (memory == nullptr) return abi::kInvalidArgument;
    std::uint64_t total = d.product.bar1_mib << 20;
    if (d.is_mig) total = total * d.gi->size / d.product.mig->grid;
    const std::uint64_t used = std::min<std::uint64_t>(total, 1u << 20);
    *memory = {total, total - used, used};
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetUtilizationRates(abi::Device device, abi::Utilization* out) {
  return GpuCall("nvmlDeviceGetUtilizationRates", device, [&](const DeviceView& d) -> int {
    if (out == nullptr) return abi::kInvalidArgument;
    if (d.mig_enabled()) return abi::kNotSupported;
    *out = {Busy(d), Busy(d) / 2};
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetEncoderUtilization(abi::Device device, unsigned* value,
                                                       unsigned* period_us) {
  return EngineUtilization("nvmlDeviceGetEncoderUtilization", device, value, period_us);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetDecoderUtilization(abi::Device device, unsigned* value,
                                                       unsigned* period_us) {
  return EngineUtilization("nvmlDeviceGetDecoderUtilization", device, value, period_us);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetTemperature(abi::Device device, unsigned sensor,
                                                unsigned* celsius) {
  return GpuCall("nvmlDeviceGetTemperature", device, [&](const DeviceView& d) -> int {
    return sensor != 0 ? int{abi::kInvalidArgument} : Put(celsius, TemperatureCelsius(d));
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetTemperatureV(abi::Device device, abi::TemperatureV1* out) {
  return GpuCall("nvmlDeviceGetTemperatureV", device, [&](const DeviceView& d) -> int {
    if (out == nullptr) return abi::kInvalidArgument;
    if (out->version != abi::StructVersion<abi::TemperatureV1>(1)) {
      return abi::kArgumentVersionMismatch;
    }
    if (out->sensor != 0) return abi::kInvalidArgument;
    out->temperature = static_cast<int>(TemperatureCelsius(d));
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetPowerUsage(abi::Device device, unsigned* milliwatts) {
  return Number("nvmlDeviceGetPowerUsage", device, milliwatts, PowerMilliwatts);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetEnforcedPowerLimit(abi::Device device, unsigned* milliwatts) {
  return Number("nvmlDeviceGetEnforcedPowerLimit", device, milliwatts,
                [](const DeviceView& d) { return d.product.power_limit_watts * 1000; });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetPowerManagementLimit(abi::Device device, unsigned* milliwatts) {
  return Number("nvmlDeviceGetPowerManagementLimit", device, milliwatts,
                [](const DeviceView& d) { return d.product.power_limit_watts * 1000; });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetPowerManagementDefaultLimit(abi::Device device,
                                                                unsigned* milliwatts) {
  return Number("nvmlDeviceGetPowerManagementDefaultLimit", device, milliwatts,
                [](const DeviceView& d) { return d.product.power_limit_watts * 1000; });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetPowerManagementLimitConstraints(abi::Device device,
                                                                    unsigned* least,
                                                                    unsigned* most) {
  return GpuCall("nvmlDeviceGetPowerManagementLimitConstraints", device,
                 [&](const DeviceView& d) -> int {
                   if (least == nullptr || most == nullptr) return abi::kInvalidArgument;
                   *least = d.product.power_min_watts * 1000;
                   *most = d.product.power_limit_watts * 1000;
                   return abi::kSuccess;
                 });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetPowerManagementMode(abi::Device device, unsigned* mode) {
  return Number("nvmlDeviceGetPowerManagementMode", device, mode,
                [](const DeviceView&) { return 1u; });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetTotalEnergyConsumption(abi::Device device,
                                                           unsigned long long* millijoules) {
  return Number("nvmlDeviceGetTotalEnergyConsumption", device, millijoules, EnergyMillijoules);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetClockInfo(abi::Device device, unsigned type, unsigned* mhz) {
  return GpuCall("nvmlDeviceGetClockInfo", device, [&](const DeviceView& d) -> int {
    return type >= kClockCount ? int{abi::kInvalidArgument} : Put(mhz, ClockMhz(d, type));
  });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetMaxClockInfo(abi::Device device, unsigned type, unsigned* mhz) {
  return GpuCall("nvmlDeviceGetMaxClockInfo", device, [&](const DeviceView& d) -> int {
    if (type >= kClockCount) return abi::kInvalidArgument;
    return Put(mhz, MaxClockMhz(d.product, type));
  });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetApplicationsClock(abi::Device device, unsigned type,
                                                      unsigned* mhz) {
  return GpuCall("nvmlDeviceGetApplicationsClock", device, [&](const DeviceView& d) -> int {
    if (type != kClockGraphics && type != kClockMemory) return abi::kInvalidArgument;
    return Put(mhz, MaxClockMhz(d.product, type));
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetPerformanceState(abi::Device device, unsigned* state) {
  return Number("nvmlDeviceGetPerformanceState", device, state, PerformanceState);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetPowerState(abi::Device device, unsigned* state) {
  return Number("nvmlDeviceGetPowerState", device, state, PerformanceState);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetCurrentClocksEventReasons(abi::Device device,
                                                              unsigned long long* reasons) {
  return Number("nvmlDeviceGetCurrentClocksEventReasons", device, reasons,
                [](const DeviceView& d) { return Busy(d) == 0 ? kClocksReasonIdle : 0ull; });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(abi::Device device,
                                                                 unsigned long long* reasons) {
  return nvmlDeviceGetCurrentClocksEventReasons(device, reasons);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetSupportedClocksEventReasons(abi::Device device,
                                                                unsigned long long* reasons) {
  return Number("nvmlDeviceGetSupportedClocksEventReasons", device, reasons,
                [](const DeviceView&) { return 0x1FFull; });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetFanSpeed(abi::Device device, unsigned* percent) {
  return GpuCall("nvmlDeviceGetFanSpeed", device, [&](const DeviceView&) -> int {
    return percent == nullptr ? abi::kInvalidArgument : abi::kNotSupported;  // passive coolers
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetPcieThroughput(abi::Device device, unsigned counter,
                                                   unsigned* kib_per_second) {
  return GpuCall("nvmlDeviceGetPcieThroughput", device, [&](const DeviceView& d) -> int {
    if (counter > 1) return abi::kInvalidArgument;
    return d.mig_enabled() ? int{abi::kNotSupported} : Put(kib_per_second, Busy(d) * 1000);
  });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetPcieReplayCounter(abi::Device device, unsigned* value) {
  return Number("nvmlDeviceGetPcieReplayCounter", device, value,
                [](const DeviceView&) { return 0u; });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetTotalEccErrors(abi::Device device, unsigned error_type,
                                                   unsigned counter_type,
                                                   unsigned long long* count) {
  return GpuCall("nvmlDeviceGetTotalEccErrors", device, [&](const DeviceView& d) -> int {
    if (error_type > 1 || counter_type > 1) return abi::kInvalidArgument;
    if (!d.product.ecc) return abi::kNotSupported;
    return Put<unsigned long long>(count,
                                   error_type == 0 ? d.gpu.ecc_corrected : d.gpu.ecc_uncorrected);
  });
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetMemoryErrorCounter(abi::Device device, unsigned error_type,
                                                       unsigned counter_type, unsigned location,
                                                       unsigned long long* count) {
  constexpr unsigned kLocations = 8;
  constexpr unsigned kDram = 2;
  constexpr unsigned kSram = 7;
  return GpuCall("nvmlDeviceGetMemoryErrorCounter", device, [&](const DeviceView& d) -> int {
    if (error_type > 1 || counter_type > 1 || location >= kLocations) {
      return abi::kInvalidArgument;
    }
    if (!d.product.ecc || (location != kDram && location != kSram)) return abi::kNotSupported;
    if (location == kSram) return Put(count, 0ull);
    return Put<unsigned long long>(count,
                                   error_type == 0 ? d.gpu.ecc_corrected : d.gpu.ecc_uncorrected);
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetRetiredPages(abi::Device device, unsigned cause,
                                                 unsigned* count, unsigned long long*) {
  return GpuCall("nvmlDeviceGetRetiredPages", device, [&](const DeviceView& d) -> int {
    constexpr unsigned kArchitectureAmpere = 7;  // from there on rows are remapped instead
    if (cause > 1 || count == nullptr) return abi::kInvalidArgument;
    if (d.product.architecture >= kArchitectureAmpere) return abi::kNotSupported;
    return Put(count, 0u);
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetRemappedRows(abi::Device device, unsigned* corrected,
                                                 unsigned* uncorrected, unsigned* pending,
                                                 unsigned* failed) {
  return GpuCall("nvmlDeviceGetRemappedRows", device, [&](const DeviceView& d) -> int {
    constexpr unsigned kArchitectureAmpere = 7;
    if (corrected == nullptr || uncorrected == nullptr || pending == nullptr || failed == nullptr) {
      return abi::kInvalidArgument;
    }
    if (d.product.architecture < kArchitectureAmpere || !MigDevices(d.gpu).empty()) {
      return abi::kNotSupported;
    }
    *corrected = *uncorrected = *pending = *failed = 0;
    return abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetViolationStatus(abi::Device device, unsigned policy,
                                                    abi::ViolationTime* time) {
  constexpr unsigned kPolicies = 12;
  return GpuCall("nvmlDeviceGetViolationStatus", device, [&](const DeviceView&) -> int {
    if (policy >= kPolicies) return abi::kInvalidArgument;
    return Put(time, abi::ViolationTime{});
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetFieldValues(abi::Device device, int count,
                                                abi::FieldValue* values) {
  return GpuCall("nvmlDeviceGetFieldValues", device, [&](const DeviceView& d) -> int {
    if (count < 1 || values == nullptr) return abi::kInvalidArgument;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    for (int i = 0; i < count; ++i) {
      values[i].timestamp = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
      values[i].latency_usec = 0;
      values[i].nvml_return = FillField(d, &values[i]);
    }
    return abi::kSuccess;
  });
}

}  // namespace aliquot::sim
