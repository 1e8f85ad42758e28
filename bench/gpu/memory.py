#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Holds the memory limit of one tenant against what NVML says from outside.

    bench/gpu/memory.py --aliquot out/bin/aliquot --interposer out/lib/libaliquot-cuda.so

For each way to allocate, processes of a tenant with --limit-gib take 64 MiB pieces at once until
each was refused; meanwhile the sum of NVML's figures for them is watched. Then programs with kernels
and allocations under way are killed with SIGKILL beside a process of the same tenant, which asks for
the whole limit at once, and beside a neighbour, whose longest wait for a batch of kernels is taken.
With --simulated DIR it runs without a GPU: that checks the script, not the figures.
"""

import argparse
import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import time

import shared_gpu

MIB = 1 << 20
PIECE = 64 * MIB
WAYS = ("alloc", "pitch", "managed", "vmm", "async", "pool", "array", "mipmap", "graph", "ipc")


class Prop(ctypes.Structure):  # CUmemAllocationProp
    _fields_ = [("type", ctypes.c_int), ("handles", ctypes.c_int), ("location", ctypes.c_int),
                ("device", ctypes.c_int), ("win32", ctypes.c_void_p), ("flags", ctypes.c_ubyte * 8)]


class PoolProps(ctypes.Structure):  # CUmemPoolProps
    _fields_ = [("type", ctypes.c_int), ("handles", ctypes.c_int), ("location", ctypes.c_int),
                ("device", ctypes.c_int), ("win32", ctypes.c_void_p), ("most", ctypes.c_size_t),
                ("usage", ctypes.c_ushort), ("reserved", ctypes.c_ubyte * 54)]


class Array(ctypes.Structure):  # CUDA_ARRAY_DESCRIPTOR
    _fields_ = [("width", ctypes.c_size_t), ("height", ctypes.c_size_t),
                ("format", ctypes.c_int), ("channels", ctypes.c_uint)]


class Array3D(ctypes.Structure):  # CUDA_ARRAY3D_DESCRIPTOR
    _fields_ = [("width", ctypes.c_size_t), ("height", ctypes.c_size_t), ("depth", ctypes.c_size_t),
                ("format", ctypes.c_int), ("channels", ctypes.c_uint), ("flags", ctypes.c_uint)]


class Handle(ctypes.Structure):  # CUipcMemHandle
    _fields_ = [("bytes", ctypes.c_ubyte * 64)]


def must(status, what):
    if status != 0:
        print(f"error {what} {status}", flush=True)
        sys.exit(3)


class Taker:
    """One process's driver, and a piece of memory in each way."""

    def __init__(self, way):
        self.cuda, self.way = ctypes.CDLL("libcuda.so.1"), way
        must(self.cuda.cuInit(0), "init")
        context = ctypes.c_void_p()
        status = self.cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
        if status == 2:
            print("refused 0 0", flush=True)
            sys.exit(0)
        must(status, "context")
        must(self.cuda.cuCtxSetCurrent(context), "current")
        self.stream, self.own_pool = ctypes.c_void_p(), ctypes.c_void_p()
        must(self.cuda.cuStreamCreate(ctypes.byref(self.stream), 1), "stream")
        if way == "pool":
            props = PoolProps(type=1, location=1, device=0)
            must(self.cuda.cuMemPoolCreate(ctypes.byref(self.own_pool), ctypes.byref(props)),
                 "pool")

    def take(self):
        cuda, out = self.cuda, ctypes.c_uint64()
        at, size = ctypes.byref(out), ctypes.c_size_t(PIECE)
        if self.way in ("alloc", "ipc"):
            return cuda.cuMemAlloc_v2(at, size)
        if self.way == "pitch":
            return cuda.cuMemAllocPitch_v2(at, ctypes.byref(ctypes.c_size_t()),
                                           ctypes.c_size_t(1 << 16), ctypes.c_size_t(PIECE >> 16),
                                           16)
        if self.way == "managed":
            return cuda.cuMemAllocManaged(at, size, 1)
        if self.way == "vmm":
            return cuda.cuMemCreate(at, size, ctypes.byref(Prop(type=1, location=1, device=0)),
                                    ctypes.c_uint64(0))
        if self.way == "async":
            return cuda.cuMemAllocAsync(at, size, None)
        if self.way == "pool":
            return cuda.cuMemAllocFromPoolAsync(at, size, self.own_pool, None)
        if self.way == "graph":
            return self.launch_graph(size)
        if self.way == "mipmap":
            shape = Array3D(8192, 2048, 0, 0x20, 1, 0)  # 64 MiB, one level
            return cuda.cuMipmappedArrayCreate(at, ctypes.byref(shape), 1)
        return cuda.cuArrayCreate_v2(at, ctypes.byref(Array(4096, PIECE // 4096 // 4, 0x20, 1)))

    def launch_graph(self, size):
        """A graph that allocates and does not free: the memory stays until somebody else does."""
        cuda, out = self.cuda, ctypes.c_uint64()
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        must(cuda.cuStreamBeginCapture_v2(self.stream, 1), "capture")
        status = cuda.cuMemAllocAsync(ctypes.byref(out), size, self.stream)
        must(cuda.cuStreamEndCapture(self.stream, ctypes.byref(graph)), "capture's end")
        status = status or cuda.cuGraphInstantiateWithFlags(ctypes.byref(ready), graph,
                                                            ctypes.c_ulonglong(0))
        status = status or cuda.cuGraphLaunch(ready, self.stream)
        return status or cuda.cuStreamSynchronize(self.stream)

    def share_first(self):
        """Exports an allocation, lets a process of the same share import it, and says so."""
        out, handle = ctypes.c_uint64(), Handle()
        must(self.cuda.cuMemAlloc_v2(ctypes.byref(out), ctypes.c_size_t(4 * PIECE)), "shared")
        must(self.cuda.cuIpcGetMemHandle(ctypes.byref(handle), out), "export")
        return subprocess.Popen([sys.executable, __file__, "--child", "import",
                                 bytes(handle.bytes).hex()], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)


def fill(way):
    taker = Taker(way)
    importer = taker.share_first() if way == "ipc" else None
    if importer and not (line := importer.stdout.readline()).startswith("imported"):
        sys.exit(print(f"error importing: {line}", flush=True))
    print("ready", flush=True)
    sys.stdin.readline()
    pieces = 0
    while (status := taker.take()) != 2:
        must(status, way)
        pieces += 1
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    must(taker.cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)), "info")
    print(f"refused {pieces} {free.value}", flush=True)
    sys.stdin.read()


def take_import(text):
    taker = Taker("import")
    handle, out = Handle.from_buffer_copy(bytes.fromhex(text)), ctypes.c_uint64()
    must(taker.cuda.cuIpcOpenMemHandle_v2(ctypes.byref(out), handle, 1), "import")
    print("imported", flush=True)
    sys.stdin.read()


def probe(size):
    """Takes `size` bytes whenever told, and says how long that took."""
    taker = Taker("alloc")
    print("ready", flush=True)
    for _ in sys.stdin:
        out, began, status = ctypes.c_uint64(), time.monotonic(), 2
        while status == 2 and time.monotonic() < began + 30:
            status = taker.cuda.cuMemAlloc_v2(ctypes.byref(out), ctypes.c_size_t(int(size)))
        must(status, "the whole")
        took = time.monotonic() - began
        must(taker.cuda.cuMemFree_v2(out), "free")
        print(took, flush=True)


def start(host, tenant, *arguments):
    return subprocess.Popen([sys.executable, __file__, "--child", *arguments],
                            env=host.environment(tenant), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)


def tell(process, text="go"):
    process.stdin.write(text + "\n")
    process.stdin.flush()


def descendants(pids):
    """These processes and what they started."""
    found = set(pids)
    for pid in pids:
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True,
                                text=True).stdout
        found |= {int(p) for p in listed.split()}
    return found


