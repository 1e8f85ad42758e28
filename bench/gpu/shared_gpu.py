# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""What the scripts of this folder have in common: programs as tenants of `aliquot arbiter`."""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def add_arguments(parser):
    parser.add_argument("--aliquot", default="out/bin/aliquot")
    parser.add_argument("--interposer", default="out/lib/libaliquot-cuda.so")
    parser.add_argument("--spin", help="the load program (default: compiled with g++)")
    parser.add_argument("--gpu", nargs="*", default=[], metavar="UUID",
                        help="which GPUs to use (default: the first)")
    parser.add_argument("--simulated", help="folder of the simulated libraries")
    parser.add_argument("--scale", type=float, default=5, help="time scale of the simulation")


class Host:
    """The machine: a folder of its own for the grants, the environment, the programs."""

    def __init__(self, options):
        for name in ("aliquot", "interposer", "spin", "simulated"):
            value = getattr(options, name)
            if value:
                setattr(options, name, str(pathlib.Path(value).resolve()))
                if not pathlib.Path(value).exists():
                    sys.exit(f"--{name}: {value} does not exist")
        self.o = options
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="aliquot-bench-"))
        self.folder = self.root / "grants"
        self.base = dict(os.environ)
        self.nvml_path = "libnvidia-ml.so.1"
        if options.gpu:
            self.base["CUDA_VISIBLE_DEVICES"] = ",".join(options.gpu)
        if options.simulated:
            (self.root / "sim").mkdir()
            self.nvml_path = options.simulated + "/libnvidia-ml.so.1"
            simulation = {"LD_LIBRARY_PATH": options.simulated, "ALIQUOT_SIM_NODE": "h200-x1",
                          "ALIQUOT_SIM_STATE": str(self.root / "sim"),
                          "ALIQUOT_SIM_TIME_SCALE": str(options.scale),
                          "ALIQUOT_SIM_LIBRARY": self.nvml_path}
            self.base.update(simulation)
            os.environ.update(simulation)  # for Nvml, which is loaded into this process
        self.spin = options.spin or self._build_spin()

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def _build_spin(self):
        target = self.root / "spin"
        subprocess.run(["g++", "-O2", "-std=c++20", "-o", target, HERE / "spin.cc", "-ldl"],
                       check=True)
        return str(target)

    def speed(self):
        """Iterations of spin's kernel that take a microsecond on the idle GPU."""
        out = subprocess.run([self.spin, "--calibrate"], env=self.base, check=True,
                             capture_output=True, text=True).stdout
        return json.loads(out)["iterations_per_us"]

    def environment(self, tenant=None):
        """What a program runs with: natively, or as one of `tenant`."""
        if tenant is None:
            return dict(self.base)
        return dict(self.base, LD_PRELOAD=self.o.interposer,
                    ALIQUOT_GRANT_DIR=str(self.folder / tenant))


class Arbiter:
    """`aliquot arbiter` with tenants given as dictionaries of what --tenant takes."""

    def __init__(self, host, tenants, arguments=()):
        self.host = host
        command = [host.o.aliquot, "arbiter", "--socket-dir", str(host.folder), "-o", "json",
                   *arguments]
        for tenant in tenants:
            command += ["--tenant", ",".join(f"{k}={v}" for k, v in tenant.items())]
        for gpu in host.o.gpu:
            command += ["--gpu", gpu]
        if host.o.simulated:
            command += ["--node", "h200-x1"]
        self.process = subprocess.Popen(command, env=host.base, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        deadline = time.monotonic() + 30
        while not all((host.folder / t["name"] / "socket").exists() for t in tenants):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the arbiter did not start: run it by hand with: " + " ".join(command))
            time.sleep(0.02)

    def stop(self):
        """Ends it; what tenants used, and the processor time it took itself."""
        ticks = sum(map(int, pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
                        .rsplit(")", 1)[1].split()[11:13]))
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate()
        shutil.rmtree(self.host.folder, ignore_errors=True)
        return {"tenants": json.loads(out.splitlines()[-1]),
                "cpu_seconds": ticks / os.sysconf("SC_CLK_TCK")}


class Nvml:
    """What the driver says about processes, from outside of any share."""

    class Process(ctypes.Structure):
        _fields_ = [("pid", ctypes.c_uint), ("used", ctypes.c_ulonglong),
                    ("gi", ctypes.c_uint), ("ci", ctypes.c_uint)]

    class Sample(ctypes.Structure):
        _fields_ = [("pid", ctypes.c_uint), ("time", ctypes.c_ulonglong), ("sm", ctypes.c_uint),
                    ("memory", ctypes.c_uint), ("encoder", ctypes.c_uint),
                    ("decoder", ctypes.c_uint)]

    def __init__(self, host):
        self.lib = ctypes.CDLL(host.nvml_path)
        self.lib.nvmlInit_v2()
        self.device = ctypes.c_void_p()
        if host.o.gpu:
            self.lib.nvmlDeviceGetHandleByUUID(host.o.gpu[0].encode(), ctypes.byref(self.device))
        else:
            self.lib.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.device))

    def used(self, pids):
        """Bytes that these processes hold together."""
        rows = (self.Process * 256)()
        count = ctypes.c_uint(256)
        self.lib.nvmlDeviceGetComputeRunningProcesses_v3(self.device, ctypes.byref(count), rows)
        return sum(r.used for r in rows[:count.value] if r.pid in pids)

    def utilization(self, since_us):
        """[(pid, time in us, percent of the multiprocessors' time)] since then."""
        rows = (self.Sample * 512)()
        count = ctypes.c_uint(512)
        status = self.lib.nvmlDeviceGetProcessUtilization(self.device, rows, ctypes.byref(count),
                                                          ctypes.c_ulonglong(since_us))
        return [(r.pid, r.time, r.sm) for r in rows[:count.value]] if status == 0 else []
