# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The namespaces that the cluster lives in, and the machine it believes to be on.

Inside, the root directory is the machine's own, read only, below a file system in memory that takes
every write: what the cluster, its pods and the programs under test leave in /var, /etc or /run never
reaches the machine and is gone with the cluster. On top come the files, device nodes and PCI
entries by which a host shows its GPUs, written by `aliquot sim tree`. Killing the first process of
the process namespace ends everything; no orderly shutdown is needed for a clean machine.
"""

import os
import signal
import subprocess
from pathlib import Path

from harness import binaries, layout
from harness.shell import Failure, run, wait_until

MEMORY = layout.STATE / "memory"  # where the file system in memory is, inside
ROOT = MEMORY / "root"
NAMESPACES = ["--mount", "--net", "--pid", "--ipc", "--uts"]

# What a node of a cluster finds empty, whatever the machine has there.
EMPTY = ["etc/cdi", "etc/cni", "etc/kubernetes", "run", "tmp", "var/lib/aliquot", "var/lib/cni",
         "var/lib/containerd", "var/lib/etcd", "var/lib/kubelet", "var/log", "opt/cni"]

# Kernel settings that the kubelet insists on. They belong to the whole machine, so it is shown
# files that have them already.
SETTINGS = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10,
            "kernel/panic_on_oops": 1, "kernel/keys/root_maxkeys": 1000000,
            "kernel/keys/root_maxbytes": 25000000}


def environment():
    """The environment in which the cluster's programs are found and its API answers."""
    env = dict(os.environ)
    env["PATH"] = (f"{binaries.kubernetes().directory}:{binaries.CONTAINERD.directory}:"
                   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    env["KUBECONFIG"] = str(layout.KUBECONFIG)
    env["CONTAINERD_ADDRESS"] = layout.CONTAINERD
    env["CONTAINERD_NAMESPACE"] = "k8s.io"
    env["HOME"] = "/root"
    return env


def _first_processes():
    """Ids of the first processes of our namespaces; there is more than one only after a crash."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if words[0].endswith(b"/pause") and words[1] == layout.NAME.encode():
            found.append(int(path.parent.name))
    return found


def init_pid():
    """Process id of the first process inside, or None if there is no cluster."""
    return next(iter(_first_processes()), None)


def create(tied):
    """Makes the namespaces, with a first process that waits to be killed. It is told our name, by
    which it is found again whatever became of those who started it. If it is `tied` it ends with
    the program that called this, however that ends."""
    command = ["unshare", *NAMESPACES, "--propagation", "private", "--fork",
               *(["--kill-child"] if tied else []),
               binaries.CONTAINERD.directory / "pause", layout.NAME]
    if tied:
        command = ["setpriv", "--pdeathsig", "KILL", *command]
    nothing = subprocess.DEVNULL
    parent = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing,
                              start_new_session=True)

    def started():
        if parent.poll() is not None:
            raise Failure(f"unshare ended with status {parent.returncode}")
        return init_pid()

    wait_until("the first process of the namespaces", started, 10)


def destroy():
    """Ends everything inside. Returns when it is gone: the kernel lets the first process of a
    namespace go last."""
    for pid in _first_processes():
        os.kill(pid, signal.SIGKILL)
    wait_until("the cluster's processes to end", lambda: not _first_processes(), 20, every=0.02)


def entering(command):
    """The command that runs `command` inside."""
    pid = init_pid()
    if pid is None:
        raise Failure("no cluster is up; `tests/cluster/cluster up` starts one")
    # nsenter's own option for a working directory means the one outside.
    return ["nsenter", f"--target={pid}", *NAMESPACES, "--", "env", f"--chdir={layout.REPO}"] + [
        str(part) for part in command]


# What follows runs inside, before anything else does.


def _mount(kind, source, target, *options):
    target = Path(target)
    if not target.exists():
        target.mkdir(parents=True)
    run("mount", *(["-t", kind] if kind else []), *options, source, target)


def _bind(source, target):
    target = Path(target)
    if not target.exists():
        if Path(source).is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    run("mount", "--bind", source, target)


def _root_directory():
    _mount("tmpfs", "cluster", MEMORY, "-o", "size=75%,mode=755")
    for name in ("upper", "work", "root", "empty", "settings"):
        (MEMORY / name).mkdir()
    _mount("overlay", "cluster", ROOT, "-o",
           f"lowerdir=/,upperdir={MEMORY}/upper,workdir={MEMORY}/work")
    for name in EMPTY:
        own = MEMORY / "empty" / name.replace("/", "-")
        own.mkdir(mode=0o1777 if name == "tmp" else 0o755)
        own.chmod(0o1777 if name == "tmp" else 0o755)
        _bind(own, ROOT / name)
    (ROOT / "run/lock").mkdir()
    # Seen inside at their own paths, whatever file systems they are on. Logs are written outside, so
    # that they stay.
    for path in (layout.REPO, layout.CACHE):
        _bind(path, f"{ROOT}{path}")
        run("mount", "-o", "remount,bind,ro", f"{ROOT}{path}")
    _bind(layout.STATE, f"{ROOT}{layout.STATE}")
    (layout.LOGS / "pods").mkdir(exist_ok=True)
    _bind(layout.LOGS / "pods", ROOT / "var/log/pods")


def _devices():
    _mount("tmpfs", "dev", ROOT / "dev", "-o", "mode=755")
    for entry in sorted(Path("/dev").iterdir()):
        if not entry.name.startswith("nvidia") and (entry.is_char_device() or entry.is_symlink()):
            run("cp", "-a", entry, ROOT / "dev")
    (ROOT / "dev/ptmx").unlink(missing_ok=True)
    (ROOT / "dev/ptmx").symlink_to("pts/ptmx")
    _mount("devpts", "devpts", ROOT / "dev/pts", "-o", "newinstance,ptmxmode=0666,mode=620,gid=5")
    _mount("tmpfs", "shm", ROOT / "dev/shm", "-o", "mode=1777")
    _mount("mqueue", "mqueue", ROOT / "dev/mqueue")


def _system():
    _mount("proc", "proc", ROOT / "proc")
    _mount("sysfs", "sysfs", ROOT / "sys")
    run("mount", "--rbind", "/sys/fs/cgroup", ROOT / "sys/fs/cgroup")
    for name, value in SETTINGS.items():
        file = MEMORY / "settings" / name.replace("/", "-")
        file.write_text(f"{value}\n")
        _bind(file, ROOT / "proc/sys" / name)


def _gpus(node):
    """Shows the GPUs of a simulated node the way a host does."""
    tree = MEMORY / "gpus"
    run(layout.OUT / "bin/aliquot", "sim", "tree", "--mknod", tree,
        env=dict(os.environ, ALIQUOT_SIM_NODE=node))
    for name in ("usr", "lib", "dev"):
        run("cp", "-a", f"{tree}/{name}/.", f"{ROOT}/{name}/")
    for name in ("proc/driver", "proc/modules", "proc/devices", "sys/bus/pci"):
        if (ROOT / name).exists() and (tree / name).exists():
            _bind(tree / name, ROOT / name)


def _network():
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{layout.SERVICE_IP}/32", "dev", "lo")
    # With an address of its own: else it takes that of some pod, and with every pod that comes or
    # goes it may take another, which all others learn of half a minute later.
    run("ip", "link", "add", "name", "pods0", "address", "02:00:0a:f4:00:01", "type", "bridge")
    run("ip", "address", "add", f"{layout.NODE_IP}/24", "dev", "pods0")
    run("ip", "link", "set", "pods0", "up")


def furnish(node):
    """Builds the root directory around the simulated node and moves into it."""
    _network()
    _root_directory()
    _devices()
    _system()
    _gpus(node)
    run("hostname", layout.NODE)
    (ROOT / "etc/hostname").write_text(layout.NODE + "\n")
    (ROOT / "etc/hosts").write_text(f"127.0.0.1 localhost\n{layout.NODE_IP} {layout.NODE}\n")
    old = ROOT / "mnt/machine"
    old.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    run("pivot_root", ".", "mnt/machine")
    os.chdir("/")
    run("umount", "--lazy", "/mnt/machine")
    run("mount", "--make-rshared", "/")  # as on a host: mounts reach the pods that ask for them
