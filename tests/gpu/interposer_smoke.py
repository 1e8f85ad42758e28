#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Small CUDA programs for tests/gpu/interposer.sh and share.sh; each prints what it found and how
long it took.

What a program can't run (a package is missing) it says, and counts as done.
"""

import ctypes
import importlib
import mmap
import os
import sys
import time

PTX = b"""
.version 7.0
.target sm_70
.address_size 64
.visible .entry add(.param .u64 p) {
  .reg .u64 %rd<3>;
  .reg .u32 %r<3>;
  ld.param.u64 %rd1, [p];
  cvta.to.global.u64 %rd2, %rd1;
  ld.global.u32 %r1, [%rd2];
  add.u32 %r2, %r1, 1;
  st.global.u32 [%rd2], %r2;
  ret;
}
.visible .entry empty() { ret; }
"""


def check(result, what):
    if result != 0:
        sys.exit(f"{what} answers {result}")


def symbols(library, driver):
    """Whether the driver's answers to cuGetProcAddress turn into ours, for every hooked name."""
    ours = ctypes.CDLL(library)
    real = ctypes.CDLL(driver)
    check(ours.cuInit(0), "cuInit")

    def address(lib, name):
        return ctypes.cast(getattr(lib, name), ctypes.c_void_p).value

    names = [line[6:-1] for line in
             open(os.path.join(os.path.dirname(__file__), "../../src/interposer/cuda_symbols.inc"),
                  encoding="ascii").read().split("\n") if line.startswith("ENTRY(")]
    missing = [name for name in names if not hasattr(real, name)]
    print(f"{len(names)} names, not in this driver: {missing}")
    # A hook is what cuGetProcAddress of ours answers with and the driver's does not.
    bases = sorted({name.split("_v")[0].replace("_ptsz", "").replace("_ptds", "")
                    for name in names})
    known = {address(ours, name): name for name in names}
    real_known = {address(real, name): name for name in names if name not in missing}
    hooked, foreign = {}, []
    for base in bases:
        for flags in (0, 1, 2):
            for version in (2000, 3020, 4000, 7000, 11000, 11030, 11070, 12000, 12050, 13000):
                answers = []
                for lib in (ours, real):
                    pointer = ctypes.c_void_p()
                    status = ctypes.c_int()
                    result = lib.cuGetProcAddress_v2(base.encode(), ctypes.byref(pointer), version,
                                                     ctypes.c_uint64(flags), ctypes.byref(status))
                    answers.append((result, status.value, pointer.value))
                if answers[0][:2] != answers[1][:2]:
                    sys.exit(f"{base} {version} {flags}: {answers}")
                if answers[0][2] != answers[1][2]:
                    hooked[known.get(answers[0][2], "?")] = real_known.get(answers[1][2], "?")
                elif answers[1][2] and answers[1][2] not in real_known:
                    foreign.append((base, version, flags))
    wrong = {ours_: real_ for ours_, real_ in hooked.items() if ours_ != real_}
    print(f"{len(hooked)} hooks reached through cuGetProcAddress, wrong: {wrong}")
    print(f"answers that no exported name has: {sorted(set(b for b, _, _ in foreign))[:20]}")
    if wrong:
        sys.exit("a name leads to the hook of another")


