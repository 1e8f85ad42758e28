// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <utility>

#include "sim/cuda/allocation.h"
#include "sim/cuda/enter.h"
#include "sim/cuda/graph_params.h"

namespace aliquot::sim::cuda {
namespace {

constexpr unsigned kNonBlocking = 1;
constexpr int kGreatestPriority = -5;

CUresult CreateStream(CUstream* out, unsigned flags, int priority) {
  return WithContext([&](Driver&, Context& context) -> CUresult {
    if (out == nullptr || flags > kNonBlocking) return CUDA_ERROR_INVALID_VALUE;
    const auto stream = context.AddStream(flags, std::clamp(priority, kGreatestPriority, 0));
    *out = reinterpret_cast<CUstream>(stream.get());
    return CUDA_SUCCESS;
  });
}

// Compares by CU_STREAM_WAIT_VALUE_*: 0 at least (cyclically), 1 equal, 2 any bit, 3 neither-nor.
template <typename T>
bool Satisfied(CUdeviceptr address, T value, unsigned flags) {
  T now = 0;
  std::memcpy(&now, reinterpret_cast<const void*>(address), sizeof(now));
  switch (flags & 3) {
    case 0:
      return static_cast<std::make_signed_t<T>>(now - value) >= 0;
    case 1:
      return now == value;
    case 2:
      return (now & value) != 0;
    default:
      return static_cast<T>(~(now | value)) != 0;
  }
}

template <typename T>
CUresult WaitValue(CUstream handle, CUdeviceptr address, T value, unsigned flags) {
  return WithStream(
      handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        if (!driver.addresses.Covers(address, sizeof(T)) || address % sizeof(T) != 0) {
          return CUDA_ERROR_INVALID_VALUE;
        }
        Work work;
        work.kind = Operation::Kind::kPoll;
        work.ready = [=] { return Satisfied(address, value, flags); };
        return context.Submit(stream, CU_GRAPH_NODE_TYPE_EMPTY, std::move(work));
      });
}

template <typename T>
CUresult WriteValue(CUstream handle, CUdeviceptr address, T value) {
  return WithStream(
      handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        if (!driver.addresses.Covers(address, sizeof(T)) || address % sizeof(T) != 0) {
          return CUDA_ERROR_INVALID_VALUE;
        }
        Work work;
        work.effect = [=] { std::memcpy(reinterpret_cast<void*>(address), &value, sizeof(value)); };
        return context.Submit(stream, CU_GRAPH_NODE_TYPE_EMPTY, std::move(work));
      });
}

}  // namespace

namespace api {

CUresult cuStreamCreate(CUstream* out, unsigned flags) { return CreateStream(out, flags, 0); }

CUresult cuStreamCreateWithPriority(CUstream* out, unsigned flags, int priority) {
  return CreateStream(out, flags, priority);
}

CUresult cuStreamDestroy_v2(CUstream handle) {
  return WithDriver([&](Driver& driver) -> CUresult {
    const auto context = driver.ContextOfStream(handle);
    if (context == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    return context->RemoveStream(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
  });
}

CUresult cuStreamGetPriority(CUstream handle, int* priority) {
  return WithStream(handle, [&](Driver&, Context&, const std::shared_ptr<Stream>& stream) {
    return Give(priority, stream->priority);
  });
}

CUresult cuStreamGetFlags(CUstream handle, unsigned* flags) {
  return WithStream(handle, [&](Driver&, Context&, const std::shared_ptr<Stream>& stream) {
    return Give(flags, stream->flags);
  });
}

CUresult cuStreamGetId(CUstream handle, unsigned long long* id) {
  return WithStream(handle, [&](Driver&, Context&, const std::shared_ptr<Stream>& stream) {
    return Give<unsigned long long>(id, stream->id);
  });
}

CUresult cuStreamGetDevice(CUstream handle, CUdevice* device) {
  return WithStream(handle, [&](Driver&, Context& context, const std::shared_ptr<Stream>&) {
    return Give(device, context.device);
  });
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext* out) {
  return WithStream(handle, [&](Driver&, Context& context, const std::shared_ptr<Stream>&) {
    return Give(out, reinterpret_cast<CUcontext>(&context));
  });
}

CUresult cuStreamSynchronize(CUstream handle) {
  return WithStream(
      handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        if (Invalidate(driver, *stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        const CUresult safe = stream->legacy ? CheckUnsafeCall(driver) : CUDA_SUCCESS;
        if (safe != CUDA_SUCCESS) return safe;
        context.Wait(context.Pending(*stream));
        driver.SettlePools();
        return CUDA_SUCCESS;
      });
}

CUresult cuStreamQuery(CUstream handle) {
  return WithStream(
      handle,
      [&](Driver& driver, Context& context, const std::shared_ptr<Stream>& stream) -> CUresult {
        if (Invalidate(driver, *stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        return context.Pending(*stream).empty() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
      });
}

CUresult cuStreamCopyAttributes(CUstream to, CUstream from) {
  return WithStream(from, [&](Driver&, Context&, const std::shared_ptr<Stream>&) {
    return WithStream(
        to, [](Driver&, Context&, const std::shared_ptr<Stream>&) { return CUDA_SUCCESS; });
  });
}

CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                unsigned flags) {
  return WaitValue(stream, address, value, flags);
}

CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                unsigned flags) {
  return WaitValue(stream, address, value, flags);
}

CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned) {
  return WriteValue(stream, address, value);
}

CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned) {
  return WriteValue(stream, address, value);
}

}  // namespace api
}  // namespace aliquot::sim::cuda
