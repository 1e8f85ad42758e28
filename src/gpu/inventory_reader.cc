// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/inventory_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "gpu/driver_source.h"
#include "gpu/mig_reader.h"
#include "gpu/nvml_session.h"

namespace aliquot::gpu {
namespace {

// Display adapters of DGX Stations: NVML lists them, nobody can compute on them.
bool IsDisplayOnly(const std::string& name) {
  return name == "DGX Display" || name == "NVIDIA DGX Display";
}

// What one GPU needs from its surroundings.
struct Surroundings {
  const NvmlApi& api;
  const HostFiles* files;  // null on a simulated node
  const MigMinors& minors;
};

template <std::size_t kBytes>
std::string TextOf(const char (&buffer)[kBytes]) {
  return std::string(buffer, ::strnlen(buffer, kBytes));
}

// Multiprocessors are not a figure NVML has; it counts cores, whose number per multiprocessor is a
// property of the compute capability (CUDA C++ Programming Guide, arithmetic throughput table).
unsigned CoresPerMultiprocessor(int major, int minor) {
  switch (major) {
    case 3:
      return 192;
    case 5:
      return 128;
    case 6:
      return minor == 0 ? 64 : 128;
    case 7:
      return 64;
    case 8:
      return minor == 0 ? 64 : 128;
    default:
      return major >= 9 ? 128 : 0;
  }
}

Status ReadIdentity(const NvmlApi& api, abi::Device device, Gpu& gpu) {
  char uuid[abi::kUuidBytes] = {};
  Status s = CallNvml("nvmlDeviceGetUUID", api.device_uuid, device, uuid, abi::kUuidBytes);
  if (!s.ok()) return s;
  gpu.uuid = TextOf(uuid);
  abi::PciInfo pci{};
  s = CallNvml("nvmlDeviceGetPciInfo_v3", api.device_pci_info, device, &pci);
  if (!s.ok()) return s;
  gpu.bus_id = SysfsBusId(TextOf(pci.bus_id));
  gpu.pci_device_id = pci.pci_device_id;
  gpu.pci_subsystem_id = pci.pci_subsystem_id;
  s = CallNvml("nvmlDeviceGetMinorNumber", api.device_minor, device, &gpu.minor);
  if (!s.ok()) return s;
  gpu.device_path = fmt::format("/dev/nvidia{}", gpu.minor);
  return CallNvml("nvmlDeviceGetCudaComputeCapability", api.device_compute_capability, device,
                  &gpu.compute_major, &gpu.compute_minor);
}

Status ReadSize(const NvmlApi& api, abi::Device device, Gpu& gpu) {
  const Result<MemorySize> memory = ReadMemory(api, device);
  if (!memory.ok()) return memory.error();
  gpu.memory_total_bytes = memory->total_bytes;
  gpu.memory_usable_bytes = memory->usable_bytes;
  unsigned cores = 0;
  const Result<bool> counted =
      AskNvml("nvmlDeviceGetNumGpuCores", api.device_cores, device, &cores);
  if (!counted.ok()) return counted.error();
  const unsigned per = CoresPerMultiprocessor(gpu.compute_major, gpu.compute_minor);
  if (*counted && per != 0) gpu.multiprocessors = cores / per;
  return {};
}

std::string UuidText(const unsigned char (&bytes)[16]) {
  std::string text;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

// Membership counts once registration with the fabric manager completed without an error; a cluster
// of all zeros is what a GPU outside any cluster reports.
Status ReadFabric(const NvmlApi& api, abi::Device device, Gpu& gpu) {
  abi::FabricInfoV2 info{};
  info.version = abi::StructVersion<abi::FabricInfoV2>(2);
  Result<bool> answered =
      AskNvml("nvmlDeviceGetGpuFabricInfoV", api.device_fabric_info_v, device, &info);
  if (!answered.ok()) return answered.error();
  if (!*answered) {
    abi::FabricInfo v1{};
    answered = AskNvml("nvmlDeviceGetGpuFabricInfo", api.device_fabric_info, device, &v1);
    if (!answered.ok()) return answered.error();
    std::copy(std::begin(v1.cluster_uuid), std::end(v1.cluster_uuid), info.cluster_uuid);
    info.status = v1.status;
    info.clique_id = v1.clique_id;
    info.state = v1.state;
  }
  const bool in_cluster = std::any_of(std::begin(info.cluster_uuid), std::end(info.cluster_uuid),
                                      [](unsigned char byte) { return byte != 0; });
  if (*answered && info.state == abi::kFabricCompleted && info.status == abi::Return::kSuccess &&
      in_cluster) {
    gpu.fabric = Fabric{UuidText(info.cluster_uuid), info.clique_id};
  }
  return {};
}

// The nearest NUMA node as the simulated library tells it, for there is no sysfs entry.
std::optional<int> SimulatedNumaNode(const NvmlApi& api, abi::Device device) {
  std::array<unsigned long, 16> mask{};
  const Result<bool> answered =
      AskNvml("nvmlDeviceGetMemoryAffinity", api.device_memory_affinity, device,
              static_cast<unsigned>(mask.size()), mask.data(), 0u);
  if (!answered.ok() || !*answered) return std::nullopt;
  for (int bit = 0; bit < static_cast<int>(mask.size()) * 64; ++bit) {
    if ((mask[static_cast<std::size_t>(bit / 64)] >> (bit % 64) & 1) != 0) return bit;
  }
  return std::nullopt;
}

// Everything but the name, which is read before.
Status ReadGpu(const Surroundings& around, abi::Device device, Gpu& gpu) {
  if (Status s = ReadIdentity(around.api, device, gpu); !s.ok()) return s;
  if (Status s = ReadSize(around.api, device, gpu); !s.ok()) return s;
  if (Status s = ReadMig(around.api, device, around.minors, gpu); !s.ok()) return s;
  if (Status s = ReadFabric(around.api, device, gpu); !s.ok()) return s;
  if (around.files != nullptr) {
    gpu.numa_node = around.files->NumaNode(gpu.bus_id);
    gpu.drm_paths = around.files->DrmPaths(gpu.bus_id);
  } else {
    gpu.numa_node = SimulatedNumaNode(around.api, device);
  }
  return {};
}

Status ReadSystem(const NvmlApi& api, Inventory& inventory) {
  char text[abi::kVersionBytes] = {};
  Status s =
      CallNvml("nvmlSystemGetDriverVersion", api.system_driver_version, text, abi::kVersionBytes);
  if (!s.ok()) return s;
  inventory.driver_version = TextOf(text);
  s = CallNvml("nvmlSystemGetNVMLVersion", api.system_nvml_version, text, abi::kVersionBytes);
  if (!s.ok()) return s;
  inventory.nvml_version = TextOf(text);
  const Result<bool> cuda =
      AskNvml("nvmlSystemGetCudaDriverVersion", api.system_cuda_version, &inventory.cuda_version);
  if (!cuda.ok() && IsDriverGone(cuda.error())) return cuda.error();
  return {};
}

}  // namespace

const MigMinors& InventoryReader::Minors(bool simulated, std::uint64_t generation) {
  if (minors_generation_ == generation) return minors_;
  if (simulated && files_.is_system()) {
    minors_ = MigMinors::ByRule();
    return minors_;
  }
  Result<MigMinors> listed = files_.ReadMigMinors();
  if (listed.ok()) {
    minors_ = *std::move(listed);
    minors_generation_ = generation;
  } else {  // a driver without MIG has no list
    minors_ = simulated ? MigMinors::ByRule() : MigMinors();
  }
  return minors_;
}

Result<Inventory> InventoryReader::Read(const NvmlApi& api, std::uint64_t generation,
                                        const std::string& simulated_node) {
  Inventory inventory;
  inventory.simulated_node = simulated_node;
  if (Status s = ReadSystem(api, inventory); !s.ok()) return s.error();
  unsigned count = 0;
  if (Status s = CallNvml("nvmlDeviceGetCount_v2", api.device_count, &count); !s.ok()) {
    return s.error();
  }
  const HostFiles* files = inventory.simulated() && files_.is_system() ? nullptr : &files_;
  const MigMinors& minors = Minors(inventory.simulated(), generation);
  std::vector<abi::Device> handles;
  for (unsigned index = 0; index < count; ++index) {
    Gpu gpu;
    gpu.index = index;
    abi::Device device;
    char name[abi::kNameBytes] = {};
    Status s = CallNvml("nvmlDeviceGetHandleByIndex_v2", api.device_by_index, index, &device);
    if (s.ok()) {
      s = CallNvml("nvmlDeviceGetName", api.device_name, device, name, abi::kNameBytes);
    }
    gpu.name = TextOf(name);
    if (s.ok() && IsDisplayOnly(gpu.name)) continue;
    if (s.ok()) s = ReadGpu({api, files, minors}, device, gpu);
    if (s.ok()) {
      inventory.gpus.push_back(std::move(gpu));
      handles.push_back(device);
    } else if (IsDriverGone(s.error())) {
      return s.error();
    } else {
      inventory.broken.push_back({index, gpu.uuid, gpu.bus_id, s.error().message});
    }
  }
  Result<Topology> topology = topology_.Read(api, generation, inventory.gpus, handles);
  if (!topology.ok()) return topology.error();
  inventory.topology = *std::move(topology);
  return inventory;
}

Result<Inventory> ReadInventoryOnce(DriverSource& source, HostFiles files) {
  Result<std::unique_ptr<Driver>> driver = source.Load();
  if (!driver.ok()) return driver.error();
  const Result<NvmlSession> session = NvmlSession::Open((*driver)->api(), 1);
  if (!session.ok()) return session.error().In((*driver)->path());
  return InventoryReader(std::move(files))
      .Read(session->api(), session->generation(), (*driver)->simulated_node());
}

}  // namespace aliquot::gpu
