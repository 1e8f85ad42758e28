#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Holds the memory limit of one tenant against what NVML says from outside.

    bench/gpu/memory.py --aliquot out/bin/aliquot --interposer out/lib/libaliquot-cuda.so

For each way to allocate, eight processes of a tenant with --limit-gib take 64 MiB pieces at once
until each was refused; meanwhile the sum of NVML's figures for them is watched. Then processes are
killed with SIGKILL while they allocate, and the time is taken until the whole limit can be had
again. With --simulated DIR it runs without a GPU: that checks the script, not the figures.
"""

import argparse
import ctypes
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

PIECE = 64 << 20
WAYS = ("alloc", "pitch", "managed", "vmm", "async", "array")


class Prop(ctypes.Structure):  # CUmemAllocationProp
    _fields_ = [("type", ctypes.c_int), ("handles", ctypes.c_int), ("location", ctypes.c_int),
                ("device", ctypes.c_int), ("win32", ctypes.c_void_p), ("flags", ctypes.c_ubyte * 8)]


class Array(ctypes.Structure):  # CUDA_ARRAY_DESCRIPTOR
    _fields_ = [("width", ctypes.c_size_t), ("height", ctypes.c_size_t),
                ("format", ctypes.c_int), ("channels", ctypes.c_uint)]


def child(way, start):
    cuda = ctypes.CDLL("libcuda.so.1")

    def must(status, what):
        if status != 0:
            print(f"error {what} {status}", flush=True)
            sys.exit(3)

    must(cuda.cuInit(0), "init")
    context = ctypes.c_void_p()
    status = cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
    if status == 2:
        print("refused 0 0", flush=True)
        return
    must(status, "context")
    must(cuda.cuCtxSetCurrent(context), "current")
    prop = Prop(type=1, location=1, device=0)
    pitch = ctypes.c_size_t()

    def take():
        out = ctypes.c_uint64()
        at = ctypes.byref(out)
        if way == "alloc":
            return cuda.cuMemAlloc_v2(at, ctypes.c_size_t(PIECE))
        if way == "pitch":
            return cuda.cuMemAllocPitch_v2(at, ctypes.byref(pitch), ctypes.c_size_t(1 << 16),
                                           ctypes.c_size_t(PIECE >> 16), 16)
        if way == "managed":
            return cuda.cuMemAllocManaged(at, ctypes.c_size_t(PIECE), 1)
        if way == "vmm":
            return cuda.cuMemCreate(at, ctypes.c_size_t(PIECE), ctypes.byref(prop),
                                    ctypes.c_uint64(0))
        if way == "async":
            return cuda.cuMemAllocAsync(at, ctypes.c_size_t(PIECE), None)
        return cuda.cuArrayCreate_v2(at, ctypes.byref(Array(4096, PIECE // 4096 // 4, 0x20, 1)))

    print("ready", flush=True)
    while time.monotonic() < start:
        time.sleep(0.001)
    pieces = 0
    while True:
        status = take()
        if status == 2:
            break
        must(status, way)
        pieces += 1
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    must(cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)), "info")
    print(f"refused {pieces} {free.value}", flush=True)
    sys.stdin.read()


class Nvml:
    class Process(ctypes.Structure):
        _fields_ = [("pid", ctypes.c_uint), ("used", ctypes.c_ulonglong),
                    ("gi", ctypes.c_uint), ("ci", ctypes.c_uint)]

    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.nvmlInit_v2()
        self.device = ctypes.c_void_p()
        self.lib.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.device))

    def used(self, pids):
        rows = (self.Process * 256)()
        count = ctypes.c_uint(256)
        self.lib.nvmlDeviceGetComputeRunningProcesses_v3(self.device, ctypes.byref(count), rows)
        return sum(r.used for r in rows[:count.value] if r.pid in pids)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aliquot", default="out/bin/aliquot")
    parser.add_argument("--interposer", default="out/lib/libaliquot-cuda.so")
    parser.add_argument("--limit-gib", type=float, default=16)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--ways", nargs="*", default=WAYS)
    parser.add_argument("--simulated", help="folder of the simulated libraries")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.child:
        return child(o.child[0], float(o.child[1]))

    root = pathlib.Path(tempfile.mkdtemp(prefix="aliquot-memory-"))
    base = dict(os.environ)
    nvml_path = "libnvidia-ml.so.1"
    node = []
    if o.simulated:
        simulated = pathlib.Path(o.simulated).resolve()
        (root / "sim").mkdir()
        simulation = {"LD_LIBRARY_PATH": str(simulated), "ALIQUOT_SIM_NODE": "h200-x1",
                      "ALIQUOT_SIM_STATE": str(root / "sim"),
                      "ALIQUOT_SIM_LIBRARY": str(simulated / "libnvidia-ml.so.1")}
        base.update(simulation)
        os.environ.update(simulation)
        nvml_path, node = str(simulated / "libnvidia-ml.so.1"), ["--node", "h200-x1"]
    limit = int(o.limit_gib * (1 << 30))
    folder = root / "grants"
    arbiter = subprocess.Popen(
        [o.aliquot, "arbiter", "--socket-dir", folder, "-o", "json", "--tenant",
         f"name=t,weight=1,memory={limit}"] + node,
        env=base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "t" / "socket").exists():
        if arbiter.poll() is not None:
            sys.exit("the arbiter did not start")
        time.sleep(0.02)
    nvml = Nvml(nvml_path)
    env = dict(base, LD_PRELOAD=str(pathlib.Path(o.interposer).resolve()),
               ALIQUOT_GRANT_DIR=str(folder / "t"))

    def start(way, at):
        return subprocess.Popen([sys.executable, __file__, "--child", way, str(at)], env=env,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(children):
        for c in children:
            c.stdin.close()
        for c in children:
            c.wait()

    print(f"limit {limit >> 20} MiB, {o.processes} processes, pieces of {PIECE >> 20} MiB")
    for way in o.ways:
        children = [start(way, time.monotonic() + 8) for _ in range(o.processes)]
        pids = {c.pid for c in children}
        most, lines, waiting = 0, [], list(children)
        for c in children:
            os.set_blocking(c.stdout.fileno(), False)
        text = {c: "" for c in children}
        while waiting:
            most = max(most, nvml.used(pids))
            for c in list(waiting):
                try:
                    text[c] += os.read(c.stdout.fileno(), 4096).decode()
                except BlockingIOError:
                    pass
                last = text[c].strip().splitlines()
                if last and last[-1].startswith(("refused", "error")) or c.poll() is not None:
                    lines.append(last[-1] if last else "died")
                    waiting.remove(c)
            time.sleep(0.002)
        settled = nvml.used(pids)
        time.sleep(1.5)
        most = max(most, nvml.used(pids))
        bad = [l for l in lines if not l.startswith("refused")]
        pieces = sum(int(l.split()[1]) for l in lines if l.startswith("refused"))
        print(f"{way:<8} {pieces:4} pieces; NVML at most {most / (1 << 20):9.1f} MiB, over the "
              f"limit {max(0, most - limit)} bytes, {100 * settled / limit:.1f} % used"
              + (f"; trouble: {bad}" if bad else ""), flush=True)
        end(children)
        while nvml.used(pids) > 0:
            time.sleep(0.01)

    stalls = []
    for _ in range(o.kills):
        victim = start("alloc", 0)
        time.sleep(random.uniform(0.3, 1.2))
        victim.kill()
        began = time.monotonic()
        victim.wait()
        while True:
            other = start("alloc", 0)
            while not (line := other.stdout.readline()).startswith(("refused", "error", "")):
                pass
            line = other.stdout.readline() if line.startswith("ready") else line
            had = int(line.split()[1]) * PIECE if line.startswith("refused") else 0
            end([other])
            if had > 0.9 * limit - (1 << 30):
                break
            if time.monotonic() - began > 30:
                sys.exit(f"memory is not back 30 s after a kill: had {had >> 20} MiB")
        stalls.append(time.monotonic() - began)
    if stalls:
        stalls.sort()
        print(f"kill -9 x {o.kills}: the whole limit was had again by a new process after "
              f"{stalls[len(stalls) // 2]:.2f} s (median), {stalls[-1]:.2f} s (worst), the start "
              f"of that process and its allocations included")
    arbiter.send_signal(signal.SIGTERM)
    arbiter.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