def answers(children, watch):
    """The next line of each, or "died"; calls `watch` until all have spoken."""
    for child in children:
        os.set_blocking(child.stdout.fileno(), False)
    text = {child: "" for child in children}
    while any("\n" not in t and c.poll() is None for c, t in text.items()):
        watch()
        for child in children:
            try:
                text[child] += os.read(child.stdout.fileno(), 4096).decode()
            except BlockingIOError:
                pass
        time.sleep(0.002)
    return [t.strip() or "died" for t in text.values()]


def filled(host, nvml, way, limit):
    count = host.o.processes // (2 if way == "ipc" else 1)  # whose importers have contexts, too
    children = [start(host, "t", way) for _ in range(count)]
    for child in children:
        if (line := child.stdout.readline().strip()) != "ready":
            sys.exit(f"{way}: {line}")
    pids = descendants([c.pid for c in children])
    for child in children:
        tell(child)
    seen = [0]
    lines = answers(children, lambda: seen.append(max(seen.pop(), nvml.used(pids))))
    settled = nvml.used(pids)
    time.sleep(1.5)
    most = max(seen[0], nvml.used(pids))
    bad = [line for line in lines if not line.startswith("refused")]
    pieces = sum(int(line.split()[1]) for line in lines if line.startswith("refused"))
    print(f"{way:<8} {pieces:4} pieces; NVML at most {most / MIB:9.1f} MiB, over the "
          f"limit {max(0, most - limit)} bytes, {100 * settled / limit:.1f} % used"
          + (f"; trouble: {bad}" if bad else ""), flush=True)
    for child in children:
        child.stdin.close()
    for child in children:
        child.wait()
    while nvml.used(pids) > 0:
        time.sleep(0.01)


