// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Memsets; see large.h. Without an agent: as kernels.

#include "interposer/cuda_hooks_copy.h"
#include "interposer/large.h"
#include "interposer/real.h"

using namespace aliquot::interposer;

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  static constinit Real<decltype(cuMemsetD8_v2)> real("cuMemsetD8_v2");
  return Large(count, kDevice, nullptr, [&] { return real(to, value, count); });
}

CUresult cuMemsetD8_v2_ptds(CUdeviceptr to, unsigned char value, size_t count) {
  static constinit Real<decltype(cuMemsetD8_v2_ptds)> real("cuMemsetD8_v2_ptds");
  return Large(count, kDevice, PerThreadStream(), [&] { return real(to, value, count); });
}

CUresult cuMemsetD2D8_v2(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                         size_t height) {
  static constinit Real<decltype(cuMemsetD2D8_v2)> real("cuMemsetD2D8_v2");
  return Large(width * height, kDevice, nullptr,
               [&] { return real(to, pitch, value, width, height); });
}

CUresult cuMemsetD2D8_v2_ptds(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                              size_t height) {
  static constinit Real<decltype(cuMemsetD2D8_v2_ptds)> real("cuMemsetD2D8_v2_ptds");
  return Large(width * height, kDevice, PerThreadStream(),
               [&] { return real(to, pitch, value, width, height); });
}

CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  static constinit Real<decltype(cuMemsetD16_v2)> real("cuMemsetD16_v2");
  return Large(count * 2, kDevice, nullptr, [&] { return real(to, value, count); });
}

CUresult cuMemsetD16_v2_ptds(CUdeviceptr to, unsigned short value, size_t count) {
  static constinit Real<decltype(cuMemsetD16_v2_ptds)> real("cuMemsetD16_v2_ptds");
  return Large(count * 2, kDevice, PerThreadStream(), [&] { return real(to, value, count); });
}

CUresult cuMemsetD2D16_v2(CUdeviceptr to, size_t pitch, unsigned short value, size_t width,
                          size_t height) {
  static constinit Real<decltype(cuMemsetD2D16_v2)> real("cuMemsetD2D16_v2");
  return Large(width * height * 2, kDevice, nullptr,
               [&] { return real(to, pitch, value, width, height); });
}

CUresult cuMemsetD2D16_v2_ptds(CUdeviceptr to, size_t pitch, unsigned short value, size_t width,
                               size_t height) {
  static constinit Real<decltype(cuMemsetD2D16_v2_ptds)> real("cuMemsetD2D16_v2_ptds");
  return Large(width * height * 2, kDevice, PerThreadStream(),
               [&] { return real(to, pitch, value, width, height); });
}

CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  static constinit Real<decltype(cuMemsetD32_v2)> real("cuMemsetD32_v2");
  return Large(count * 4, kDevice, nullptr, [&] { return real(to, value, count); });
}

CUresult cuMemsetD32_v2_ptds(CUdeviceptr to, unsigned value, size_t count) {
  static constinit Real<decltype(cuMemsetD32_v2_ptds)> real("cuMemsetD32_v2_ptds");
  return Large(count * 4, kDevice, PerThreadStream(), [&] { return real(to, value, count); });
}

CUresult cuMemsetD2D32_v2(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                          size_t height) {
  static constinit Real<decltype(cuMemsetD2D32_v2)> real("cuMemsetD2D32_v2");
  return Large(width * height * 4, kDevice, nullptr,
               [&] { return real(to, pitch, value, width, height); });
}

CUresult cuMemsetD2D32_v2_ptds(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                               size_t height) {
  static constinit Real<decltype(cuMemsetD2D32_v2_ptds)> real("cuMemsetD2D32_v2_ptds");
  return Large(width * height * 4, kDevice, PerThreadStream(),
               [&] { return real(to, pitch, value, width, height); });
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  static constinit Real<decltype(cuMemsetD8Async)> real("cuMemsetD8Async");
  return Large(count, kDevice, stream, [&] { return real(to, value, count, stream); });
}

CUresult cuMemsetD8Async_ptsz(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  static constinit Real<decltype(cuMemsetD8Async_ptsz)> real("cuMemsetD8Async_ptsz");
  return Large(count, kDevice, PerThread(stream), [&] { return real(to, value, count, stream); });
}

CUresult cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                           size_t height, CUstream stream) {
  static constinit Real<decltype(cuMemsetD2D8Async)> real("cuMemsetD2D8Async");
  return Large(width * height, kDevice, stream,
               [&] { return real(to, pitch, value, width, height, stream); });
}

CUresult cuMemsetD2D8Async_ptsz(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                                size_t height, CUstream stream) {
  static constinit Real<decltype(cuMemsetD2D8Async_ptsz)> real("cuMemsetD2D8Async_ptsz");
  return Large(width * height, kDevice, PerThread(stream),
               [&] { return real(to, pitch, value, width, height, stream); });
}

CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
  static constinit Real<decltype(cuMemsetD16Async)> real("cuMemsetD16Async");
  return Large(count * 2, kDevice, stream, [&] { return real(to, value, count, stream); });
}

CUresult cuMemsetD16Async_ptsz(CUdeviceptr to, unsigned short value, size_t count,
                               CUstream stream) {
  static constinit Real<decltype(cuMemsetD16Async_ptsz)> real("cuMemsetD16Async_ptsz");
  return Large(count * 2, kDevice, PerThread(stream),
               [&] { return real(to, value, count, stream); });
}

CUresult cuMemsetD2D16Async(CUdeviceptr to, size_t pitch, unsigned short value, size_t width,
                            size_t height, CUstream stream) {
  static constinit Real<decltype(cuMemsetD2D16Async)> real("cuMemsetD2D16Async");
  return Large(width * height * 2, kDevice, stream,
               [&] { return real(to, pitch, value, width, height, stream); });
}

CUresult cuMemsetD2D16Async_ptsz(CUdeviceptr to, size_t pitch, unsigned short value, size_t width,
                                 size_t height, CUstream stream) {
  static constinit Real<decltype(cuMemsetD2D16Async_ptsz)> real("cuMemsetD2D16Async_ptsz");
  return Large(width * height * 2, kDevice, PerThread(stream),
               [&] { return real(to, pitch, value, width, height, stream); });
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  static constinit Real<decltype(cuMemsetD32Async)> real("cuMemsetD32Async");
  return Large(count * 4, kDevice, stream, [&] { return real(to, value, count, stream); });
}

CUresult cuMemsetD32Async_ptsz(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  static constinit Real<decltype(cuMemsetD32Async_ptsz)> real("cuMemsetD32Async_ptsz");
  return Large(count * 4, kDevice, PerThread(stream),
               [&] { return real(to, value, count, stream); });
}

CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                            size_t height, CUstream stream) {
  static constinit Real<decltype(cuMemsetD2D32Async)> real("cuMemsetD2D32Async");
  return Large(width * height * 4, kDevice, stream,
               [&] { return real(to, pitch, value, width, height, stream); });
}

CUresult cuMemsetD2D32Async_ptsz(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                                 size_t height, CUstream stream) {
  static constinit Real<decltype(cuMemsetD2D32Async_ptsz)> real("cuMemsetD2D32Async_ptsz");
  return Large(width * height * 4, kDevice, PerThread(stream),
               [&] { return real(to, pitch, value, width, height, stream); });
}
