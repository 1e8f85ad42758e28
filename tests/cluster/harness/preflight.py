# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can run the cluster, asked before anything is installed or built."""

import os
import platform
import shutil
import tempfile
from pathlib import Path

from harness import binaries, cgroups, layout
from harness.shell import succeeds

MEMORY_MIB = 3000
DISK_BUILT_MIB = 1500
DISK_BUILD_MIB = 8000  # sources 2 GB, the compiler's cache 3 GB, programs; the cache goes away again


def _available_memory_mib():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def _in_namespace(script):
    return succeeds("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork",
                    "--mount-proc", "--propagation", "private", "sh", "-c", script)


def _free_disk_mib():
    path = layout.CACHE
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free >> 20


# What the sandbox does, in small: (what, commands).
STEPS = [
    ("mount an overlay file system over /",
     "mount -t tmpfs tmpfs $d && mkdir $d/up $d/work $d/root && "
     "mount -t overlay overlay -o lowerdir=/,upperdir=$d/up,workdir=$d/work $d/root"),
    ("mount the kernel's file systems in it",
     "mount -t proc proc $d/root/proc && mount -t sysfs sysfs $d/root/sys && "
     "mount --rbind /sys/fs/cgroup $d/root/sys/fs/cgroup"),
    ("make device nodes", "mkdir $d/root/nodes && mknod $d/root/nodes/null c 1 3 && "
     "mount -t tmpfs -o mode=755 dev $d/root/dev && cp -a /dev/null $d/root/dev && "
     ": >$d/root/dev/null"),
    ("move into it (pivot_root)",
     "mkdir -p $d/root/mnt/machine && cd $d/root && pivot_root . mnt/machine"),
]


def _step_that_fails():
    """What of STEPS cannot be done here; None if all can."""
    directory = tempfile.mkdtemp()
    try:
        for count, (what, _) in enumerate(STEPS, 1):
            if not _in_namespace(f"d={directory} && " + " && ".join(
                    commands for _, commands in STEPS[:count])):
                return what
        return None
    finally:
        os.rmdir(directory)


def reason_against():
    """Why the cluster cannot run here, in one line; None if it can."""
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        return f"needs Linux on x86_64, this is {platform.system()} on {platform.machine()}"
    if os.geteuid() != 0:
        return "needs root, for namespaces, mounts and cgroups"
    if not _in_namespace("true"):
        return "cannot make mount, network and process namespaces; a container must be privileged"
    fails = _step_that_fails()
    if fails:
        return f"cannot {fails}"
    if shutil.which("ip") and not _in_namespace(
            "ip link add name b0 type bridge && ip link add name v0 type veth peer name v1"):
        return "the kernel makes no bridge and veth interfaces (modules bridge, veth)"
    against = cgroups.reason_against()
    if against:
        return against
    if _available_memory_mib() < MEMORY_MIB:
        return f"needs {MEMORY_MIB} MiB of memory, {_available_memory_mib()} MiB are available"
    disk = DISK_BUILT_MIB if binaries.built() else DISK_BUILD_MIB
    if _free_disk_mib() < disk:
        return f"needs {disk} MiB of disk at {layout.CACHE}, {_free_disk_mib()} MiB are free"
    return None