def driver():
    cu = ctypes.CDLL("libcuda.so.1")
    check(cu.cuInit(0), "cuInit")
    context = ctypes.c_void_p()
    check(cu.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0), "cuDevicePrimaryCtxRetain")
    check(cu.cuCtxSetCurrent(context), "cuCtxSetCurrent")
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    check(cu.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)), "cuMemGetInfo")
    print(f"free {free.value >> 20} of {total.value >> 20} MiB")
    module, function, empty = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    check(cu.cuModuleLoadData(ctypes.byref(module), PTX), "cuModuleLoadData")
    check(cu.cuModuleGetFunction(ctypes.byref(function), module, b"add"), "add")
    check(cu.cuModuleGetFunction(ctypes.byref(empty), module, b"empty"), "empty")
    pointer = ctypes.c_uint64()
    check(cu.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(64 << 20)), "cuMemAlloc")
    check(cu.cuMemsetD8_v2(pointer, 0, ctypes.c_size_t(4)), "cuMemsetD8")
    parameters = (ctypes.c_void_p * 1)(ctypes.cast(ctypes.byref(pointer), ctypes.c_void_p))
    for _ in range(100):
        check(cu.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, None, parameters, None), "launch")
    word = ctypes.c_uint32()
    check(cu.cuMemcpyDtoH_v2(ctypes.byref(word), pointer, ctypes.c_size_t(4)), "cuMemcpyDtoH")
    print(f"100 launches count {word.value}")
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(20000):
            cu.cuLaunchKernel(empty, 1, 1, 1, 1, 1, 1, 0, None, None, None)
        cu.cuCtxSynchronize()
        best = min(best, time.perf_counter() - start)
    print(f"empty launch {best / 20000 * 1e9:.0f} ns (with ctypes' own time)")
    markers(cu)
    check(cu.cuMemFree_v2(pointer), "cuMemFree")


