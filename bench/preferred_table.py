#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs preferred_allocation_bench and prints its figures as two tables of microseconds.

Exit status 1 if some choice among at most 16 GPUs takes 50 ms or more.
"""
import json
import subprocess
import sys

LIMIT_US = 50_000


def measure(program):
    """{(kind, variant, gpus, replicas, size): µs} of a run."""
    arguments = [program, "--benchmark_format=json", "--benchmark_min_time=0.02",
                 "--benchmark_filter=/(8|16)/"]
    out = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    times = {}
    for entry in json.loads(out.stdout)["benchmarks"]:
        kind, variant, gpus, *rest = entry["name"].split("/")
        replicas = int(rest[0]) if kind == "Replicas" else 1
        times[kind, variant, int(gpus), replicas, int(rest[-1])] = entry["cpu_time"]
    return times


def table(times, title, kind, variants, replicas):
    print(f"\n{title}")
    columns = [(gpus, variant) for gpus in (8, 16) for variant in variants]
    print("size " + "".join(f"{f'{gpus} {variant}':>16}" for gpus, variant in columns))
    for size in range(1, 17):
        cells = [times.get((kind, variant, gpus, replicas, size)) for gpus, variant in columns]
        print(f"{size:4} " + "".join(f"{'-' if c is None else f'{c:.1f}':>16}" for c in cells))


def main():
    times = measure(sys.argv[1])
    table(times, "Preferred allocation of whole GPUs (aligned), µs, by topology", "Aligned",
          ["tied", "pcie", "random", "adversarial"], 1)
    table(times, "Preferred allocation of replicas x 100, a third in use, µs, by policy",
          "Replicas", ["distributed", "packed", "spread"], 100)
    worst = max(times.values())
    verdict = "ok" if worst < LIMIT_US else "OVER"
    print(f"\n{'slowest preferred allocation':<52} {f'{worst / 1000:.2f} ms':<44} {'50 ms':<9} {verdict}")
    return 0 if worst < LIMIT_US else 1


sys.exit(main())
