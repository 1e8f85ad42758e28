// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// Starting, stopping, versions, and finding devices.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "base/text.h"
#include "sim/nvml/call.h"
#include "sim/state/seen_pids.h"

namespace aliquot::sim {
namespace {

const char* const kErrorStrings[] = {
    "Success",
    "Uninitialized",
    "Invalid Argument",
    "Not Supported",
    "Insufficient Permissions",
    "Already Initialized",
    "Not Found",
    "Insufficient Size",
    "Insufficient External Power",
    "Driver Not Loaded",
    "Timeout",
    "Interrupt Request Issue",
    "NVML Shared Library Not Found",
    "Function Not Found",
    "Corrupted infoROM",
    "GPU is lost",
    "GPU requires reset",
    "GPU access blocked by the operating system",
    "Driver/library version mismatch",
    "In use by another client",
    "Insufficient Memory",
    "No data",
    "vGPU ECC not supported",
    "Insufficient Resources",
    "Invalid Frequency",
    "Argument version mismatch",
    "Requested functionality has been deprecated",
    "System is not in ready state",
    "No supported GPUs were found",
    "Resource not in correct state to perform requested operation",
    "Reset type is not supported for given device",
};

int GetCount(std::string_view name, unsigned* count) {
  return SystemCall(name, [&](Session& session) -> int {
    if (count == nullptr) return abi::kInvalidArgument;
    *count = static_cast<unsigned>(session.node().gpus.size());
    return abi::kSuccess;
  });
}

// The handle of GPU `index`, after the faults that belong to that GPU.
int HandleOf(Session& session, std::string_view name, unsigned index, abi::Device* device) {
  if (const int code = session.Admit(name, index); code != abi::kSuccess) return code;
  int code = abi::kUnknown;
  session.state().Read([&](const NodeState& state) {
    std::optional<DeviceView> view;
    code = ResolveGpu(session, state, index, &view);
    if (code == abi::kSuccess) *device = view->Handle();
  });
  return code;
}

// As SystemCall for a search: `find` answers the index of the GPU, nothing, or an error code.
template <typename Find>
int HandleCall(std::string_view name, abi::Device* device, Find find) {
  return Guarded([&]() -> int {
    const std::shared_ptr<Session> session = Library::Get().session();
    if (session == nullptr) return abi::kUninitialized;
    unsigned index = 0;
    const int found = device == nullptr ? int{abi::kInvalidArgument} : find(*session, &index);
    if (found != abi::kSuccess) {
      const int admitted = session->Admit(name, std::nullopt);
      return admitted != abi::kSuccess ? admitted : found;
    }
    return HandleOf(*session, name, index, device);
  });
}

int HandleByIndex(std::string_view name, unsigned index, abi::Device* device) {
  return HandleCall(name, device, [&](Session& session, unsigned* found) -> int {
    *found = index;
    return index < session.node().gpus.size() ? abi::kSuccess : abi::kInvalidArgument;
  });
}

struct BusAddress {
  unsigned domain = 0;
  unsigned bus = 0;
  unsigned device = 0;
};

std::optional<unsigned> Hex(std::string_view text, std::size_t most_digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() > most_digits || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

// "[domain:]bus:device[.function]", as NVML takes it.
std::optional<BusAddress> ParseBusAddress(std::string_view text) {
  std::vector<std::string> parts = Split(text, ':');
  if (parts.size() == 2) parts.insert(parts.begin(), "0");
  if (parts.size() != 3) return std::nullopt;
  const std::vector<std::string> last = Split(parts[2], '.');
  if (last.size() > 2 || (last.size() == 2 && !Hex(last[1], 1))) return std::nullopt;
  const auto domain = Hex(parts[0], 8);
  const auto bus = Hex(parts[1], 2);
  const auto device = Hex(last[0], 2);
  if (!domain || !bus || !device) return std::nullopt;
  return BusAddress{*domain, *bus, *device};
}

int HandleByBusId(std::string_view name, const char* bus_id, abi::Device* device) {
  return HandleCall(name, device, [&](Session& session, unsigned* found) -> int {
    const auto address = bus_id == nullptr ? std::nullopt : ParseBusAddress(bus_id);
    if (!address) return abi::kInvalidArgument;
    const std::vector<GpuSpec>& gpus = session.node().gpus;
    for (*found = 0; *found < gpus.size(); ++*found) {
      const GpuSpec& gpu = gpus[*found];
      if (gpu.pci_domain == address->domain && gpu.pci_bus == address->bus &&
          gpu.pci_device == address->device) {
        return abi::kSuccess;
      }
    }
    return abi::kNotFound;
  });
}

// A MIG device by its UUID, among those that exist now.
int MigHandleByUuid(Session& session, std::string_view uuid, abi::Device* device) {
  int code = abi::kNotFound;
  session.state().Read([&](const NodeState& state) {
    for (unsigned i = 0; i < session.node().gpus.size(); ++i) {
      std::optional<DeviceView> view;
      if (ResolveGpu(session, state, i, &view) != abi::kSuccess) continue;
      for (const MigDeviceId id : MigDevices(view->gpu)) {
        if (MigUuid(view->spec, id.gi, id.ci) != uuid) continue;
        *device = view->MigHandle(id);
        code = abi::kSuccess;
        return;
      }
    }
  });
  return code;
}

}  // namespace

ALIQUOT_SIM_EXPORT const char* aliquotSimulatedNode() { return Library::Get().NodeName(); }

ALIQUOT_SIM_EXPORT int nvmlInit_v2() {
  return Guarded([] { return Library::Get().Init(); });
}
ALIQUOT_SIM_EXPORT int nvmlInit() { return nvmlInit_v2(); }
// The flags let the real library start without GPUs, which this one always does; as there, unknown
// ones are ignored.
ALIQUOT_SIM_EXPORT int nvmlInitWithFlags(unsigned) { return nvmlInit_v2(); }
ALIQUOT_SIM_EXPORT int nvmlShutdown() {
  return Guarded([] { return Library::Get().Shutdown(); });
}

ALIQUOT_SIM_EXPORT const char* nvmlErrorString(int result) {
  const bool known = result >= 0 && static_cast<std::size_t>(result) < std::size(kErrorStrings);
  return known ? kErrorStrings[result] : "Unknown Error";
}

ALIQUOT_SIM_EXPORT int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  return SystemCall("nvmlSystemGetDriverVersion", [&](Session& session) -> int {
    std::string text;
    session.state().Read([&](const NodeState& state) { text = state.driver_version; });
    return CopyOut(text, version, length);
  });
}

ALIQUOT_SIM_EXPORT int nvmlSystemGetNVMLVersion(char* version, unsigned length) {
  return SystemCall("nvmlSystemGetNVMLVersion", [&](Session& session) -> int {
    std::string text;
    session.state().Read([&](const NodeState& state) {
      text = fmt::format("{}.{}", session.node().cuda_version / 1000, state.driver_version);
    });
    return CopyOut(text, version, length);
  });
}

ALIQUOT_SIM_EXPORT int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  return SystemCall("nvmlSystemGetCudaDriverVersion_v2", [&](Session& session) -> int {
    if (version == nullptr) return abi::kInvalidArgument;
    *version = session.node().cuda_version;
    return abi::kSuccess;
  });
}
ALIQUOT_SIM_EXPORT int nvmlSystemGetCudaDriverVersion(int* version) {
  return nvmlSystemGetCudaDriverVersion_v2(version);
}

