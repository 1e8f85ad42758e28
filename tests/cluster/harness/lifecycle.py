# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Up, down, and what a test does to a running cluster from inside."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from harness import binaries, cgroups, components, images, layout, pki, sandbox
from harness.shell import Failure, Stopwatch, run, succeeds, wait_until

KUBELET_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")


@contextlib.contextmanager
def owned():
    """Holds the lock of those who decide about this clone's cluster."""
    layout.LOCK.parent.mkdir(parents=True, exist_ok=True)
    with open(layout.LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("another program is using this clone's cluster; wait for it, or use "
                          "another clone") from None
        yield


def up(node, tied=False):
    """From the machine: a new cluster on the simulated `node`, in place of one that is there. If it
    is `tied` it does not outlive the calling program."""
    binaries.build()
    watch = Stopwatch()
    down()
    shutil.rmtree(layout.STATE, ignore_errors=True)
    layout.STATE.mkdir(parents=True, mode=0o700)
    layout.LOGS.mkdir()
    layout.PIDS.mkdir()
    layout.SIMULATED.write_text(node)
    watch.say(images.make(node))
    pki.make()
    cgroups.make()
    sandbox.create(tied)
    done = subprocess.run(sandbox.entering([sys.executable, layout.HERE / "cluster", "inside-up",
                                            node]), env=sandbox.environment())
    if done.returncode != 0:
        raise Failure("the cluster did not come up; its logs are in " + str(layout.LOGS))
    watch.say("cluster is up; `tests/cluster/cluster run kubectl get pods -A` looks around")


def down():
    """From the machine: ends the cluster, or what a killed run left of one."""
    sandbox.destroy()
    left = cgroups.remove()
    if left:
        raise Failure(f"{left} cgroups named {layout.NAME} cannot be removed")


def _start(name, command):
    log = open(layout.LOGS / f"{name}.log", "ab")
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                               stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                               cwd="/")
    (layout.PIDS / name).write_text(str(process.pid))
    return process


def _wait(what, process, condition, seconds=300):
    """Waits for what `process` brings about; the end of its log if that does not come."""
    name = Path(process.args[0]).name

    def answer():
        if process.poll() is not None:
            raise Failure(f"{name} ended with status {process.returncode}")
        return condition()

    try:
        wait_until(what, answer, seconds, every=0.2)
    except Failure as failure:
        log = (layout.LOGS / f"{name}.log").read_text(errors="replace").splitlines()[-8:]
        raise Failure("\n  ".join([str(failure)] + log)) from None


def inside_up(node):
    """From inside the new namespaces, once: the node and everything that runs on it."""
    watch = Stopwatch()
    sandbox.furnish(node)
    network = Path("/etc/cni/net.d")
    network.mkdir()
    (network / "pods.conflist").write_text(components.pod_network())

    _start("etcd", components.etcd())
    containerd = _start("containerd", components.containerd())
    apiserver = _start("kube-apiserver", components.apiserver())
    _wait("containerd", containerd, lambda: succeeds("ctr", "version"))
    for archive in sorted(layout.IMAGES.glob("*.tar")):
        run("ctr", "images", "import", "--digests=false", archive)
    watch.say("containerd is up, images are imported")
    _wait("the API server", apiserver, lambda: succeeds("kubectl", "get", "--raw", "/readyz"))
    watch.say("API server is ready")
    controllers = _start("kube-controller-manager", components.controller_manager())
    _start("kube-scheduler", components.scheduler())
    kubelet = _start("kubelet", components.kubelet())
    _wait("the node to be ready", kubelet, lambda: succeeds(
        "kubectl", "wait", "--for=condition=Ready", f"node/{layout.NODE}", "--timeout=5s"))
    watch.say(f"node is ready: Kubernetes {_kubelet_version()}")
    _wait("the default service account", controllers, lambda: succeeds(
        "kubectl", "get", "serviceaccount", "default"))


def _kubelet_version():
    return run("kubectl", "get", "node", layout.NODE, "-o",
               "jsonpath={.status.nodeInfo.kubeletVersion}")


def _ended(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b""
    except OSError:
        return True


def stop_kubelet():
    """From inside: ends the kubelet, leaving pods alone."""
    pid = int((layout.PIDS / "kubelet").read_text())
    os.kill(pid, signal.SIGTERM)
    wait_until("the kubelet to end", lambda: _ended(pid), 20, every=0.02)


def start_kubelet():
    """From inside: starts it again; returns when its device plugin socket is there."""
    before = KUBELET_SOCKET.stat().st_ino if KUBELET_SOCKET.exists() else None
    process = _start("kubelet", components.kubelet())
    _wait("the kubelet's socket", process, lambda: KUBELET_SOCKET.exists()
          and KUBELET_SOCKET.stat().st_ino != before)
