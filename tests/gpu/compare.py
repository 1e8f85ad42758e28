#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Compares `aliquot devices -o json` with `nvidia-smi -q -x`, figure by figure.

usage: compare.py DEVICES.json SMI.xml

Prints one row per figure; exit status 1 if any differs.
"""

import json
import sys
import xml.etree.ElementTree as xml


def rows(devices, smi):
    yield "driver version", devices["driverVersion"], smi.findtext("driver_version")
    yield "CUDA version", devices["cudaVersion"], smi.findtext("cuda_version")
    yield "attached GPUs", str(len(devices["gpus"])), smi.findtext("attached_gpus")
    by_uuid = {gpu["uuid"]: gpu for gpu in devices["gpus"]}
    for theirs in smi.findall("gpu"):
        uuid = theirs.findtext("uuid")
        ours = by_uuid.get(uuid)
        if ours is None:
            yield "UUID", "missing", uuid
            continue
        yield "UUID", ours["uuid"], uuid
        yield "product name", ours["name"], theirs.findtext("product_name")
        yield "minor number", str(ours["minor"]), theirs.findtext("minor_number")
        domain, rest = theirs.findtext("pci/pci_bus_id").split(":", 1)
        yield "bus id", ours["busId"], f"{domain[-4:]}:{rest}".lower()
        yield "PCI device id", ours["pciDeviceId"][2:], theirs.findtext("pci/pci_device_id")
        yield "PCI subsystem id", ours["pciSubsystemId"][2:], theirs.findtext("pci/pci_sub_system_id")

        def mib(kind):
            return int(theirs.findtext(f"fb_memory_usage/{kind}").split()[0])

        total = ours["memory"]["totalBytes"] / 2**20
        usable = ours["memory"]["usableBytes"] / 2**20
        yield "memory total, MiB", f"{total:.0f}", str(mib("total"))
        # nvidia-smi rounds each figure by itself, so the difference may be one off.
        same = abs(usable - (mib("total") - mib("reserved"))) <= 1.0
        expected = mib("total") - mib("reserved")
        yield "memory usable, MiB", f"{usable:.0f}" if not same else str(expected), str(expected)
        mode = theirs.findtext("mig_mode/current_mig")
        yield "MIG mode", "Enabled" if ours["mig"]["enabled"] else "Disabled", mode


def main():
    devices = json.load(open(sys.argv[1]))
    smi = xml.parse(sys.argv[2]).getroot()
    differ = 0
    for figure, ours, theirs in rows(devices, smi):
        equal = ours == theirs
        differ += not equal
        print(f"{figure:20} {ours:44} {theirs or '-':44} {'equal' if equal else 'DIFFERS'}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
