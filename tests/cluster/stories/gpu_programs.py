# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA programs in pods: the image they come in, the simulated GPU they share, and its own account.

The programs are those of the driver's and the interposer's tests. They open libcuda.so.1 and
libnvidia-ml.so.1 as every program does; which ones they get is the container's business.
"""

import ctypes
import os
import re
import shutil
import tempfile
from pathlib import Path

from harness import layout
from harness.images import oci
from harness.shell import run

IMAGE = "localhost/gpu-programs:1"
PROGRAMS = {"cuda": layout.REPO / "build/ci/sim/cuda/sim_cuda_program",
            "cuda-and-nvml": layout.REPO / "build/ci/src/interposer/interposer_program"}

# What agent and programs share of the simulated GPUs: memory that is taken, turns, MIG devices.
# Hardware needs no such thing.
STATE = "/run/aliquot/simulated"  # on the node, and at the same path in the agent
STATE_INSIDE = "/simulated-gpu"
# The simulated GPU is slower than a real one, so that a busy machine keeps up with it.
SLOWER = 10


def make_image():
    """From inside: gives the node an image of the programs, with a shell and the C library."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "root"
        (root / "bin").mkdir(parents=True)
        (root / "tmp").mkdir()
        shutil.copy(shutil.which("busybox"), root / "bin/busybox")
        for name in ("sh", "sleep", "ls", "stat", "env", "cat"):
            (root / "bin" / name).symlink_to("busybox")
        files = {f"/bin/{name}": program for name, program in PROGRAMS.items()}
        for loaded in (*PROGRAMS.values(), *layout.OUT.glob("lib/*"), *layout.OUT.glob("sim/*")):
            for found in re.findall(r"(?:=> |^\s*)(/\S+) \(", run("ldd", loaded), re.MULTILINE):
                files[found] = found
        for target, source in files.items():
            (root / target.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / target.lstrip("/"))
        archive = Path(directory) / "programs.tar"
        oci.write(archive, IMAGE, root, ["/bin/sh"])
        run("ctr", "images", "import", "--digests=false", archive)


def pod(name, gpus, script="exec sleep 1000000", resource="nvidia.com/gpu", mounts=()):
    """A pod that holds `gpus` and runs `script`. `mounts`: files of the node that it has at the same
    paths."""
    paths = {"simulated-gpu": (STATE, STATE_INSIDE, "Directory")}
    for i, path in enumerate(mounts):
        paths[f"file-{i}"] = (path, path, "File")
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "gpu-programs"}},
        "spec": {
            "terminationGracePeriodSeconds": 0, "restartPolicy": "Never",
            "volumes": [{"name": key, "hostPath": {"path": host, "type": kind}}
                        for key, (host, _, kind) in paths.items()],
            "containers": [{
                "name": "main", "image": IMAGE, "imagePullPolicy": "Never",
                "command": ["/bin/sh", "-c", script],
                "env": [{"name": "ALIQUOT_SIM_STATE", "value": STATE_INSIDE},
                        {"name": "ALIQUOT_SIM_TIME_SCALE", "value": str(SLOWER)},
                        {"name": "TEST_CUDA_LIBRARY", "value": "libcuda.so.1"}],
                "volumeMounts": [{"name": key, "mountPath": inside}
                                 for key, (_, inside, _) in paths.items()],
                "resources": {"limits": {resource: gpus}}}]}}


def busy(processes):
    """A script of so many processes that keep the GPU busy for as long as the pod lives."""
    return f"for i in $(seq {processes}); do cuda spin 200 async </dev/null & done; wait"


class _Seat(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("gpu", ctypes.c_uint), ("gpu_instance", ctypes.c_uint),
                ("compute_instance", ctypes.c_uint), ("busy_ns", ctypes.c_ulonglong),
                ("turns", ctypes.c_ulonglong)]


class SimulatedGpu:
    """The simulated GPU's own account of who used it, whatever agent and interposer say."""

    def __init__(self, node):
        os.environ.update(ALIQUOT_SIM_NODE=node, ALIQUOT_SIM_STATE=STATE,
                          ALIQUOT_SIM_TIME_SCALE=str(SLOWER))
        self.library = ctypes.CDLL(str(layout.OUT / "sim/libcuda.so.1"))
        if self.library.cuInit(0) != 0:
            raise RuntimeError(f"the simulated driver does not start on {node}")

    def seconds(self, pods):
        """Simulated GPU seconds of the live processes of each pod, by its name."""
        seats = (_Seat * 512)()
        count = self.library.aliquotSimulatedSeats(seats, len(seats))
        out = {one["metadata"]["name"]: 0.0 for one in pods}
        for seat in seats[:count]:
            name = _pod_of(seat.pid, pods)
            if name is not None:
                out[name] += seat.busy_ns / 1e9
        return out


def _pod_of(pid, pods):
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:  # it ended
        return None
    return next((one["metadata"]["name"] for one in pods
                 if "pod" + one["metadata"]["uid"] in groups), None)
