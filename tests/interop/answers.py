#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Prints what an NVML library answers about its first GPU, to hold the simulated one against a
real one: answers.py LIBRARY > real.txt on a GPU machine, the same on the simulated node, diff.

Only asks: changes nothing, needs no bindings, and works with MIG off.
"""

import ctypes
import sys
from ctypes import byref, c_char_p, c_int, c_uint, c_ulonglong, c_void_p

NOBODY = b"GPU-00000000-0000-0000-0000-000000000000"


class Nvml:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)

    def call(self, name, *arguments):
        function = getattr(self.library, name, None)
        return "absent" if function is None else function(*arguments)

    def number(self, name, *arguments, kind=c_uint):
        value = kind(0)
        code = self.call(name, *arguments, byref(value))
        return f"{value.value}" if code == 0 else f"error {code}"

    def text(self, name, *arguments):
        buffer = ctypes.create_string_buffer(96)
        code = self.call(name, *arguments, buffer, 96)
        return buffer.value.decode() if code == 0 else f"error {code}"

    def words(self, name, count, *arguments, before=None):
        """A struct as 32-bit words; `before` sets the first, a version."""
        words = (c_uint * 64)()
        if before is not None:
            words[0] = before
        code = self.call(name, *arguments, byref(words))
        return " ".join(str(word) for word in words[:count]) if code == 0 else f"error {code}"


def show(what, answer):
    print(f"{what}: {answer}")


def identity(nvml, gpu):
    for name in ("GetName", "GetBoardPartNumber", "GetVbiosVersion"):
        show(name, nvml.text(f"nvmlDevice{name}", gpu))
    for name in ("GetBrand", "GetArchitecture", "GetMinorNumber", "GetNumGpuCores", "GetBusType",
                 "GetMemoryBusWidth", "GetMaxPcieLinkGeneration", "GetMaxPcieLinkWidth",
                 "GetPowerManagementLimit", "GetPowerManagementDefaultLimit",
                 "GetEnforcedPowerLimit", "GetMultiGpuBoard", "GetPersistenceMode",
                 "GetDisplayMode", "GetDisplayActive", "GetComputeMode", "GetAccountingMode",
                 "GetNumaNodeId", "GetMaxMigDeviceCount", "IsMigDeviceHandle", "GetGpuInstanceId",
                 "GetComputeInstanceId", "GetFanSpeed", "GetPowerManagementMode",
                 "GetVirtualizationMode"):
        show(name, nvml.number(f"nvmlDevice{name}", gpu))
    for clock in range(5):
        show(f"GetMaxClockInfo {clock}", nvml.number("nvmlDeviceGetMaxClockInfo", gpu, clock))
    show("GetCudaComputeCapability", nvml.words("nvmlDeviceGetCudaComputeCapability", 1, gpu))
    show("GetPciInfo ids", nvml.words("nvmlDeviceGetPciInfo_v3", 9, gpu)[-21:])
    show("GetAddressingMode", nvml.words("nvmlDeviceGetAddressingMode", 2, gpu,
                                         before=8 | 1 << 24))


def memory(nvml, gpu):
    values = (c_ulonglong * 5)()
    show("GetMemoryInfo_v2 wrong version", nvml.call("nvmlDeviceGetMemoryInfo_v2", gpu,
                                                     byref(values)))
    values[0] = 40 | 2 << 24
    show("GetMemoryInfo_v2", nvml.call("nvmlDeviceGetMemoryInfo_v2", gpu, byref(values)))
    show("total", values[1])
    show("reserved", values[2])
    bar1 = (c_ulonglong * 3)()
    nvml.call("nvmlDeviceGetBAR1MemoryInfo", gpu, byref(bar1))
    show("BAR1 total", bar1[0])


def mig(nvml, gpu):
    current, pending = c_uint(9), c_uint(9)
    code = nvml.call("nvmlDeviceGetMigMode", gpu, byref(current), byref(pending))
    show("GetMigMode", f"{code} {current.value} {pending.value}")
    for index in range(20):
        show(f"GpuInstanceProfileInfo {index}",
             nvml.words("nvmlDeviceGetGpuInstanceProfileInfo", 12, gpu, index))
        for version, size in ((2, 152), (3, 152)):
            info = ctypes.create_string_buffer(size)
            ctypes.cast(info, ctypes.POINTER(c_uint))[0] = size | version << 24
            code = nvml.call("nvmlDeviceGetGpuInstanceProfileInfoV", gpu, index, info)
            show(f"GpuInstanceProfileInfoV {index} v{version}", f"{code} {info.raw.hex()}")
    for profile in (19, 20, 15, 14, 9, 5, 0, 77):
        count = c_uint(0)
        code = nvml.call("nvmlDeviceGetGpuInstancePossiblePlacements_v2", gpu, profile, None,
                         byref(count))
        placements = (c_uint * 32)()
        nvml.call("nvmlDeviceGetGpuInstancePossiblePlacements_v2", gpu, profile,
                  byref(placements), byref(count))
        show(f"placements {profile}",
             f"{code} {count.value} {list(placements[:2 * min(count.value, 16)])}")
        show(f"remaining {profile}",
             nvml.number("nvmlDeviceGetGpuInstanceRemainingCapacity", gpu, profile))
        handles = (c_void_p * 8)()
        count = c_uint(8)
        code = nvml.call("nvmlDeviceGetGpuInstances", gpu, profile, byref(handles), byref(count))
        show(f"GetGpuInstances {profile}", f"{code} {count.value}")
    handle = c_void_p()
    for index in (0, 6, 7, 99):
        show(f"GetMigDeviceHandleByIndex {index}",
             nvml.call("nvmlDeviceGetMigDeviceHandleByIndex", gpu, index, byref(handle)))
        show(f"GetGpuInstanceById {index}",
             nvml.call("nvmlDeviceGetGpuInstanceById", gpu, index, byref(handle)))
    show("GetDeviceHandleFromMigDeviceHandle",
         nvml.call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", gpu, byref(handle)))
    show("GetAttributes", nvml.words("nvmlDeviceGetAttributes_v2", 10, gpu))


def links(nvml, gpu):
    for link in (0, 1, 17, 18, 99):
        show(f"GetNvLinkState {link}", nvml.number("nvmlDeviceGetNvLinkState", gpu, link))
        show(f"GetNvLinkVersion {link}", nvml.number("nvmlDeviceGetNvLinkVersion", gpu, link))
        show(f"GetNvLinkRemoteDeviceType {link}",
             nvml.number("nvmlDeviceGetNvLinkRemoteDeviceType", gpu, link))
        pci = ctypes.create_string_buffer(96)
        show(f"GetNvLinkRemotePciInfo {link}",
             nvml.call("nvmlDeviceGetNvLinkRemotePciInfo_v2", gpu, link, pci))
        for capability in (0, 2, 4, 5, 6):
            show(f"GetNvLinkCapability {link} {capability}",
                 nvml.number("nvmlDeviceGetNvLinkCapability", gpu, link, capability))
    show("GetTopologyCommonAncestor",
         nvml.number("nvmlDeviceGetTopologyCommonAncestor", gpu, gpu))


def counters(nvml, gpu):
    for kind in (0, 1, 2):
        show(f"GetTotalEccErrors {kind}",
             nvml.number("nvmlDeviceGetTotalEccErrors", gpu, kind, 0, kind=c_ulonglong))
    for location in range(9):
        show(f"GetMemoryErrorCounter {location}",
             nvml.number("nvmlDeviceGetMemoryErrorCounter", gpu, 1, 0, location,
                         kind=c_ulonglong))
    current, pending = c_uint(9), c_uint(9)
    code = nvml.call("nvmlDeviceGetEccMode", gpu, byref(current), byref(pending))
    show("GetEccMode", f"{code} {current.value} {pending.value}")
    count = c_uint(0)
    show("GetRetiredPages",
         nvml.call("nvmlDeviceGetRetiredPages", gpu, 0, byref(count), None))
    rows = [c_uint(9) for _ in range(4)]
    code = nvml.call("nvmlDeviceGetRemappedRows", gpu, *[byref(row) for row in rows])
    show("GetRemappedRows", f"{code} {[row.value for row in rows]}")
    show("GetTemperature 1", nvml.number("nvmlDeviceGetTemperature", gpu, 1))
    show("GetGpuFabricInfo", nvml.call("nvmlDeviceGetGpuFabricInfo", gpu, (c_uint * 64)()))
    show("GpmQueryDeviceSupport", nvml.words("nvmlGpmQueryDeviceSupport", 2, gpu, before=1))


def events(nvml, gpu):
    show("GetSupportedEventTypes",
         nvml.number("nvmlDeviceGetSupportedEventTypes", gpu, kind=c_ulonglong))
    events_set = c_void_p()
    show("EventSetCreate", nvml.call("nvmlEventSetCreate", byref(events_set)))
    show("RegisterEvents 0x20",
         nvml.call("nvmlDeviceRegisterEvents", gpu, c_ulonglong(0x20), events_set))
    show("RegisterEvents 0x8",
         nvml.call("nvmlDeviceRegisterEvents", gpu, c_ulonglong(0x8), events_set))
    show("EventSetWait", nvml.call("nvmlEventSetWait_v2", events_set, (c_uint * 8)(), 10))
    show("EventSetFree", nvml.call("nvmlEventSetFree", events_set))


def main():
    nvml = Nvml(sys.argv[1])
    show("GetCount before Init", nvml.number("nvmlDeviceGetCount_v2"))
    show("Shutdown before Init", nvml.call("nvmlShutdown"))
    if nvml.call("nvmlInit_v2") != 0:
        raise SystemExit("nvmlInit_v2 failed")
    show("driver", nvml.text("nvmlSystemGetDriverVersion"))
    show("NVML", nvml.text("nvmlSystemGetNVMLVersion"))
    show("CUDA", nvml.number("nvmlSystemGetCudaDriverVersion_v2", kind=c_int))
    nvml.library.nvmlErrorString.restype = c_char_p
    for code in (0, 1, 2, 3, 4, 6, 7, 9, 10, 13, 15, 18, 19, 23, 25, 29, 30, 31, 32, 999, -1):
        show(f"ErrorString {code}", nvml.library.nvmlErrorString(code).decode())
    handle = c_void_p()
    show("HandleByIndex 99", nvml.call("nvmlDeviceGetHandleByIndex_v2", 99, byref(handle)))
    for uuid in (NOBODY, b"nonsense", b"", b"MIG-nonsense", b"MIG-GPU-0/1/0"):
        show(f"HandleByUUID {uuid}", nvml.call("nvmlDeviceGetHandleByUUID", uuid, byref(handle)))
    for bus in (b"0000:99:00.0", b"nonsense", b"", b"99:00.0", b"0000:99:00"):
        show(f"HandleByPciBusId {bus}",
             nvml.call("nvmlDeviceGetHandleByPciBusId_v2", bus, byref(handle)))
    show("InitWithFlags 64", nvml.call("nvmlInitWithFlags", 64))
    if nvml.call("nvmlDeviceGetHandleByIndex_v2", 0, byref(handle)) != 0:
        raise SystemExit("no GPU")
    short = ctypes.create_string_buffer(96)
    for length in (0, 5, 40, 41, 80):
        show(f"GetUUID into {length}", nvml.call("nvmlDeviceGetUUID", handle, short, length))
    for part in (identity, memory, mig, links, counters, events):
        part(nvml, handle)
    nvml.call("nvmlShutdown")


if __name__ == "__main__":
    main()
