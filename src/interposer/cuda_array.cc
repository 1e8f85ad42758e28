// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Arrays and mipmapped arrays. The driver tells what one takes only when it exists: an estimate is
// reserved, and settled afterwards. Without an agent: as linear memory.

#include "interposer/cuda_charge.h"
#include "interposer/cuda_device.h"
#include "interposer/cuda_hooks.h"
#include "interposer/real.h"

namespace aliquot::interposer {
namespace {

constexpr uint64_t kGranularity = 64u << 10;

// Bytes of one element's channel. Compressed formats are below one byte; this is an upper bound.
uint64_t ChannelBytes(unsigned format) {
  switch (format) {
    case 0x01:  // 8-bit integers
    case 0x08:
      return 1;
    case 0x02:  // 16 bits
    case 0x09:
    case 0x10:
      return 2;
    case 0x03:  // 32 bits
    case 0x0a:
    case 0x20:
      return 4;
    default:
      return 4;
  }
}

uint64_t Product(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX / 4 : product;
}

// An extent of 0 means that the array has fewer dimensions.
uint64_t Estimate(uint64_t width, uint64_t height, uint64_t depth, unsigned format,
                  unsigned channels) {
  const uint64_t elements =
      Product(Product(width, Max(height, uint64_t{1})), Max(depth, uint64_t{1}));
  const uint64_t bytes = Product(elements, ChannelBytes(format) * Max(channels, 1u));
  return (Min(bytes, UINT64_MAX / 4) + kGranularity - 1) / kGranularity * kGranularity;
}

template <typename Size>
uint64_t Estimate(const ArrayDescriptor<Size>* d) {
  return d == nullptr ? 0 : Estimate(d->Width, d->Height, 0, d->Format, d->NumChannels);
}

// Sparse and deferred arrays get their memory by cuMemMapArrayAsync.
template <typename Size>
uint64_t Estimate(const Array3DDescriptor<Size>* d) {
  if (d == nullptr || (d->Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING)) != 0) {
    return 0;
  }
  return Estimate(d->Width, d->Height, d->Depth, d->Format, d->NumChannels);
}

// Each level has half of the one before in every dimension that it has; layers and faces are none.
uint64_t EstimateLevels(const CUDA_ARRAY3D_DESCRIPTOR* descriptor, unsigned levels) {
  if (descriptor == nullptr) return 0;
  constexpr unsigned kMostLevels = 32;
  const bool layers = (descriptor->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)) != 0;
  CUDA_ARRAY3D_DESCRIPTOR level = *descriptor;
  uint64_t sum = 0;
  for (unsigned i = 0; i < Min(levels, kMostLevels); ++i) {
    sum = Min(sum + Estimate(&level), UINT64_MAX / 4);
    level.Width = Max(level.Width / 2, size_t{1});
    if (level.Height > 1) level.Height /= 2;
    if (level.Depth > 1 && !layers) level.Depth /= 2;
  }
  return sum;
}

using Requirements = CUDA_ARRAY_MEMORY_REQUIREMENTS;
constinit Real<CUresult(Requirements*, CUarray, CUdevice)> real_array_requirements(
    "cuArrayGetMemoryRequirements");
constinit Real<CUresult(Requirements*, CUmipmappedArray, CUdevice)> real_mipmap_requirements(
    "cuMipmappedArrayGetMemoryRequirements");

CUresult Ask(Requirements* requirements, CUarray array) {
  return real_array_requirements(requirements, array, CurrentDevice());
}
CUresult Ask(Requirements* requirements, CUmipmappedArray array) {
  return real_mipmap_requirements(requirements, array, CurrentDevice());
}

template <typename Handle, typename Create>
CUresult Array(Handle* handle, uint64_t expected, Create create) {
  const int gpu = CurrentGpu();
  const CUresult result = WithReserved(gpu, expected, ALIQUOT_KIND_ARRAY, create);
  if (result != CUDA_SUCCESS || gpu < 0) return result;
  Requirements requirements = {};
  uint64_t taken = expected;
  // Some drivers tell it only of deferred arrays; then the estimate stands.
  if (expected != 0 && Ask(&requirements, *handle) == CUDA_SUCCESS && requirements.size != 0) {
    taken = requirements.size;
  }
  Settle(gpu, expected, taken, ALIQUOT_KIND_ARRAY);
  Remember(reinterpret_cast<uint64_t>(*handle), gpu, taken, ALIQUOT_KIND_ARRAY);
  return result;
}

}  // namespace
}  // namespace aliquot::interposer

using namespace aliquot::interposer;

CUresult cuArrayCreate(CUarray* array, const CUDA_ARRAY_DESCRIPTOR_v1* descriptor) {
  static constinit Real<decltype(cuArrayCreate)> real("cuArrayCreate");
  return Array(array, Estimate(descriptor), [&] { return real(array, descriptor); });
}

CUresult cuArrayCreate_v2(CUarray* array, const CUDA_ARRAY_DESCRIPTOR* descriptor) {
  static constinit Real<decltype(cuArrayCreate_v2)> real("cuArrayCreate_v2");
  return Array(array, Estimate(descriptor), [&] { return real(array, descriptor); });
}

CUresult cuArray3DCreate(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR_v1* descriptor) {
  static constinit Real<decltype(cuArray3DCreate)> real("cuArray3DCreate");
  return Array(array, Estimate(descriptor), [&] { return real(array, descriptor); });
}

CUresult cuArray3DCreate_v2(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* descriptor) {
  static constinit Real<decltype(cuArray3DCreate_v2)> real("cuArray3DCreate_v2");
  return Array(array, Estimate(descriptor), [&] { return real(array, descriptor); });
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray* array, const CUDA_ARRAY3D_DESCRIPTOR* descriptor,
                                unsigned levels) {
  static constinit Real<decltype(cuMipmappedArrayCreate)> real("cuMipmappedArrayCreate");
  return Array(array, EstimateLevels(descriptor, levels),
               [&] { return real(array, descriptor, levels); });
}

CUresult cuArrayDestroy(CUarray array) {
  static constinit Real<decltype(cuArrayDestroy)> real("cuArrayDestroy");
  return Forgetting(ContextBlocks(), reinterpret_cast<uint64_t>(array),
                    [&] { return real(array); });
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray array) {
  static constinit Real<decltype(cuMipmappedArrayDestroy)> real("cuMipmappedArrayDestroy");
  return Forgetting(ContextBlocks(), reinterpret_cast<uint64_t>(array),
                    [&] { return real(array); });
}
