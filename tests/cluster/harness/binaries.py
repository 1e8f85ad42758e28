# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's programs, built from Go modules once and kept until what they are made of changes."""

import functools
import hashlib
import os
import shutil
from pathlib import Path

from harness import layout
from harness.shell import Stopwatch, run

SOURCES = layout.HERE / "k8s"
INIT_SOURCE = layout.HERE / "pause.c"

# Programs that are a name of another one.
ALIASES = {
    "kubernetes": ("etcd", "helm", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
                   "kubectl", "kubelet"),
    "containerd": ("ctr",),
}


@functools.cache
def directory():
    """Where the programs of the present sources are, or will be."""
    content = hashlib.sha256()
    files = [path for path in SOURCES.rglob("*") if path.suffix in (".go", ".mod", ".sum")]
    for path in sorted(files) + [INIT_SOURCE]:
        content.update(str(path.relative_to(layout.HERE)).encode() + b"\0" + path.read_bytes())
    return layout.CACHE / ("bin-" + content.hexdigest()[:16])


def built():
    return (directory() / "complete").exists()


def _module_version(go, module, env):
    return run(go, "list", "-m", "-f", "{{.Version}}", module, cwd=SOURCES, env=env).strip()


def _version_flags(version):
    """What makes the Kubernetes programs tell their version."""
    major, minor, _ = version.lstrip("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={value}"
                    for package in packages for name, value in values.items())


def build():
    """Installs and builds whatever is missing. The first time takes some ten minutes of two
    cores."""
    run(layout.HERE / "deps.sh")
    if built():
        return
    watch = Stopwatch()
    go = run(layout.HERE / "deps.sh", "go").strip()
    target = directory()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    cache = layout.CACHE / "go-build"
    env = dict(os.environ, CGO_ENABLED="0", GOTOOLCHAIN="local", GOCACHE=str(cache),
               GOFLAGS=f"-mod=readonly -buildvcs=false -trimpath {os.environ.get('GOFLAGS', '')}")
    strip = "-s -w"
    watch.say("fetching Go modules")
    version = _module_version(go, "k8s.io/kubernetes", env)
    watch.say("building containerd")
    run(go, "build", "-ldflags", strip, "-o", f"{target}/", "tool", cwd=SOURCES, env=env)
    run(go, "build", "-ldflags", strip, "-o", f"{target}/", "./containerd", cwd=SOURCES, env=env)
    watch.say(f"building Kubernetes {version}, etcd and helm; this is the long one")
    run(go, "build", "-ldflags", f"{strip} {_version_flags(version)}", "-o", f"{target}/",
        "./kubernetes", cwd=SOURCES, env=env)
    for program, names in ALIASES.items():
        for name in names:
            (target / name).symlink_to(program)
    run("gcc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o", target / "pause", INIT_SOURCE)
    shutil.rmtree(cache)  # 3 GB that only the next change of version would use
    (target / "complete").touch()
    for path in layout.CACHE.glob("bin-*"):
        if path != target:
            shutil.rmtree(path)
    size = sum(path.stat().st_size for path in target.iterdir() if not path.is_symlink())
    watch.say(f"programs built, {size / 1e6:.0f} MB in {target}")


def path(name):
    return Path(directory() / name)
