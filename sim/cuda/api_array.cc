// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "sim/cuda/enter.h"
#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {
namespace {

// Bytes of one channel by CU_AD_FORMAT_*; 0 for a format that is not supported.
std::uint64_t ChannelBytes(CUarray_format format) {
  switch (static_cast<unsigned>(format)) {
    case 0x01:
    case 0x08:
      return 1;
    case 0x02:
    case 0x09:
    case 0x10:
      return 2;
    case 0x03:
    case 0x0a:
    case 0x20:
      return 4;
    default:
      return 0;
  }
}

// Fills in how the array lies in memory; false for a description that makes no sense.
bool LayOut(const CUDA_ARRAY3D_DESCRIPTOR& descriptor, Array* array) {
  const std::uint64_t channel = ChannelBytes(descriptor.Format);
  const unsigned channels = descriptor.NumChannels;
  if (descriptor.Width == 0 || channel == 0 || (channels != 1 && channels != 2 && channels != 4)) {
    return false;
  }
  if (descriptor.Width > 131072 || descriptor.Height > 65536 || descriptor.Depth > 16384) {
    return false;
  }
  array->descriptor = descriptor;
  array->pitch = descriptor.Width * channel * channels;
  array->rows = std::max<std::uint64_t>(descriptor.Height, 1);
  array->slices = std::max<std::uint64_t>(descriptor.Depth, 1);
  return true;
}

CUresult Create(CUarray* out, const CUDA_ARRAY3D_DESCRIPTOR& descriptor) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    auto array = std::make_shared<Array>();
    if (out == nullptr || !LayOut(descriptor, array.get())) return CUDA_ERROR_INVALID_VALUE;
    array->context = &context;
    const auto block = AllocateBlock(*driver.node, *driver.arena, context.info, array->bytes());
    if (!block) return CUDA_ERROR_OUT_OF_MEMORY;
    array->block = *block;
    *out = driver.arrays.Add<CUarray>(std::move(array));
    return CUDA_SUCCESS;
  });
}

template <typename Body>
CUresult WithArray(CUarray handle, const Body& body) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto array = driver.arrays.Find(handle);
    return array == nullptr ? CUDA_ERROR_INVALID_HANDLE : body(*array);
  });
}

}  // namespace

namespace api {

CUresult cuArrayCreate_v2(CUarray* out, const CUDA_ARRAY_DESCRIPTOR* flat) {
  if (flat == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Create(out, {flat->Width, flat->Height, 0, flat->Format, flat->NumChannels, 0});
}

CUresult cuArray3DCreate_v2(CUarray* out, const CUDA_ARRAY3D_DESCRIPTOR* descriptor) {
  return descriptor == nullptr ? CUDA_ERROR_INVALID_VALUE : Create(out, *descriptor);
}

CUresult cuArrayDestroy(CUarray handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto array = driver.arrays.Find(handle);
    if (array == nullptr || !array->owns) return CUDA_ERROR_INVALID_HANDLE;
    driver.arrays.Take(handle);
    FreeBlock(*driver.node, *driver.arena, array->context->info, array->block);
    return CUDA_SUCCESS;
  });
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR* out, CUarray handle) {
  return WithArray(handle, [&](Array& array) {
    const CUDA_ARRAY3D_DESCRIPTOR& d = array.descriptor;
    return Give(out, CUDA_ARRAY_DESCRIPTOR{d.Width, d.Height, d.Format, d.NumChannels});
  });
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR* out, CUarray handle) {
  return WithArray(handle, [&](Array& array) { return Give(out, array.descriptor); });
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* out, CUarray handle,
                                      CUdevice) {
  return WithArray(handle, [&](Array& array) {
    return Give(out, CUDA_ARRAY_MEMORY_REQUIREMENTS{array.block.bytes, kBlock, {}});
  });
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray* out, const CUDA_ARRAY3D_DESCRIPTOR* descriptor,
                                unsigned levels) {
  return WithContext([&](Driver& driver, Context& context) -> CUresult {
    if (out == nullptr || descriptor == nullptr || levels == 0 || levels > 20) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    auto mipmap = std::make_shared<MipmappedArray>();
    mipmap->context = &context;
    std::uint64_t bytes = 0;
    CUDA_ARRAY3D_DESCRIPTOR level = *descriptor;
    for (unsigned i = 0; i < levels; ++i) {
      auto array = std::make_shared<Array>();
      if (!LayOut(level, array.get())) return CUDA_ERROR_INVALID_VALUE;
      array->context = &context;
      array->owns = false;
      array->block.base = bytes;  // relative until the memory is there
      bytes += RoundUp(array->bytes(), kAlignment);
      mipmap->levels.push_back(std::move(array));
      level.Width = std::max<size_t>(level.Width / 2, 1);
      if (level.Height > 1) level.Height /= 2;
      if (level.Depth > 1) level.Depth /= 2;
    }
    const auto block = AllocateBlock(*driver.node, *driver.arena, context.info, bytes);
    if (!block) return CUDA_ERROR_OUT_OF_MEMORY;
    mipmap->block = *block;
    for (const auto& array : mipmap->levels) {
      array->block.base += block->base;
      driver.arrays.Add<CUarray>(array);
    }
    *out = driver.mipmaps.Add<CUmipmappedArray>(std::move(mipmap));
    return CUDA_SUCCESS;
  });
}

CUresult cuMipmappedArrayGetLevel(CUarray* out, CUmipmappedArray handle, unsigned level) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto mipmap = driver.mipmaps.Find(handle);
    if (mipmap == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (level >= mipmap->levels.size()) return CUDA_ERROR_INVALID_VALUE;
    return Give(out, reinterpret_cast<CUarray>(mipmap->levels[level].get()));
  });
}

CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* out,
                                               CUmipmappedArray handle, CUdevice) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto mipmap = driver.mipmaps.Find(handle);
    if (mipmap == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    return Give(out, CUDA_ARRAY_MEMORY_REQUIREMENTS{mipmap->block.bytes, kBlock, {}});
  });
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto mipmap = driver.mipmaps.Take(handle);
    if (mipmap == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    for (const auto& level : mipmap->levels) driver.arrays.Take(level.get());
    FreeBlock(*driver.node, *driver.arena, mipmap->context->info, mipmap->block);
    return CUDA_SUCCESS;
  });
}

}  // namespace api
}  // namespace aliquot::sim::cuda