def markers(cu):
    """Whether the GPU can write into a page of a memory file, and what it costs."""
    size = 20480
    fd = os.memfd_create("page")
    os.ftruncate(fd, size)
    page = mmap.mmap(fd, size)
    words = (ctypes.c_uint64 * (size // 8)).from_buffer(page)
    address = ctypes.c_uint64()
    start = time.perf_counter()
    result = cu.cuMemHostRegister_v2(ctypes.byref(words), ctypes.c_size_t(size), 3)
    took = time.perf_counter() - start
    if result == 0:
        result = cu.cuMemHostGetDevicePointer_v2(ctypes.byref(address), ctypes.byref(words), 0)
    if result != 0:
        print(f"a page can't be registered: {result}")
        return
    print(f"page registered in {took * 1e6:.0f} us")
    best = 1e9
    for round_ in range(5):
        start = time.perf_counter()
        for i in range(1000):
            result = cu.cuStreamWriteValue64_v2(None, address, ctypes.c_uint64(round_ * 1000 + i + 1),
                                                0)
        best = min(best, time.perf_counter() - start)
        check(result, "cuStreamWriteValue64")
    last = ctypes.c_uint64.from_address(ctypes.addressof(words))
    start = time.perf_counter()
    while last.value != 5000 and time.perf_counter() - start < 1:
        pass
    print(f"marker {best / 1000 * 1e9:.0f} ns, last one {last.value} of 5000")
    latencies = []
    for i in range(200):
        start = time.perf_counter()
        cu.cuStreamWriteValue64_v2(None, address, ctypes.c_uint64(10000 + i), 0)
        while last.value != 10000 + i and time.perf_counter() - start < 1:
            pass
        latencies.append(time.perf_counter() - start)
    latencies.sort()
    print(f"marker seen after {latencies[100] * 1e6:.1f} us (median)")
    cu.cuCtxSynchronize()


def torch():
    t = importlib.import_module("torch")
    print(t.__version__, t.cuda.get_device_name(0))
    free, total = t.cuda.mem_get_info()
    print(f"free {free >> 20} of {total >> 20} MiB")
    a = t.randn(2048, 2048, device="cuda", dtype=t.bfloat16)
    print("matmul", bool(t.isfinite(a @ a).all()))
    model = t.nn.Sequential(*[t.nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True)
                              for _ in range(6)]).cuda().bfloat16()
    optimizer = t.optim.AdamW(model.parameters(), foreach=True)
    x = t.randn(16, 256, 512, device="cuda", dtype=t.bfloat16)

    def step():
        optimizer.zero_grad(set_to_none=True)
        model(x).square().mean().backward()
        optimizer.step()

    for _ in range(10):
        step()
    rates = []
    for _ in range(5):
        t.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(30):
            step()
        t.cuda.synchronize()
        rates.append(30 / (time.perf_counter() - start))
    print(f"training {sorted(rates)[2]:.1f} steps/s")
    graph = t.cuda.CUDAGraph()
    y = t.zeros(1024, device="cuda")
    side = t.cuda.Stream()
    with t.cuda.stream(side):
        y.add_(1)
    t.cuda.synchronize()
    with t.cuda.graph(graph):
        for _ in range(20):
            y.add_(1)
    y.zero_()
    for _ in range(1000):
        graph.replay()
    t.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(2000):
        graph.replay()
    t.cuda.synchronize()
    print(f"graph replay {(time.perf_counter() - start) / 2000 * 1e6:.2f} us, sum {y[0].item()}")


def compile():  # pylint: disable=redefined-builtin
    t = importlib.import_module("torch")

    @t.compile
    def f(x):
        return (x.sin() * x.cos() + x).sum()

    x = t.linspace(0, 1, 1 << 20, device="cuda")
    print("torch.compile", round(float(f(x)), 1))
    os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
    t.cuda.memory._set_allocator_settings("expandable_segments:True")
    blocks = [t.empty(1 << 26, device="cuda", dtype=t.uint8) for _ in range(64)]
    del blocks
    t.cuda.empty_cache()
    print("expandable segments", t.cuda.memory_reserved() >> 20, "MiB left")


def cupy():
    c = importlib.import_module("cupy")
    a = c.arange(1 << 20, dtype=c.float32)
    print("cupy", c.__version__, float((a * 2).sum()))


def jax():
    j = importlib.import_module("jax")
    x = j.numpy.ones((1024, 1024))
    print("jax", j.__version__, j.devices()[0].platform, float((x @ x)[0, 0]))


def recover(share_mib):
    """PyTorch in a share: its cache is emptied when the share is full, and work goes on."""
    t = importlib.import_module("torch")
    free, total = t.cuda.mem_get_info()
    print(f"free {free >> 20} of {total >> 20} MiB")
    if total >> 20 != int(share_mib):
        sys.exit(f"the share is {share_mib} MiB")
    blocks = []
    while True:
        try:
            blocks.append(t.empty(256 << 20, device="cuda", dtype=t.uint8))
        except t.OutOfMemoryError:
            break
    print(f"refused after {len(blocks) * 256} MiB, {t.cuda.mem_get_info()[0] >> 20} MiB free")
    del blocks  # stays in the cache in pieces of 256 MiB
    large = t.empty(int(share_mib) * 2 // 3 << 20, device="cuda", dtype=t.uint8)
    print(f"retries {t.cuda.memory_stats()['num_alloc_retries']}, then {large.numel() >> 20} MiB")
    x = t.randn(1024, 1024, device="cuda")
    print("works", bool(t.isfinite(x @ x).all()))


def preallocate(share_mib):
    """JAX takes three quarters of what it takes for the GPU."""
    os.environ.pop("XLA_PYTHON_CLIENT_PREALLOCATE", None)
    j = importlib.import_module("jax")
    x = j.numpy.ones((1024, 1024))
    print("jax", float((x @ x)[0, 0]))
    limit = j.devices()[0].memory_stats()["bytes_limit"] >> 20
    print(f"its pool {limit} of {share_mib} MiB")
    if limit > int(share_mib):
        sys.exit("larger than the share")


def nvml():
    """What NVML tells inside of a share."""
    n = importlib.import_module("pynvml")
    n.nvmlInit()
    device = n.nvmlDeviceGetHandleByIndex(0)
    memory = n.nvmlDeviceGetMemoryInfo(device)
    processes = n.nvmlDeviceGetComputeRunningProcesses(device)
    print(f"{n.nvmlDeviceGetCount()} GPU, {memory.used >> 20} of {memory.total >> 20} MiB used, "
          f"processes {[p.pid for p in processes]}")


def main():
    name, arguments = sys.argv[1], sys.argv[2:]
    try:
        {"symbols": symbols, "driver": driver, "torch": torch, "compile": compile, "cupy": cupy,
         "jax": jax, "recover": recover, "preallocate": preallocate, "nvml": nvml}[name](*arguments)
    except ModuleNotFoundError as error:
        print(f"not here: {error.name}")


main()
