// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/allocation.h"

#include "sim/cuda/units.h"

namespace aliquot::sim::cuda {

CUresult AllocateDevice(Driver& driver, Context& context, std::uint64_t bytes, Range::Kind kind,
                        unsigned flags, CUdeviceptr* address) {
  Range range;
  range.kind = kind;
  range.bytes = bytes;
  range.device = context.device;
  range.context = &context;
  range.flags = flags;
  if (bytes <= kSmall) {
    const std::lock_guard<std::mutex> lock(context.heap_mutex);
    const std::optional<Piece> piece = context.small.Allocate(bytes);
    if (!piece) return CUDA_ERROR_OUT_OF_MEMORY;
    range.base = piece->base;
    range.block = piece->block.base;
    range.block_bytes = piece->block.bytes;
    range.offset = piece->block.offset;
  } else {
    const std::optional<DeviceBlock> block =
        AllocateBlock(*driver.node, *driver.arena, context.info, bytes);
    if (!block) return CUDA_ERROR_OUT_OF_MEMORY;
    range.base = block->base;
    range.block = block->base;
    range.block_bytes = block->bytes;
    range.mapped_bytes = block->bytes;
    range.offset = block->offset;
  }
  *address = range.base;
  driver.addresses.Add(std::move(range));
  return CUDA_SUCCESS;
}

CUresult CheckUnsafeCall(Driver& driver) {
  const CUstreamCaptureMode mine = Driver::Thread().capture_mode;
  if (mine == CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_SUCCESS;
  const std::lock_guard<std::mutex> lock(driver.work.mutex);
  bool disturbed = false;
  for (const auto& capture : driver.captures) {
    if (capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
    const bool own = capture->thread == std::this_thread::get_id();
    const bool global =
        capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL && mine == CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (!own && !global) continue;
    capture->invalid = true;
    disturbed = true;
  }
  return disturbed ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

}  // namespace aliquot::sim::cuda
