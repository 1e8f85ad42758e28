# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's programs, built from Go modules once and kept until what they are made of changes.

Several clones of the project may share them, also clones of different age: what is complete is never
changed, and who builds holds a lock.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from harness import layout
from harness.shell import Failure, Stopwatch, Unable, run

DEPS = layout.HERE / "deps.sh"
UNUSED = 30 * 24 * 3600  # seconds after which programs that nobody asked for are removed

# Kubernetes versions, and the file that says what each is built from.
KUBERNETES = {"1.36": "go.mod", "1.34": "go-1.34.mod"}


@dataclass(frozen=True)
class Programs:
    """What is built from one Go module."""
    name: str
    source: Path
    module_file: str
    packages: tuple  # each a package of the module, or "tool": those of others that it names
    aliases: dict  # program -> other names of it, by which it is another program
    version_of: str = ""  # the module whose version the programs tell as theirs

    @functools.cached_property
    def directory(self):
        """Where the programs are, or will be; another place whenever what they are made of
        changes."""
        content = hashlib.sha256(_go_version().encode())
        module = Path(self.module_file)
        files = [*self.source.glob("*.go"), self.source / module,
                 self.source / module.with_suffix(".sum"), *self.source.glob("*.c")]
        for path in sorted(files):
            content.update(path.name.encode() + b"\0" + path.read_bytes())
        return layout.CACHE / f"{self.name}-{content.hexdigest()[:16]}"

    def built(self):
        return (self.directory / "complete").exists()

    def use(self):
        """Notes that somebody needs these programs."""
        (self.directory / "complete").touch()

    def build(self, go, scratch, watch):
        """Builds in the directory `scratch`, then puts the programs where they belong."""
        watch.say(f"building {self.name}")
        target = scratch / self.name
        target.mkdir()
        (scratch / "tmp").mkdir(exist_ok=True)
        env = dict(os.environ, CGO_ENABLED="0", GOTOOLCHAIN="local",
                   GOCACHE=str(scratch / "go-build"), GOTMPDIR=str(scratch / "tmp"))
        common = ["-modfile=" + self.module_file, "-mod=readonly"]
        try:  # fetches every module that is needed
            run(go, "list", *common, "-deps", *self.packages, cwd=self.source, env=env)
        except Failure as failure:
            raise Unable(f"cannot fetch the Go modules of {self.name}: {failure}") from None
        flags = "-s -w" + self._version_flags(go, common, env)
        for package in self.packages:
            run(go, "build", *common, "-buildvcs=false", "-trimpath", "-ldflags", flags, "-o",
                f"{target}/", package, cwd=self.source, env=env)
        for source in self.source.glob("*.c"):
            run("gcc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o",
                target / source.stem, source)
        for program, names in self.aliases.items():
            for name in names:
                (target / name).symlink_to(program)
        shutil.rmtree(self.directory, ignore_errors=True)
        target.rename(self.directory)
        (self.directory / "complete").touch()

    def _version_flags(self, go, common, env):
        if not self.version_of:
            return ""
        version = run(go, "list", *common, "-m", "-f", "{{.Version}}", self.version_of,
                      cwd=self.source, env=env).strip()
        major, minor, _ = version.lstrip("v").split(".")
        values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
        return "".join(f" -X {package}.{name}={value}"
                       for package in ("k8s.io/component-base/version",
                                       "k8s.io/client-go/pkg/version")
                       for name, value in values.items())


@functools.cache
def _go_version():
    """The oldest Go that deps.sh accepts."""
    return re.search(r"^needed=(\S+)$", DEPS.read_text(), re.MULTILINE).group(1)


CONTAINERD = Programs("containerd", layout.HERE / "containerd", "go.mod", (".", "tool"),
                      {"containerd": ("ctr",)})


@functools.cache
def kubernetes():
    """Kubernetes in the version that the environment asks for."""
    version = os.environ.get("ALIQUOT_CLUSTER_KUBERNETES") or next(iter(KUBERNETES))
    if version not in KUBERNETES:
        raise Failure(f"ALIQUOT_CLUSTER_KUBERNETES: \"{version}\" is not one of "
                      f"{', '.join(KUBERNETES)}")
    names = ("etcd", "helm", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
             "kubectl", "kubelet")
    return Programs(f"kubernetes-{version}", layout.HERE / "kubernetes", KUBERNETES[version],
                    (".",), {"kubernetes": names}, "k8s.io/kubernetes")


def _wanted():
    return (CONTAINERD, kubernetes())


def built():
    return all(programs.built() for programs in _wanted())


def _install(*words):
    try:
        return run(DEPS, *words).strip()
    except Failure as failure:
        raise Unable(f"cannot install what the cluster needs: {failure}") from None


@contextlib.contextmanager
def _only_builder():
    """Holds the lock of those who write to the cache."""
    layout.CACHE.mkdir(parents=True, exist_ok=True)
    with open(layout.CACHE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another build in {layout.CACHE}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_missing():
    watch = Stopwatch()
    scratch = layout.CACHE / "building"  # the compiler's cache among it, 3 GB
    go = _install("go")
    shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
    scratch.mkdir()
    try:
        for programs in _wanted():
            if not programs.built():
                programs.build(go, scratch, watch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sizes = [path.stat().st_size for programs in _wanted()
             for path in programs.directory.iterdir() if not path.is_symlink()]
    watch.say(f"programs built, {sum(sizes) / 1e6:.0f} MB")


def _remove_unused():
    for complete in layout.CACHE.glob("*-*/complete"):
        if time.time() - complete.stat().st_mtime > UNUSED:
            shutil.rmtree(complete.parent, ignore_errors=True)


def build():
    """Installs and builds whatever is missing, which takes some ten minutes of two cores the first
    time. Unable if it cannot be fetched."""
    _install()
    if not built():
        with _only_builder():
            _build_missing()
            _remove_unused()
    for programs in _wanted():
        programs.use()
