// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// The binary interface of NVML 13 as far as the simulation speaks it: numbers and memory layouts,
// written down from the NVML API reference. src/gpu has its own copy on purpose: the simulation and
// its main client check each other.
namespace aliquot::sim::abi {

// nvmlReturn_t; `int` across the boundary.
enum Return : int {
  kSuccess = 0,
  kUninitialized = 1,
  kInvalidArgument = 2,
  kNotSupported = 3,
  kNoPermission = 4,
  kNotFound = 6,
  kInsufficientSize = 7,
  kDriverNotLoaded = 9,
  kTimeout = 10,
  kFunctionNotFound = 13,
  kGpuIsLost = 15,
  kResetRequired = 16,
  kLibRmVersionMismatch = 18,
  kInUse = 19,
  kMemory = 20,
  kInsufficientResources = 23,
  kArgumentVersionMismatch = 25,
  kUnknown = 999,
};

// All handles are one pointer wide and opaque to the caller.
using Device = struct DeviceHandle*;
using GpuInstance = struct GpuInstanceHandle*;
using ComputeInstance = struct ComputeInstanceHandle*;
using EventSet = struct EventSetHandle*;
using GpmSample = struct GpmSampleHandle*;

// The version word that callers put first into versioned structs.
template <typename T>
constexpr unsigned StructVersion(unsigned version) {
  return static_cast<unsigned>(sizeof(T)) | version << 24;
}

inline constexpr unsigned kNoInstance = 0xFFFFFFFF;  // GI or CI id of "not attributable"

struct PciInfo {
  char bus_id_legacy[16];
  unsigned domain;
  unsigned bus;
  unsigned device;
  unsigned pci_device_id;
  unsigned pci_subsystem_id;
  char bus_id[32];
};
static_assert(sizeof(PciInfo) == 68);
// What callers of the first two versions of nvmlDeviceGetPciInfo have room for and expect filled.
inline constexpr std::size_t kPciInfoV1Bytes = offsetof(PciInfo, pci_subsystem_id);
inline constexpr std::size_t kPciInfoV2Bytes = offsetof(PciInfo, bus_id);

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
static_assert(sizeof(Memory) == 24);

struct MemoryV2 {
  unsigned version;
  unsigned long long total;
  unsigned long long reserved;
  unsigned long long free;
  unsigned long long used;
};
static_assert(sizeof(MemoryV2) == 40);

struct Bar1Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
static_assert(sizeof(Bar1Memory) == 24);

struct Utilization {
  unsigned gpu;
  unsigned memory;
};
static_assert(sizeof(Utilization) == 8);

struct ProcessInfoV1 {
  unsigned pid;
  unsigned long long used_gpu_memory;
};
static_assert(sizeof(ProcessInfoV1) == 16);

struct ProcessInfo {
  unsigned pid;
  unsigned long long used_gpu_memory;
  unsigned gpu_instance_id;
  unsigned compute_instance_id;
};
static_assert(sizeof(ProcessInfo) == 24);

struct DeviceAttributes {
  unsigned multiprocessor_count;
  unsigned shared_copy_engine_count;
  unsigned shared_decoder_count;
  unsigned shared_encoder_count;
  unsigned shared_jpeg_count;
  unsigned shared_ofa_count;
  unsigned gpu_instance_slice_count;
  unsigned compute_instance_slice_count;
  unsigned long long memory_size_mb;
};
static_assert(sizeof(DeviceAttributes) == 40);

struct Placement {
  unsigned start;
  unsigned size;
};
static_assert(sizeof(Placement) == 8);

struct GpuInstanceInfo {
  Device device;
  unsigned id;
  unsigned profile_id;
  Placement placement;
};
static_assert(sizeof(GpuInstanceInfo) == 24);

struct ComputeInstanceInfo {
  Device device;
  GpuInstance gpu_instance;
  unsigned id;
  unsigned profile_id;
  Placement placement;
};
static_assert(sizeof(ComputeInstanceInfo) == 32);
inline constexpr std::size_t kComputeInstanceInfoV1Bytes = offsetof(ComputeInstanceInfo, placement);

struct GpuInstanceProfileInfo {
  unsigned id;
  unsigned is_p2p_supported;
  unsigned slice_count;
  unsigned instance_count;
  unsigned multiprocessor_count;
  unsigned copy_engine_count;
  unsigned decoder_count;
  unsigned encoder_count;
  unsigned jpeg_count;
  unsigned ofa_count;
  unsigned long long memory_size_mb;
};
static_assert(sizeof(GpuInstanceProfileInfo) == 48);

struct GpuInstanceProfileInfoV2 {
  unsigned version;
  unsigned id;
  unsigned is_p2p_supported;
  unsigned slice_count;
  unsigned instance_count;
  unsigned multiprocessor_count;
  unsigned copy_engine_count;
  unsigned decoder_count;
  unsigned encoder_count;
  unsigned jpeg_count;
  unsigned ofa_count;
  unsigned long long memory_size_mb;
  char name[96];
};
static_assert(sizeof(GpuInstanceProfileInfoV2) == 152);

struct GpuInstanceProfileInfoV3 {
  unsigned version;
  unsigned id;
  unsigned slice_count;
  unsigned instance_count;
  unsigned multiprocessor_count;
  unsigned copy_engine_count;
  unsigned decoder_count;
  unsigned encoder_count;
  unsigned jpeg_count;
  unsigned ofa_count;
  unsigned long long memory_size_mb;
  char name[96];
  unsigned capabilities;  // bit 0: P2P, bit 1: graphics
};
static_assert(sizeof(GpuInstanceProfileInfoV3) == 152);

struct ComputeInstanceProfileInfo {
  unsigned id;
  unsigned slice_count;
  unsigned instance_count;
  unsigned multiprocessor_count;
  unsigned shared_copy_engine_count;
  unsigned shared_decoder_count;
  unsigned shared_encoder_count;
  unsigned shared_jpeg_count;
  unsigned shared_ofa_count;
};
static_assert(sizeof(ComputeInstanceProfileInfo) == 36);

struct ComputeInstanceProfileInfoV2 {
  unsigned version;
  ComputeInstanceProfileInfo info;
  char name[96];
};
static_assert(sizeof(ComputeInstanceProfileInfoV2) == 136);

struct ComputeInstanceProfileInfoV3 {
  unsigned version;
  ComputeInstanceProfileInfo info;
  char name[96];
  unsigned capabilities;  // bit 0: graphics
};
static_assert(sizeof(ComputeInstanceProfileInfoV3) == 140);

struct EventDataV1 {
  Device device;
  unsigned long long event_type;
  unsigned long long event_data;
};
static_assert(sizeof(EventDataV1) == 24);

struct EventData {
  Device device;
  unsigned long long event_type;
  unsigned long long event_data;
  unsigned gpu_instance_id;
  unsigned compute_instance_id;
};
static_assert(sizeof(EventData) == 32);

struct TemperatureV1 {
  unsigned version;
  unsigned sensor;
  int temperature;
};
static_assert(sizeof(TemperatureV1) == 12);

struct AddressingModeV1 {
  unsigned version;
  unsigned value;
};
static_assert(sizeof(AddressingModeV1) == 8);

union Value {
  double d;
  int si;
  unsigned ui;
  unsigned long ul;
  unsigned long long ull;
  long long sll;
  unsigned short us;
};
struct FieldValue {
  unsigned field_id;
  unsigned scope_id;
  long long timestamp;  // microseconds since 1970
  long long latency_usec;
  unsigned value_type;  // see kValue*
  int nvml_return;
  Value value;
};
static_assert(sizeof(FieldValue) == 40);
inline constexpr unsigned kValueUnsignedInt = 1;
inline constexpr unsigned kValueUnsignedLongLong = 3;

struct ViolationTime {
  unsigned long long reference_time;
  unsigned long long violation_time;
};
static_assert(sizeof(ViolationTime) == 16);

struct FabricInfo {
  unsigned char cluster_uuid[16];
  int status;
  unsigned clique_id;
  unsigned char state;
};
static_assert(sizeof(FabricInfo) == 28);
struct FabricInfoV2 {
  unsigned version;
  unsigned char cluster_uuid[16];
  int status;
  unsigned clique_id;
  unsigned char state;
  unsigned health_mask;
};
static_assert(sizeof(FabricInfoV2) == 36);
struct FabricInfoV3 {
  unsigned version;
  unsigned char cluster_uuid[16];
  int status;
  unsigned clique_id;
  unsigned char state;
  unsigned health_mask;
  unsigned char health_summary;
};
static_assert(sizeof(FabricInfoV3) == 40);

struct GpmSupport {
  unsigned version;
  unsigned is_supported_device;
};
static_assert(sizeof(GpmSupport) == 8);

// Buffer sizes the API promises to be enough.
inline constexpr unsigned kUuidBufferBytes = 80;
inline constexpr unsigned kVersionBufferBytes = 80;

inline constexpr unsigned kTopologyMultiple = 20;
inline constexpr unsigned kTopologyNode = 40;
inline constexpr unsigned kTopologySystem = 50;

inline constexpr unsigned kNvLinkRemoteGpu = 0;
inline constexpr unsigned kNvLinkRemoteSwitch = 2;

inline constexpr unsigned long long kEventSingleBitEcc = 0x1;
inline constexpr unsigned long long kEventDoubleBitEcc = 0x2;
inline constexpr unsigned long long kEventXidCritical = 0x8;
inline constexpr unsigned long long kEventMigConfigChange = 0x100;
// What an H200 with driver 580 reports as supported.
inline constexpr unsigned long long kEventsSupported = 0xFF9F;
inline constexpr unsigned long long kEventsAccepted = 0xFFFF;

// nvmlDeviceGetGpuInstanceProfileInfo refuses indices from here on (driver 580).
inline constexpr unsigned kGpuInstanceProfileCount = 17;
inline constexpr unsigned kComputeInstanceProfileCount = 9;

}  // namespace aliquot::sim::abi
