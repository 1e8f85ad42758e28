# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's programs, built from Go modules once and kept until what they are made of changes."""

import functools
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness import layout
from harness.shell import Failure, Stopwatch, run

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
        content = hashlib.sha256()
        module = Path(self.module_file)
        files = [*self.source.glob("*.go"), self.source / module,
                 self.source / module.with_suffix(".sum"), *self.source.glob("*.c")]
        for path in sorted(files):
            content.update(path.name.encode() + b"\0" + path.read_bytes())
        return layout.CACHE / f"{self.name}-{content.hexdigest()[:16]}"

    def built(self):
        return (self.directory / "complete").exists()

    def build(self, watch):
        if self.built():
            return
        go = run(layout.HERE / "deps.sh", "go").strip()
        watch.say(f"building {self.name}")
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        env = dict(os.environ, CGO_ENABLED="0", GOTOOLCHAIN="local",
                   GOCACHE=str(layout.CACHE / "go-build"))
        common = ["-modfile=" + self.module_file, "-mod=readonly"]
        flags = "-s -w" + self._version_flags(go, common, env)
        for package in self.packages:
            run(go, "build", *common, "-buildvcs=false", "-trimpath", "-ldflags", flags, "-o",
                f"{self.directory}/", package, cwd=self.source, env=env)
        for source in self.source.glob("*.c"):
            run("gcc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o",
                self.directory / source.stem, source)
        for program, names in self.aliases.items():
            for name in names:
                (self.directory / name).symlink_to(program)
        (self.directory / "complete").touch()
        for path in layout.CACHE.glob(self.name + "-*"):  # of former versions of the sources
            if path != self.directory:
                shutil.rmtree(path)

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


def built():
    return CONTAINERD.built() and kubernetes().built()


def build():
    """Installs and builds whatever is missing. The first time takes some ten minutes of two
    cores."""
    run(layout.HERE / "deps.sh")
    if built():
        return
    watch = Stopwatch()
    CONTAINERD.build(watch)
    kubernetes().build(watch)
    shutil.rmtree(layout.CACHE / "go-build", ignore_errors=True)  # 3 GB, for the next version only
    sizes = [path.stat().st_size for programs in (CONTAINERD, kubernetes())
             for path in programs.directory.iterdir() if not path.is_symlink()]
    watch.say(f"programs built, {sum(sizes) / 1e6:.0f} MB")
