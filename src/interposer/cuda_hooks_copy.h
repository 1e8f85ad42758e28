// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "interposer/cuda_abi.h"
#include "interposer/libc.h"

// The hooks of copies and memsets; see cuda_hooks.h.
ALIQUOT_EXPORT CUresult cuMemcpy(CUdeviceptr, CUdeviceptr, size_t);
ALIQUOT_EXPORT CUresult cuMemcpy_ptds(CUdeviceptr, CUdeviceptr, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyHtoD_v2(CUdeviceptr, const void*, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyHtoD_v2_ptds(CUdeviceptr, const void*, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyDtoH_v2(void*, CUdeviceptr, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyDtoH_v2_ptds(void*, CUdeviceptr, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyDtoD_v2(CUdeviceptr, CUdeviceptr, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyDtoD_v2_ptds(CUdeviceptr, CUdeviceptr, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyPeer(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyPeer_ptds(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext, size_t);
ALIQUOT_EXPORT CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D*);
ALIQUOT_EXPORT CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D*);
ALIQUOT_EXPORT CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D*);
ALIQUOT_EXPORT CUresult cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D*);
ALIQUOT_EXPORT CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D*);
ALIQUOT_EXPORT CUresult cuMemcpy3DPeer_ptds(const CUDA_MEMCPY3D*);
ALIQUOT_EXPORT CUresult cuMemsetD8_v2(CUdeviceptr, unsigned char, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD8_v2_ptds(CUdeviceptr, unsigned char, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD2D8_v2(CUdeviceptr, size_t, unsigned char, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD2D8_v2_ptds(CUdeviceptr, size_t, unsigned char, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD16_v2(CUdeviceptr, unsigned short, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD16_v2_ptds(CUdeviceptr, unsigned short, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD2D16_v2(CUdeviceptr, size_t, unsigned short, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD2D16_v2_ptds(CUdeviceptr, size_t, unsigned short, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD32_v2(CUdeviceptr, unsigned, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD32_v2_ptds(CUdeviceptr, unsigned, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD2D32_v2(CUdeviceptr, size_t, unsigned, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemsetD2D32_v2_ptds(CUdeviceptr, size_t, unsigned, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyAsync(CUdeviceptr, CUdeviceptr, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyAsync_ptsz(CUdeviceptr, CUdeviceptr, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr, const void*, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyHtoDAsync_v2_ptsz(CUdeviceptr, const void*, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyDtoHAsync_v2(void*, CUdeviceptr, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyDtoHAsync_v2_ptsz(void*, CUdeviceptr, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr, CUdeviceptr, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyDtoDAsync_v2_ptsz(CUdeviceptr, CUdeviceptr, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyPeerAsync(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext, size_t,
                                          CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyPeerAsync_ptsz(CUdeviceptr, CUcontext, CUdeviceptr, CUcontext,
                                               size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D*, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy2DAsync_v2_ptsz(const CUDA_MEMCPY2D*, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D*, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DAsync_v2_ptsz(const CUDA_MEMCPY3D*, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D*, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DPeerAsync_ptsz(const CUDA_MEMCPY3D*, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyWithAttributesAsync(CUdeviceptr, CUdeviceptr, size_t, void*,
                                                    CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyWithAttributesAsync_ptsz(CUdeviceptr, CUdeviceptr, size_t, void*,
                                                         CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DWithAttributesAsync(CUDA_MEMCPY3D_BATCH_OP*, unsigned long long,
                                                      CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DWithAttributesAsync_ptsz(CUDA_MEMCPY3D_BATCH_OP*,
                                                           unsigned long long, CUstream);
ALIQUOT_EXPORT CUresult cuFabricCpyBatchAsync(size_t, CUDA_FABRIC_COPY_BATCH_OP*,
                                              unsigned long long, CUstream);
ALIQUOT_EXPORT CUresult cuFabricCpyBatchAsync_ptsz(size_t, CUDA_FABRIC_COPY_BATCH_OP*,
                                                   unsigned long long, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyBatchAsync(CUdeviceptr*, CUdeviceptr*, size_t*, size_t, void*,
                                           size_t*, size_t, size_t*, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyBatchAsync_ptsz(CUdeviceptr*, CUdeviceptr*, size_t*, size_t, void*,
                                                size_t*, size_t, size_t*, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyBatchAsync_v2(CUdeviceptr*, CUdeviceptr*, size_t*, size_t, void*,
                                              size_t*, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyBatchAsync_v2_ptsz(CUdeviceptr*, CUdeviceptr*, size_t*, size_t,
                                                   void*, size_t*, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DBatchAsync(size_t, CUDA_MEMCPY3D_BATCH_OP*, size_t*,
                                             unsigned long long, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DBatchAsync_ptsz(size_t, CUDA_MEMCPY3D_BATCH_OP*, size_t*,
                                                  unsigned long long, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DBatchAsync_v2(size_t, CUDA_MEMCPY3D_BATCH_OP*, unsigned long long,
                                                CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy3DBatchAsync_v2_ptsz(size_t, CUDA_MEMCPY3D_BATCH_OP*,
                                                     unsigned long long, CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD8Async(CUdeviceptr, unsigned char, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD8Async_ptsz(CUdeviceptr, unsigned char, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD2D8Async(CUdeviceptr, size_t, unsigned char, size_t, size_t,
                                          CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD2D8Async_ptsz(CUdeviceptr, size_t, unsigned char, size_t, size_t,
                                               CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD16Async(CUdeviceptr, unsigned short, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD16Async_ptsz(CUdeviceptr, unsigned short, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD2D16Async(CUdeviceptr, size_t, unsigned short, size_t, size_t,
                                           CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD2D16Async_ptsz(CUdeviceptr, size_t, unsigned short, size_t, size_t,
                                                CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD32Async(CUdeviceptr, unsigned, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD32Async_ptsz(CUdeviceptr, unsigned, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD2D32Async(CUdeviceptr, size_t, unsigned, size_t, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemsetD2D32Async_ptsz(CUdeviceptr, size_t, unsigned, size_t, size_t,
                                                CUstream);
ALIQUOT_EXPORT CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D*);
ALIQUOT_EXPORT CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D*);
ALIQUOT_EXPORT CUresult cuMemcpyDtoA_v2(CUarray, size_t, CUdeviceptr, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyDtoA_v2_ptds(CUarray, size_t, CUdeviceptr, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyAtoD_v2(CUdeviceptr, CUarray, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyAtoD_v2_ptds(CUdeviceptr, CUarray, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyAtoA_v2(CUarray, size_t, CUarray, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyAtoA_v2_ptds(CUarray, size_t, CUarray, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyHtoA_v2(CUarray, size_t, const void*, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyHtoA_v2_ptds(CUarray, size_t, const void*, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyAtoH_v2(void*, CUarray, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyAtoH_v2_ptds(void*, CUarray, size_t, size_t);
ALIQUOT_EXPORT CUresult cuMemcpyHtoAAsync_v2(CUarray, size_t, const void*, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyHtoAAsync_v2_ptsz(CUarray, size_t, const void*, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyAtoHAsync_v2(void*, CUarray, size_t, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemcpyAtoHAsync_v2_ptsz(void*, CUarray, size_t, size_t, CUstream);
ALIQUOT_EXPORT CUresult cuMemBatchDecompressAsync(CUmemDecompressParams*, size_t, unsigned, size_t*,
                                                  CUstream);
ALIQUOT_EXPORT CUresult cuMemBatchDecompressAsync_ptsz(CUmemDecompressParams*, size_t, unsigned,
                                                       size_t*, CUstream);
