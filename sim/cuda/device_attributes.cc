// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/device_attributes.h"

#include <algorithm>
#include <array>

namespace aliquot::sim::cuda {
namespace {

// What an H200 with driver 580 (CUDA 13.0) answers, by attribute number, ten to a line. Features
// that the simulation does not have are 0 here: GPUDirect and DMA-BUF, sparse arrays, exportable
// pools, IPC events, fabric handles, multicast, host-located virtual memory.
constexpr std::array<int, 148> kH200 = {
    0,         1024,       1024,    1024,    64,    2147483647, 65535,   65535,
    49152,     65536,  // 0
    32,        2147483647, 65536,   1980000, 512,   1,          132,     0,
    0,         1,  // 10
    0,         131072,     131072,  65536,   16384, 16384,      16384,   32768,
    32768,     2048,  // 20
    512,       1,          1,       0,       6,     0,          3201000, 6016,
    62914560,  2048,  // 30
    3,         1,          32768,   2048,    1,     32768,      32768,   8192,
    8192,      32768,  // 40
    0,         32,         32768,   32768,   2046,  32768,      131072,  65536,
    16384,     16384,  // 50
    16384,     32768,      2048,    32768,   32768, 2048,       32768,   32768,
    2046,      268435456,  // 60
    131072,    65000,      2097120, 32768,   32768, 9,          0,       32768,
    1,         1,  // 70
    1,         233472,     65536,   1,       0,     0,          0,       2,
    0,         1,  // 80
    1,         1,          0,       0,       0,     1,          1,       232448,
    0,         1,  // 90
    0,         0,          1,       1,       0,     0,          32,      1,
    39321600,  134217728,  // 100
    0,         1024,       0,       1,       1,     1,          0,       1,
    100,       0,  // 110
    1,         1,          1,       1,       0,     0,          4,       1,
    0,         1,  // 120
    0,         -1,         0,       0,       0,     0,          0,       0,
    0,         590680286,                                                    // 130
    415174878, 0,          0,       0,       0,     0,          0,       0,  // 140
};

struct Architecture {
  int threads_per_sm, blocks_per_sm, shared_per_sm, shared_opt_in, l2_bytes;
};

// Per compute capability, from the tables of the CUDA programming guide; sizes of the second level
// cache from the data sheets.
Architecture ArchitectureOf(const Product& product) {
  const unsigned capability = product.compute_major * 10 + product.compute_minor;
  if (capability >= 120) return {1536, 24, 102400, 101376, 134217728};
  if (capability >= 100) return {2048, 32, 233472, 232448, 132644864};
  if (capability >= 90) return {2048, 32, 233472, 232448, 62914560};
  if (capability == 80) return {2048, 32, 167936, 166912, 41943040};
  if (capability == 86) return {1536, 16, 102400, 101376, 6291456};
  if (capability == 89) return {1536, 24, 102400, 101376, 50331648};
  return {1024, 16, 65536, 65536, 4194304};
}

}  // namespace

std::optional<int> DeviceAttribute(const DeviceInfo& device, int attribute) {
  if (attribute < 1 || attribute >= static_cast<int>(kH200.size())) return std::nullopt;
  const Product& product = *device.gpu->product;
  const Architecture architecture = ArchitectureOf(product);
  const bool mig = device.engine.gi != 0xFFFFFFFF;
  const auto number = [](auto value) { return static_cast<int>(value); };
  switch (attribute) {
    case 13:
      return number(product.graphics_clock_mhz * 1000);  // CLOCK_RATE, kHz
    case 16:
      return number(device.multiprocessors);  // MULTIPROCESSOR_COUNT
    case 32:
      return product.ecc ? 1 : 0;  // ECC_ENABLED
    case 33:
      return number(device.gpu->pci_bus);  // PCI_BUS_ID
    case 34:
      return number(device.gpu->pci_device);  // PCI_DEVICE_ID
    case 36:
      return number(product.memory_clock_mhz * 1000);  // MEMORY_CLOCK_RATE, kHz
    case 37:
      return number(product.memory_bus_width);  // GLOBAL_MEMORY_BUS_WIDTH
    case 38:
      return architecture.l2_bytes;  // L2_CACHE_SIZE
    case 39:
      return architecture.threads_per_sm;  // MAX_THREADS_PER_MULTIPROCESSOR
    case 50:
      return number(device.gpu->pci_domain);  // PCI_DOMAIN_ID
    case 75:
      return number(product.compute_major);
    case 76:
      return number(product.compute_minor);
    case 81:
      return architecture.shared_per_sm;
    case 97:
      return architecture.shared_opt_in;
    case 106:
      return architecture.blocks_per_sm;
    case 108:
      return mig || product.compute_major < 8 ? 0 : architecture.l2_bytes / 8 * 5;
    case 120:
      return product.compute_major >= 9 ? 1 : 0;  // CLUSTER_LAUNCH
    case 127:
      return product.compute_major >= 9 ? 1 : 0;  // TENSOR_MAP_ACCESS_SUPPORTED
    case 139:
      return number(product.pci_device_id);
    case 140:
      return number(product.pci_subsystem_id);
    default:
      return kH200[static_cast<std::size_t>(attribute)];
  }
}

}  // namespace aliquot::sim::cuda