def stalls(bins, begin, kills):
    """Longest times without a completed batch in ms: after each kill, and at any other time."""
    after, else_ = [0] * len(kills), 0
    run = 0
    for at, count in enumerate(bins + [1]):
        if count == 0:
            run += 1
            continue
        if run > 0:
            since = [(begin + at / 1000 - k, i) for i, k in enumerate(kills)]
            near = [i for s, i in since if 0 <= s < 0.4 + run / 1000]
            for i in near:
                after[i] = max(after[i], run)
            if not near:
                else_ = max(else_, run)
        run = 0
    return after, else_


def killed(host, speed, limit, enforced, count):
    """SIGKILL `count` times; how long until the whole limit is had, and how long others wait."""
    tenant = "t" if enforced else None
    rounds = []
    go = host.root / "go"
    neighbour = subprocess.Popen(
        [host.spin, "--seconds", str(3 * count + 10), "--bins", "--kernel-us", "200", "--batch", "1",
         "--go", str(go), "--iterations-per-us", str(speed)],
        env=host.environment("neighbour" if enforced else None), stdout=subprocess.PIPE, text=True)
    while not list(host.root.glob("go.*")):
        time.sleep(0.01)
    begin = time.monotonic() + 0.5
    go.write_text(f"{begin:.6f}")
    prober = start(host, tenant, "probe", str(limit - (1 << 30)))
    prober.stdout.readline()
    kills = []
    for i in range(count):
        load = ["--hold-mib", str(limit // MIB - 4096)] if i % 2 else \
            ["--churn-mib", str(limit // MIB - 2048)]
        victim = subprocess.Popen(
            [host.spin, "--seconds", "60", "--kernel-us", "5000", "--iterations-per-us", str(speed),
             "--async", *load], env=host.environment(tenant), stdout=subprocess.DEVNULL)
        time.sleep(random.uniform(0.5, 0.9))
        kills.append(time.monotonic())
        victim.kill()
        victim.wait()
        tell(prober)
        line = prober.stdout.readline()
        if line.startswith("error") or not line:
            sys.exit(f"memory is not back after a kill: {line}")
        rounds.append(time.monotonic() - kills[-1])
    prober.stdin.close()
    prober.wait()
    neighbour.terminate()  # it prints what it did
    out, _ = neighbour.communicate()
    go.unlink()
    for ready in host.root.glob("go.*"):
        ready.unlink()
    after, otherwise = stalls(json.loads(out)["bins"], begin, kills)
    kind = "enforced" if enforced else "native"
    print(f"kill -9 x {count}, {kind}: a process of the same share had {(limit >> 20) - 1024} MiB "
          f"after {statistics.median(rounds):.3f} s (median), {max(rounds):.3f} s (worst); the "
          f"neighbour's longest wait for a batch of 0.2 ms within 0.4 s after a kill: "
          f"{statistics.median(after)} ms (median), {max(after)} ms (worst); at other times: "
          f"{otherwise} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    shared_gpu.add_arguments(parser)
    parser.add_argument("--limit-gib", type=float, default=16)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--native-kills", type=int, default=20)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.child:
        role, *rest = o.child
        return {"import": take_import, "probe": probe}.get(role, fill)(*(rest or [role]))

    host = shared_gpu.Host(o)
    limit = int(o.limit_gib * (1 << 30))
    nvml = shared_gpu.Nvml(host)
    tenants = [{"name": "t", "weight": 1, "memory": limit},
               {"name": "neighbour", "weight": 1, "memory": 4 << 30}]
    arbiter = shared_gpu.Arbiter(host, tenants)
    print(f"limit {limit // MIB} MiB, {o.processes} processes, pieces of {PIECE // MIB} MiB")
    for way in o.ways:
        filled(host, nvml, way, limit)
    arbiter.stop()
    speed = host.speed()
    for enforced, count in ((False, o.native_kills), (True, o.kills)):
        if count == 0:
            continue
        arbiter = shared_gpu.Arbiter(host, tenants) if enforced else None
        killed(host, speed, limit, enforced, count)
        if arbiter:
            print(f"at the end: {json.dumps(arbiter.stop()['tenants'])}")
    host.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
