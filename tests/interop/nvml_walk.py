#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Walks simulated nodes with NVIDIA's Python bindings, as other people's tools walk real ones.

Usage: nvml_walk.py <directory of the simulated libnvidia-ml.so.1>
Re-runs itself once per node, because a program reads the node when it starts NVML.
"""

import os
import subprocess
import sys
import tempfile

import pynvml


def check(got, wanted, what):
    if got != wanted:
        raise SystemExit(f"{what}: got {got!r}, wanted {wanted!r}")


def fails(code, call, *arguments):
    try:
        call(*arguments)
    except pynvml.NVMLError as error:
        check(error.value, code, call.__name__)
        return
    raise SystemExit(f"{call.__name__} did not fail")


def walk_metrics(gpu, mig_enabled):
    memory = pynvml.nvmlDeviceGetMemoryInfo(gpu, version=pynvml.nvmlMemory_v2)
    check(memory.total, memory.reserved + memory.free + memory.used, "memory")
    assert 0 < pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU) < 100
    assert pynvml.nvmlDeviceGetPowerUsage(gpu) <= pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu)
    assert pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM) > 0
    check(pynvml.nvmlDeviceGetComputeRunningProcesses(gpu), [], "processes")
    if mig_enabled:
        fails(pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.nvmlDeviceGetUtilizationRates, gpu)
    else:
        check(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu, 0, "utilisation")
    values = pynvml.nvmlDeviceGetFieldValues(gpu, [pynvml.NVML_FI_DEV_ECC_CURRENT, 9999])
    check(values[0].nvmlReturn, pynvml.NVML_SUCCESS, "field value")
    check(values[1].nvmlReturn, pynvml.NVML_ERROR_NOT_SUPPORTED, "unknown field value")


def walk_mig(gpu):
    """MIG device names of a GPU with MIG on."""
    names = []
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            mig = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
        except pynvml.NVMLError_NotFound:
            continue
        name = pynvml.nvmlDeviceGetName(mig)
        names.append(name.rsplit(" ", 1)[1])
        uuid = pynvml.nvmlDeviceGetUUID(mig)
        again = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        check(pynvml.nvmlDeviceGetUUID(again), uuid, "MIG device by UUID")
        attributes = pynvml.nvmlDeviceGetAttributes_v2(mig)
        check(pynvml.nvmlDeviceGetMemoryInfo(mig).total, attributes.memorySizeMB << 20, "MIG memory")
        gi = pynvml.nvmlDeviceGetGpuInstanceById(gpu, pynvml.nvmlDeviceGetGpuInstanceId(mig))
        ci = pynvml.nvmlGpuInstanceGetComputeInstanceById(
            gi, pynvml.nvmlDeviceGetComputeInstanceId(mig))
        info = pynvml.nvmlComputeInstanceGetInfo(ci)
        check(info.id, pynvml.nvmlDeviceGetComputeInstanceId(mig), "compute instance")
    return names


def walk():
    pynvml.nvmlInit()
    result = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        check(pynvml.nvmlDeviceGetIndex(gpu), index, "index")
        pci = pynvml.nvmlDeviceGetPciInfo(gpu)
        by_bus = pynvml.nvmlDeviceGetHandleByPciBusId(pci.busId)
        check(pynvml.nvmlDeviceGetUUID(by_bus), pynvml.nvmlDeviceGetUUID(gpu), "GPU by bus id")
        try:
            enabled = pynvml.nvmlDeviceGetMigMode(gpu)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
        except pynvml.NVMLError_NotSupported:
            enabled = False
        walk_metrics(gpu, enabled)
        result.append((pynvml.nvmlDeviceGetName(gpu), walk_mig(gpu) if enabled else None))
    fails(pynvml.NVML_ERROR_INVALID_ARGUMENT, pynvml.nvmlDeviceGetHandleByIndex, 99)
    pynvml.nvmlShutdown()
    return result


def walk_t4():
    check(walk(), [("Tesla T4", None)], "t4-x1")


def walk_mig_node():
    found = walk()
    check([name for name, _ in found], ["NVIDIA A100-SXM4-40GB"] * 8, "names")
    check([mig for _, mig in found],
          [None, None, ["1g.5gb"] * 7, ["3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"],
           ["3g.20gb"] * 2, ["7g.40gb"], [], None], "MIG devices")


def change_mig():
    """Slices an H200 and undoes it."""
    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    check(pynvml.nvmlDeviceSetMigMode(gpu, pynvml.NVML_DEVICE_MIG_ENABLE), 0, "activation")
    profile = pynvml.nvmlDeviceGetGpuInstanceProfileInfo(
        gpu, pynvml.NVML_GPU_INSTANCE_PROFILE_3_SLICE)
    check((profile.id, profile.memorySizeMB), (9, 71424), "3g profile")
    instances = [pynvml.nvmlDeviceCreateGpuInstance(gpu, profile.id) for _ in range(2)]
    fails(pynvml.NVML_ERROR_INSUFFICIENT_RESOURCES, pynvml.nvmlDeviceCreateGpuInstance, gpu,
          profile.id)
    for gi in instances:
        compute = pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(
            gi, pynvml.NVML_COMPUTE_INSTANCE_PROFILE_3_SLICE,
            pynvml.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED)
        ci = pynvml.nvmlGpuInstanceCreateComputeInstance(gi, compute.id)
        fails(pynvml.NVML_ERROR_IN_USE, pynvml.nvmlGpuInstanceDestroy, gi)
        if gi is instances[0]:
            pynvml.nvmlComputeInstanceDestroy(ci)
            pynvml.nvmlGpuInstanceDestroy(gi)
    check(walk_mig(gpu), ["3g.71gb"], "MIG devices")
    pynvml.nvmlShutdown()


def wait_for_events():
    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    events = pynvml.nvmlEventSetCreate()
    types = pynvml.nvmlDeviceGetSupportedEventTypes(gpu)
    pynvml.nvmlDeviceRegisterEvents(gpu, types & pynvml.nvmlEventTypeXidCriticalError, events)
    fails(pynvml.NVML_ERROR_TIMEOUT, pynvml.nvmlEventSetWait_v2, events, 1)
    pynvml.nvmlEventSetFree(events)
    pynvml.nvmlShutdown()


WALKS = [("t4-x1", walk_t4), ("a100-40gb-x8-mig", walk_mig_node), ("h200-x1", change_mig),
         ("t4-x4", wait_for_events), ("rtxpro6000-x2", walk), ("b200-x8", walk)]


def main():
    if len(sys.argv) == 3:
        WALKS[int(sys.argv[2])][1]()
        return
    for number, (node, action) in enumerate(WALKS):
        with tempfile.TemporaryDirectory() as state:
            environment = dict(os.environ, LD_LIBRARY_PATH=sys.argv[1], ALIQUOT_SIM_NODE=node,
                               ALIQUOT_SIM_STATE=state)
            subprocess.run([sys.executable, __file__, sys.argv[1], str(number)], check=True,
                           env=environment)
        print(f"{node}: {action.__name__} ok")


if __name__ == "__main__":
    main()