ALIQUOT_SIM_EXPORT int nvmlSystemGetProcessName(unsigned pid, char* name, unsigned length) {
  return SystemCall("nvmlSystemGetProcessName", [&](Session& session) -> int {
    std::optional<std::string> found;
    SeenPids pids;
    session.state().Read([&](const NodeState& state) {
      for (const ProcessState& process : state.processes) {
        if (process.used != 0 && pids.Of(process) == pid) found = process.name;
      }
    });
    if (name == nullptr || length == 0) return abi::kInvalidArgument;
    if (!found) return abi::kNotFound;
    return CopyOut(found->substr(0, length - 1), name, length);
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetCount_v2(unsigned* count) {
  return GetCount("nvmlDeviceGetCount_v2", count);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetCount(unsigned* count) {
  return GetCount("nvmlDeviceGetCount", count);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, abi::Device* device) {
  return HandleByIndex("nvmlDeviceGetHandleByIndex_v2", index, device);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetHandleByIndex(unsigned index, abi::Device* device) {
  return HandleByIndex("nvmlDeviceGetHandleByIndex", index, device);
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetHandleByUUID(const char* uuid, abi::Device* device) {
  constexpr std::string_view kName = "nvmlDeviceGetHandleByUUID";
  if (uuid != nullptr && device != nullptr && std::string_view(uuid).starts_with("MIG-")) {
    return SystemCall(kName, [&](Session& s) { return MigHandleByUuid(s, uuid, device); });
  }
  return HandleCall(kName, device, [&](Session& session, unsigned* found) -> int {
    if (uuid == nullptr) return abi::kInvalidArgument;
    const std::vector<GpuSpec>& gpus = session.node().gpus;
    const auto gpu = std::find_if(gpus.begin(), gpus.end(),
                                  [&](const GpuSpec& candidate) { return candidate.uuid == uuid; });
    *found = static_cast<unsigned>(gpu - gpus.begin());
    return gpu == gpus.end() ? abi::kNotFound : abi::kSuccess;
  });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetHandleBySerial(const char* serial, abi::Device* device) {
  return HandleCall(
      "nvmlDeviceGetHandleBySerial", device, [&](Session& session, unsigned* found) -> int {
        if (serial == nullptr) return abi::kInvalidArgument;
        const std::vector<GpuSpec>& gpus = session.node().gpus;
        const auto gpu = std::find_if(gpus.begin(), gpus.end(), [&](const GpuSpec& candidate) {
          return candidate.serial == serial;
        });
        *found = static_cast<unsigned>(gpu - gpus.begin());
        return gpu == gpus.end() ? abi::kNotFound : abi::kSuccess;
      });
}

ALIQUOT_SIM_EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, abi::Device* device) {
  return HandleByBusId("nvmlDeviceGetHandleByPciBusId_v2", bus_id, device);
}
ALIQUOT_SIM_EXPORT int nvmlDeviceGetHandleByPciBusId(const char* bus_id, abi::Device* device) {
  return HandleByBusId("nvmlDeviceGetHandleByPciBusId", bus_id, device);
}

}  // namespace aliquot::sim
