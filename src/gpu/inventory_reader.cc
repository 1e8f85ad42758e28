// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/inventory_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "gpu/driver_source.h"
#include "gpu/nvml_session.h"

namespace aliquot::gpu {
namespace {

// Display adapters of DGX Stations: NVML lists them, nobody can compute on them.
bool IsDisplayOnly(const std::string& name) {
  return name == "DGX Display" || name == "NVIDIA DGX Display";
}

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

Status ReadUuid(const NvmlApi& api, abi::Device device, Gpu& gpu) {
  char uuid[abi::kUuidBytes] = {};
  Status s = CallNvml("nvmlDeviceGetUUID", api.device_uuid, device, uuid, abi::kUuidBytes);
  if (s.ok()) gpu.uuid = TextOf(uuid);
  return s;
}

Status ReadIdentity(const NvmlApi& api, abi::Device device, Gpu& gpu) {
  Status s = ReadUuid(api, device, gpu);
  if (!s.ok()) return s;
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
// of all zeros is what a GPU outside any cluster reports. False while registration goes on.
Result<bool> ReadFabric(const NvmlApi& api, abi::Device device, Gpu& gpu) {
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
  return !*answered || info.state != abi::kFabricInProgress;
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

// Whether a quick look finds the GPU that was read before; its answers otherwise are in `gpu`.
Result<bool> IsUnchanged(const NvmlApi& api, abi::Device device, const Gpu& before, Gpu& gpu) {
  if (Status s = ReadUuid(api, device, gpu); !s.ok()) return s.error();
  if (gpu.uuid != before.uuid) return false;
  gpu.bus_id = before.bus_id;
  abi::Memory memory{};
  const Result<bool> answered =
      AskNvml("nvmlDeviceGetMemoryInfo", api.device_memory, device, &memory);
  if (!answered.ok()) return answered.error();
  const Result<MigMode> mode = ReadMigMode(api, device);
  if (!mode.ok()) return mode.error();
  return memory.total == before.memory_total_bytes &&
         *mode == MigMode{before.mig_capable, before.mig_enabled};
}

}  // namespace

// What one GPU needs from its surroundings.
struct InventoryReader::Surroundings {
  const NvmlApi& api;
  const HostFiles* files;  // null on a simulated node
  const MigMinors& minors;
};

Status InventoryReader::ReadOne(const Surroundings& around, const Known* before, abi::Device device,
                                Known& now) {
  const NvmlApi& api = around.api;
  const unsigned index = now.gpu.index;
  if (before != nullptr && before->is_settled) {
    if (before->is_display) {
      now = *before;
      return {};
    }
    const Result<bool> unchanged = IsUnchanged(api, device, before->gpu, now.gpu);
    if (!unchanged.ok()) return unchanged.error();
    if (*unchanged) {
      now = *before;
      if (!now.gpu.mig_enabled) return {};
      return ReadMigDevices(api, device, around.minors, now.gpu, now.mig);
    }
  }
  now = {};
  now.gpu.index = index;
  char name[abi::kNameBytes] = {};
  Status s = CallNvml("nvmlDeviceGetName", api.device_name, device, name, abi::kNameBytes);
  if (!s.ok()) return s;
  now.gpu.name = TextOf(name);
  now.is_display = IsDisplayOnly(now.gpu.name);
  if (now.is_display) return {};
  if (s = ReadIdentity(api, device, now.gpu); !s.ok()) return s;
  if (s = ReadSize(api, device, now.gpu); !s.ok()) return s;
  if (s = ReadMig(api, device, around.minors, now.gpu, now.mig); !s.ok()) return s;
  const Result<bool> settled = ReadFabric(api, device, now.gpu);
  if (!settled.ok()) return settled.error();
  now.is_settled = *settled;
  if (around.files != nullptr) {
    now.gpu.numa_node = around.files->NumaNode(now.gpu.bus_id);
    now.gpu.drm_paths = around.files->DrmPaths(now.gpu.bus_id);
  } else {
    now.gpu.numa_node = SimulatedNumaNode(api, device);
  }
  return {};
}

Result<Inventory> InventoryReader::ReadSystem(const NvmlApi& api,
                                              const std::string& simulated_node) {
  if (system_) return *system_;
  Inventory inventory;
  inventory.simulated_node = simulated_node;
  char text[abi::kVersionBytes] = {};
  Status s =
      CallNvml("nvmlSystemGetDriverVersion", api.system_driver_version, text, abi::kVersionBytes);
  if (!s.ok()) return s.error();
  inventory.driver_version = TextOf(text);
  s = CallNvml("nvmlSystemGetNVMLVersion", api.system_nvml_version, text, abi::kVersionBytes);
  if (!s.ok()) return s.error();
  inventory.nvml_version = TextOf(text);
  const Result<bool> cuda =
      AskNvml("nvmlSystemGetCudaDriverVersion", api.system_cuda_version, &inventory.cuda_version);
  if (!cuda.ok() && IsDriverGone(cuda.error())) return cuda.error();
  system_ = inventory;
  return inventory;
}

void InventoryReader::ReadMinors(bool simulated) {
  if (minors_listed_) return;
  if (!simulated || !files_.is_system()) {
    Result<MigMinors> listed = files_.ReadMigMinors();
    minors_listed_ = listed.ok();
    if (minors_listed_) {
      minors_ = *std::move(listed);
      return;
    }
  }
  minors_ = simulated ? MigMinors::ByRule() : MigMinors();  // a driver without MIG has no list
}

Result<Inventory> InventoryReader::Read(const NvmlApi& api, std::uint64_t generation,
                                        const std::string& simulated_node, Look look) {
  const bool new_session = generation != generation_;
  if (look == Look::kFull || new_session) {
    generation_ = generation;
    system_.reset();
    known_.clear();
    minors_listed_ = minors_listed_ && !new_session;
    ReadMinors(!simulated_node.empty());
  }
  // What this look does not see in order has to be read in full at the next.
  const std::map<unsigned, Known> before = std::exchange(known_, {});
  Result<Inventory> system = ReadSystem(api, simulated_node);
  if (!system.ok()) return system.error();
  Inventory inventory = *std::move(system);
  unsigned count = 0;
  if (Status s = CallNvml("nvmlDeviceGetCount_v2", api.device_count, &count); !s.ok()) {
    return s.error();
  }
  const HostFiles* files = inventory.simulated() && files_.is_system() ? nullptr : &files_;
  std::vector<abi::Device> handles;
  for (unsigned index = 0; index < count; ++index) {
    Known now;
    now.gpu.index = index;
    abi::Device device;
    Status s = CallNvml("nvmlDeviceGetHandleByIndex_v2", api.device_by_index, index, &device);
    if (s.ok()) {
      const auto found = before.find(index);
      const Known* last = found == before.end() ? nullptr : &found->second;
      s = ReadOne({api, files, minors_}, last, device, now);
    }
    if (s.ok()) {
      if (!now.is_display) {
        inventory.gpus.push_back(now.gpu);
        handles.push_back(device);
      }
      known_[index] = std::move(now);
    } else if (IsDriverGone(s.error())) {
      return s.error();
    } else {
      inventory.broken.push_back({index, now.gpu.uuid, now.gpu.bus_id, s.error().message});
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
