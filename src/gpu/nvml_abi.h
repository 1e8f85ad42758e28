// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// The part of NVML's binary interface that we use. Names follow our style, layouts and numbers the
// NVML API reference; every size is that of the 64-bit Linux library (x86-64 and aarch64 agree).
// NVML versions a struct by its size and a number, so a size that drifts is refused at run time;
// the assertions below catch it at compile time.
namespace aliquot::gpu::abi {

// nvmlReturn_t. The library may return numbers that are not listed.
enum class Return : int {
  kSuccess = 0,
  kUninitialized = 1,
  kInvalidArgument = 2,
  kNotSupported = 3,
  kNoPermission = 4,
  kNotFound = 6,
  kInsufficientSize = 7,
  kDriverNotLoaded = 9,
  kTimeout = 10,
  kLibraryNotFound = 12,
  kFunctionNotFound = 13,
  kGpuIsLost = 15,
  kResetRequired = 16,
  kLibRmVersionMismatch = 18,
  kInUse = 19,
  kMemory = 20,
  kNoData = 21,
  kInsufficientResources = 23,
  kArgumentVersionMismatch = 25,
  kUnknown = 999,
};

// Opaque handles: each is one pointer and passed as one. Comparable, so that a test or a cache can
// recognise a handle; never dereferenced by us.
struct Device {
  void* handle = nullptr;
  friend bool operator==(const Device&, const Device&) = default;
  friend auto operator<=>(const Device&, const Device&) = default;
};
struct GpuInstance {
  void* handle = nullptr;
};
struct ComputeInstance {
  void* handle = nullptr;
};
struct EventSet {
  void* handle = nullptr;
};

inline constexpr unsigned kUuidBytes = 96;  // NVML_DEVICE_UUID_V2_BUFFER_SIZE
inline constexpr unsigned kNameBytes = 96;  // NVML_DEVICE_NAME_V2_BUFFER_SIZE
inline constexpr unsigned kVersionBytes = 81;
inline constexpr unsigned kMaxNvLinks = 18;            // NVML_NVLINK_MAX_LINKS
inline constexpr unsigned kNoInstanceId = 0xFFFFFFFF;  // of events and processes: none in question

struct PciInfo {
  char bus_id_legacy[16];  // "0000:06:00.0"
  std::uint32_t domain;
  std::uint32_t bus;
  std::uint32_t device;
  std::uint32_t pci_device_id;     // device << 16 | vendor
  std::uint32_t pci_subsystem_id;  // device << 16 | vendor
  char bus_id[32];                 // "00000000:06:00.0"
};
static_assert(sizeof(PciInfo) == 68);

struct Memory {
  std::uint64_t total;
  std::uint64_t free;
  std::uint64_t used;
};
static_assert(sizeof(Memory) == 24);

struct MemoryV2 {
  std::uint32_t version;
  std::uint64_t total;
  std::uint64_t reserved;
  std::uint64_t free;
  std::uint64_t used;
};
static_assert(sizeof(MemoryV2) == 40);

struct DeviceAttributes {
  std::uint32_t multiprocessors;
  std::uint32_t copy_engines;
  std::uint32_t decoders;
  std::uint32_t encoders;
  std::uint32_t jpegs;
  std::uint32_t ofas;
  std::uint32_t gpu_instance_slices;
  std::uint32_t compute_instance_slices;
  std::uint64_t memory_mib;

