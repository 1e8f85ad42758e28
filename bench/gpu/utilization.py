#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Holds NVML's process utilisation, which the agent's audit reads, against what programs did.

    bench/gpu/utilization.py [--processes 8]

One process of tenant a and several of b always have kernels to run, enforced at 1:1. As the audit
does, once a second NVML is asked for the newest sample of each process, and each is taken to hold
for that second; windows of 5 s are compared with the GPU time that the programs' kernels need.
"""

import argparse
import json
import subprocess
import sys
import time

import shared_gpu


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    shared_gpu.add_arguments(parser)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    o = parser.parse_args()
    host = shared_gpu.Host(o)
    nvml = shared_gpu.Nvml(host)
    speed = host.speed()
    arbiter = shared_gpu.Arbiter(host, [{"name": n, "weight": 1, "memory": 16 << 30}
                                        for n in ("a", "b")])
    groups = {"a": [], "b": []}
    for name, count in (("a", 1), ("b", o.processes)):
        for _ in range(count):
            groups[name].append(subprocess.Popen(
                [host.spin, "--seconds", str(o.seconds + 2), "--kernel-us", "200",
                 "--iterations-per-us", str(speed)],
                env=host.environment(name), stdout=subprocess.PIPE, text=True))
    time.sleep(2)
    pids = {p.pid: name for name, group in groups.items() for p in group}
    newest = max((t for _, t, _ in nvml.utilization(0)), default=0)
    busy, samples, looks = {"a": 0.0, "b": 0.0}, 0, 0
    began = last = time.monotonic()
    while time.monotonic() < began + o.seconds:
        time.sleep(1)
        rows = [r for r in nvml.utilization(newest) if r[1] > newest]
        now = time.monotonic()
        latest = {}
        for pid, at, percent in rows:
            newest = max(newest, at)
            latest[pid] = max(latest.get(pid, (0, 0)), (at, percent))
        samples += len(rows)
        looks += 1
        for pid, (_, percent) in latest.items():
            if pid in pids:
                busy[pids[pid]] += percent / 100 * (now - last)
        last = now
    took = last - began
    print(f"{samples} samples in {looks} looks at {len(pids)} processes")
    for name, group in groups.items():
        shares = sum(json.loads(p.communicate()[0])["share"] for p in group)
        print(f"{name}: {len(group)} processes: NVML {busy[name] / took:.3f} of the time, their "
              f"kernels {shares:.3f}", flush=True)
    for tenant in arbiter.stop()["tenants"]:
        print(f"{tenant['tenant']}: the arbiter counted {tenant['devices'][0]['gpuSeconds']:.2f} s")
    host.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
