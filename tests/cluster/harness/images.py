# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The images of the cluster's pods, made on the spot: there is no registry to pull from."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import binaries, layout
from harness.shell import run

sys.path.insert(0, str(layout.REPO / "deploy" / "image"))
import oci  # noqa: E402  (found only now)

PAUSE = "localhost/pause:1"
BUSYBOX = "localhost/busybox:1"
PLAIN = "localhost/aliquot:plain"  # as it is published


def aliquot():
    """The name by which the chart asks for Aliquot's image; a name of our own without a chart."""
    values = layout.REPO / "deploy/helm/aliquot/values.yaml"
    chart = layout.REPO / "deploy/helm/aliquot/Chart.yaml"
    if not values.exists():
        return "localhost/aliquot:dev"
    image = re.search(r"^image:\n((?:[ #].*\n|\n)+)", values.read_text(), re.MULTILINE).group(1)

    def value(name):
        found = re.search(rf'^  {name}: *"?([^"\s#]*)"?', image, re.MULTILINE)
        return found.group(1) if found else ""

    tag = value("tag") or re.search(r'^appVersion: *"?([^"\s]*)"?', chart.read_text(),
                                    re.MULTILINE).group(1)
    repository = value("repository")
    # A runtime looks for a name without a registry under the name of the default one.
    named = "." in repository.partition("/")[0]
    return f"{'' if named else 'docker.io/'}{repository}:{tag}"


def _pause(root):
    shutil.copy(binaries.CONTAINERD.directory / "pause", root / "pause")
    oci.write(layout.IMAGES / "pause.tar", PAUSE, root, ["/pause"])


def _busybox(root):
    program = shutil.which("busybox")
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        (root / name).mkdir()
    shutil.copy(program, root / "bin/busybox")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout
    for name in applets.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    oci.write(layout.IMAGES / "busybox.tar", BUSYBOX, root, ["/bin/sh"])


def make(node):
    """Writes every archive anew; `node` is the simulated node that agents in pods see."""
    shutil.rmtree(layout.IMAGES, ignore_errors=True)
    layout.IMAGES.mkdir(parents=True)
    for fill in (_pause, _busybox):
        with tempfile.TemporaryDirectory() as directory:
            fill(Path(directory))
    build = layout.REPO / "deploy/image/build-oci"
    run(build, "--reference", PLAIN, layout.IMAGES / "aliquot-plain.tar")
    # The simulated driver is found on the host, like a real one. It has to be told which node it is,
    # and the agent that the PCI bus to look at is not the kernel's but what the host shows.
    return run(build, "--reference", aliquot(), "--env", f"ALIQUOT_SIM_NODE={node}",
               "--env", "ALIQUOT_HOST_ROOT=/driver-root", layout.IMAGES / "aliquot.tar").strip()
