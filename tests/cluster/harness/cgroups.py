# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The part of the machine's cgroups that pods live in: one directory, in every hierarchy."""

import os
import signal
import time
from pathlib import Path

from harness import layout

ROOT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuacct", "cpuset", "memory", "pids")
NEEDED_V2 = ("cpu", "cpuset", "memory", "pids")


def unified():
    """True on a machine with cgroup version 2 alone."""
    return (ROOT / "cgroup.controllers").exists()


def _hierarchies():
    if unified():
        return [ROOT]
    return [path for path in sorted(ROOT.iterdir()) if (path / "cgroup.procs").exists()]


def _can_make(directory):
    probe = directory / (layout.NAME + "-probe")
    try:
        probe.mkdir(exist_ok=True)
        probe.rmdir()
        return True
    except OSError:
        return False


def reason_against():
    if not ROOT.is_dir():
        return f"no cgroups at {ROOT}"
    if unified():
        there = (ROOT / "cgroup.controllers").read_text().split()
        missing = [name for name in NEEDED_V2 if name not in there]
    else:
        missing = [name for name in NEEDED if not (ROOT / name / "cgroup.procs").exists()]
    if missing:
        return f"cgroup controllers missing: {', '.join(missing)}"
    for hierarchy in _hierarchies():
        if not _can_make(hierarchy):
            return f"cannot make a cgroup in {hierarchy}"
    return None


def _delegate(directory):
    """Hands the controllers of a version 2 cgroup on to those below it."""
    there = (directory / "cgroup.controllers").read_text().split()
    (directory / "cgroup.subtree_control").write_text(" ".join("+" + name for name in there))


def make():
    for hierarchy in _hierarchies():
        ours = hierarchy / layout.NAME
        ours.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 starts with none of either
            if not unified() and (ours / name).exists():
                (ours / name).write_text((hierarchy / name).read_text())
    if unified():
        _delegate(ROOT)
        _delegate(ROOT / layout.NAME)


def _kill(directory):
    for pid in (directory / "cgroup.procs").read_text().split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass


def remove():
    """Ends what still runs in our cgroups and removes them; returns how many are left."""
    for _ in range(50):
        left = 0
        for hierarchy in _hierarchies():
            for path, _, _ in os.walk(hierarchy / layout.NAME, topdown=False):
                try:
                    _kill(Path(path))
                    os.rmdir(path)
                except OSError:
                    left += 1
        if left == 0:
            return 0
        time.sleep(0.1)
    return left