  friend bool operator==(const DeviceAttributes&, const DeviceAttributes&) = default;
};
static_assert(sizeof(DeviceAttributes) == 40);

struct Placement {
  std::uint32_t start;
  std::uint32_t size;
};
static_assert(sizeof(Placement) == 8);

struct GpuInstanceInfo {
  Device device;
  std::uint32_t id;
  std::uint32_t profile_id;
  Placement placement;
};
static_assert(sizeof(GpuInstanceInfo) == 24);

// Version 1: the version every driver with MIG has, and the fields we need are in it.
struct GpuInstanceProfileInfo {
  std::uint32_t id;
  std::uint32_t is_p2p_supported;
  std::uint32_t slices;
  std::uint32_t instances;
  std::uint32_t multiprocessors;
  std::uint32_t copy_engines;
  std::uint32_t decoders;
  std::uint32_t encoders;
  std::uint32_t jpegs;
  std::uint32_t ofas;
  std::uint64_t memory_mib;
};
static_assert(sizeof(GpuInstanceProfileInfo) == 48);

// Version 1, for the same reason.
struct ComputeInstanceProfileInfo {
  std::uint32_t id;
  std::uint32_t slices;
  std::uint32_t instances;
  std::uint32_t multiprocessors;
  std::uint32_t shared_copy_engines;
  std::uint32_t shared_decoders;
  std::uint32_t shared_encoders;
  std::uint32_t shared_jpegs;
  std::uint32_t shared_ofas;
};
static_assert(sizeof(ComputeInstanceProfileInfo) == 36);

struct ComputeInstanceInfo {  // of nvmlComputeInstanceGetInfo_v2
  Device device;
  GpuInstance gpu_instance;
  std::uint32_t id;
  std::uint32_t profile_id;
  Placement placement;  // in the GPU instance
};
static_assert(sizeof(ComputeInstanceInfo) == 32);

struct ProcessInfo {  // of the _v3 calls
  std::uint32_t pid;
  std::uint64_t used_memory_bytes;
  std::uint32_t gpu_instance_id;      // kNoInstanceId with MIG off
  std::uint32_t compute_instance_id;  // kNoInstanceId with MIG off
};
static_assert(sizeof(ProcessInfo) == 24);

struct ProcessUtilization {
  std::uint32_t pid;
  std::uint64_t time_us;  // since 1970
  std::uint32_t sm_percent;
  std::uint32_t memory_percent;
  std::uint32_t encoder_percent;
  std::uint32_t decoder_percent;
};
static_assert(sizeof(ProcessUtilization) == 32);

inline constexpr unsigned kComputeInstanceProfiles = 9;  // NVML_COMPUTE_INSTANCE_PROFILE_COUNT
inline constexpr unsigned kSharedEngines = 0;  // NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED

struct EventData {
  Device device;
  std::uint64_t type;  // one of kEvent...
  std::uint64_t data;  // the XID, with kEventXidCritical
  std::uint32_t gpu_instance_id;
  std::uint32_t compute_instance_id;
};
static_assert(sizeof(EventData) == 32);

inline constexpr std::uint64_t kEventXidCritical = 0x8;
inline constexpr std::uint64_t kEventMigConfigChange = 0x100;

struct FabricInfo {  // nvmlGpuFabricInfo_t
  unsigned char cluster_uuid[16];
  Return status;  // meaningful once the state is kFabricCompleted
  std::uint32_t clique_id;
  unsigned char state;
};
static_assert(sizeof(FabricInfo) == 28);

struct FabricInfoV2 {  // nvmlGpuFabricInfo_v2_t
  std::uint32_t version;
  unsigned char cluster_uuid[16];
  Return status;
  std::uint32_t clique_id;
  unsigned char state;
  std::uint32_t health_mask;
};
static_assert(sizeof(FabricInfoV2) == 36);

inline constexpr unsigned char kFabricInProgress = 2;
inline constexpr unsigned char kFabricCompleted = 3;

union Value {  // nvmlValue_t
  double as_double;
  std::uint32_t as_u32;
  std::uint64_t as_u64;
};
struct FieldValue {
  std::uint32_t field_id;
  std::uint32_t scope_id;
  std::int64_t timestamp_us;
  std::int64_t latency_us;
  std::int32_t value_type;
  Return status;
  Value value;
};
static_assert(sizeof(FieldValue) == 40);

// Whether the MIG mode changes without a reset of the GPU (an unsigned int, 0 or 1).
inline constexpr std::uint32_t kFieldMigWithoutReset = 184;
// nvmlDeviceGpuRecoveryAction_t, driver 565 and later: what the driver wants done before the GPU
// may be trusted again. 0 is nothing.
inline constexpr std::uint32_t kFieldRecoveryAction = 230;
enum class RecoveryAction : std::uint32_t {
  kNone = 0,
  kGpuReset = 1,
  kNodeReboot = 2,
  kDrainP2p = 3,
  kDrainAndReset = 4,
};

// nvmlGpuTopologyLevel_t.
enum class TopologyLevel : int {
  kInternal = 0,
  kSingle = 10,
  kMultiple = 20,
  kHostBridge = 30,
  kNode = 40,
  kSystem = 50,
};

// The `version` field of a versioned struct.
template <typename T>
constexpr std::uint32_t StructVersion(unsigned number) {
  return static_cast<std::uint32_t>(sizeof(T)) | number << 24;
}
static_assert(StructVersion<MemoryV2>(2) == 0x2000028);
static_assert(StructVersion<FabricInfoV2>(2) == 0x2000024);

}  // namespace aliquot::gpu::abi
