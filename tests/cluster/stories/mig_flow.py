# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""MIG by a label of the node: devices that go and come, refusals, holders, both strategies."""

import json
import os
import shutil
import stat
import time
import urllib.request
from pathlib import Path

from harness import images, layout
from harness.shell import run
from harness.story import is_ready, restarts
from stories.objects import config_map, namespace
from stories.walkthrough import AGENT, INSTALL, NAMESPACE, agent_pod, nothing_denied, uninstall, \
    user_types

SIMULATED = "a100-40gb-x8"
GPUS = 8
# The node of the other stories has a T4. This one's driver is in a root of its own, where a driver
# container would have it.
DRIVER = Path("/run/nvidia/driver")
STATE = "/run/aliquot/simulated-a100"

CONFIG = "nvidia.com/mig.config"
STATE_LABEL = "nvidia.com/mig.config.state"
SMALL, LARGE = "nvidia.com/mig-1g.5gb", "nvidia.com/mig-3g.20gb"

VALUES = f""" --set hostPaths.driverRoot={DRIVER} --set mig.strategy=mixed
 --set migManager.config.name=layouts
 --set agent.env[0].name=ALIQUOT_SIM_STATE --set agent.env[0].value={STATE}
 --set agent.env[1].name=ALIQUOT_SIM_NODE --set agent.env[1].value={SIMULATED}"""

# Two of eight GPUs; nobody speaks of the others.
LAYOUTS = """\
version: v1
mig-configs:
  two-gpus:
  - devices: [0]
    mig-enabled: true
    mig-devices: {1g.5gb: 7}
  - devices: [1]
    mig-enabled: true
    mig-devices: {3g.20gb: 2}
  whole-again:
  - devices: [0, 1]
    mig-enabled: false
"""

LOOK = """\
for file in /dev/nvidia[0-9]* /dev/nvidia-caps/*; do
  [ -e $file ] && stat -c "%n %t:%T" $file
done
env | grep ^NVIDIA_
exec sleep 1000000
"""


def sim(*words):
    """Lets something happen to the simulated GPUs."""
    run(layout.OUT / "bin/aliquot", "sim", *words,
        env=dict(os.environ, ALIQUOT_SIM_NODE=SIMULATED, ALIQUOT_SIM_STATE=STATE))


def make_driver_root():
    shutil.rmtree(STATE, ignore_errors=True)
    os.makedirs(STATE)
    sim("tree", "--mknod", DRIVER)
    # The nodes of MIG capabilities, which the driver makes together with instances, are all there
    # from the beginning.
    majors = (DRIVER / "proc/devices").read_text().splitlines()
    major = next(int(line.split()[0]) for line in majors if line.endswith(" nvidia-caps"))
    for line in (DRIVER / "proc/driver/nvidia-caps/mig-minors").read_text().splitlines():
        path, minor = line.split()
        node = DRIVER / f"dev/nvidia-caps/nvidia-cap{minor}"
        if path.startswith("gpu") and int(path[3:].split("/")[0]) < GPUS and not node.exists():
            os.mknod(node, stat.S_IFCHR | 0o444, os.makedev(major, int(minor)))


def minor_of(capability):
    """The minor number of a capability, such as "gpu0/gi7/access"."""
    lines = (DRIVER / "proc/driver/nvidia-caps/mig-minors").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == capability)


def label(story, value):
    """Asks for a configuration."""
    story.kubectl("label", "--overwrite", "node", layout.NODE, f"{CONFIG}={value}")


def state(story):
    return story.get("node", layout.NODE)["metadata"]["labels"].get(STATE_LABEL)


def mig_status(story):
    """What the agent's /statusz says of MIG."""
    address = agent_pod(story)["status"]["podIP"]
    return json.load(urllib.request.urlopen(f"http://{address}:9410/statusz", timeout=5))["mig"]


def reaches(story, config, wanted):
    """Waits until /statusz has settled on the configuration in the state `wanted` and the label
    follows; returns the reason."""
    def there():
        told = mig_status(story)
        now = (told["config"], told["state"], told["phase"])
        return told if now == (config, wanted, "settled") else None

    told = story.wait(f"{config} to be {wanted}", there)
    story.wait(f"the label to say {wanted}", lambda: state(story) == wanted)
    return told["reason"]


def told(story, reason, parts):
    """Waits for an Event of the node with all of `parts`."""
    return story.wait(f"an Event {reason} with {parts}", lambda: [
        event for event in story.events(reason, layout.NODE)
        if all(part in event["message"] for part in parts)])[-1]


def offers(story, **counts):
    """Waits until the node's status has these counts, with resources by the last part of their
    names."""
    def there():
        have = story.get("node", layout.NODE)["status"]["allocatable"]
        found = {name: have.get(f"nvidia.com/{name}", "0") for name in wanted}
        return found == wanted

    wanted = {name.replace("__", "-").replace("_", "."): str(count)
              for name, count in counts.items()}
    story.wait(f"the node to offer {wanted}", there)


def user(name, resource):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": "mig"}},
            "spec": {"terminationGracePeriodSeconds": 0, "restartPolicy": "Never", "containers": [{
                "name": "main", "image": images.BUSYBOX, "imagePullPolicy": "Never",
                "command": ["sh", "-c", LOOK], "resources": {"limits": {resource: 1}}}]}}


def run_user(story, name, resource):
    """A pod with one device; returns the lines that it says about itself."""
    story.apply(user(name, resource))
    story.wait(f"pod {name}", lambda: is_ready(story.get("pod", name)))
    return story.wait(f"pod {name} to look around", lambda: story.kubectl("logs", name).splitlines())


def install(story):
    with story.step(f"helm install on a node with {GPUS} A100: whole GPUs"):
        make_driver_root()
        story.apply(namespace(NAMESPACE), config_map("layouts", **{"config.yaml": LAYOUTS}))
        user_types(INSTALL + VALUES)
        offers(story, gpu=GPUS)
        story.wait("the agent to be ready", lambda: len(story.running(AGENT)) == 1)


def change(story):
    with story.step("label two-gpus: pending, two GPUs withdrawn, then nine MIG devices, success"):
        # The driver waits for us there, so that what happens in between can be seen.
        sim("slow", "--call", "nvmlDeviceCreateGpuInstanceWithPlacement", "--hang")
        before = {pod["metadata"]["uid"]: restarts(pod) for pod in story.running(AGENT)}
        label(story, "two-gpus")
        story.wait("the state pending", lambda: state(story) == "pending", every=0.05)
        offers(story, gpu=GPUS - 2, mig__1g_5gb=0, mig__3g_20gb=0)
        story.expect(state(story) == "pending", "the GPUs to be withdrawn before they change")
        story.expect(len(mig_status(story)["gpusWithheld"]) == 2, "two GPUs withheld in /statusz")
        sim("reset")
        reaches(story, "two-gpus", "success")
        offers(story, gpu=GPUS - 2, mig__1g_5gb=7, mig__3g_20gb=2)
        told(story, "MigConfigPending", ["two-gpus", "GPU 0 ", "GPU 1 "])
        told(story, "MigConfigApplied", ["two-gpus"])
        after = {pod["metadata"]["uid"]: restarts(pod) for pod in story.running(AGENT)}
        story.expect(after == before, "the same agent, not restarted")


def use(story):
    with story.step("a pod that asks for a MIG device has its device nodes and no others"):
        lines = run_user(story, "small", SMALL)
        caps = sorted(int(line.split()[0].rpartition("cap")[2]) for line in lines
                      if "/nvidia-caps/" in line)
        instances = [[minor_of(f"gpu0/gi{gi}/access"), minor_of(f"gpu0/gi{gi}/ci0/access")]
                     for gi in range(7, 15)]
        story.expect(caps in instances, f"the capabilities of one 1g.5gb of GPU 0, found {lines}")
        gpus = [line.split()[0] for line in lines if line.startswith("/dev/nvidia")
                and "caps" not in line]
        story.expect(gpus == ["/dev/nvidia0"], f"GPU 0 alone, found {lines}")
        lines = run_user(story, "large", LARGE)
        story.expect(any(line.startswith("/dev/nvidia1 ") for line in lines), f"GPU 1 in {lines}")


def refuse(story):
    with story.step("a label that names nothing: failed, with the valid choices; all serve on"):
        label(story, "all-1g.6gb")
        reason = reaches(story, "all-1g.6gb", "failed")
        parts = ["all-1g.6gb", "two-gpus", "whole-again", "all-1g.5gb", "all-disabled"]
        for part in parts:
            story.expect(part in reason, f'"{part}" in /statusz, which says "{reason}"')
        story.expect(told(story, "MigConfigFailed", parts)["type"] == "Warning", "a warning")
        offers(story, gpu=GPUS - 2, mig__1g_5gb=7, mig__3g_20gb=2)


def hold(story):
    with story.step("GPUs in use: failed, with the holders by name, nothing touched"):
        sim("process", "--pid", "4711", "--gpu", "1", "--gi", "1", "--ci", "0", "--name", "python")
        label(story, "whole-again")
        reason = reaches(story, "whole-again", "failed")
        parts = [f"{NAMESPACE}/small", f"{NAMESPACE}/large", "4711 python"]
        for part in parts:
            story.expect(part in reason, f'"{part}" in /statusz, which says "{reason}"')
        told(story, "MigConfigFailed", parts)
        offers(story, gpu=GPUS - 2, mig__1g_5gb=7, mig__3g_20gb=2)
        pods = story.running("app=mig")
        story.expect(len(pods) == 2 and not any(map(restarts, pods)), "both pods to run on")

    with story.step("the holders gone: success without another label, whole GPUs again"):
        sim("process", "--pid", "4711", "--remove")
        story.kubectl("delete", "pod", "small", "large")
        began = time.monotonic()
        reaches(story, "whole-again", "success")
        story.measure("holders of a MIG device gone to its layout changed",
                      time.monotonic() - began)
        offers(story, gpu=GPUS, mig__1g_5gb=0, mig__3g_20gb=0)


def single(story):
    with story.step("strategy single and a label that follows from the GPUs: 32 of nvidia.com/gpu"):
        user_types("kubectl patch clusterpolicy/cluster-policy --type merge "
                   """-p '{"spec": {"mig": {"strategy": "single"}}}'""")
        label(story, "all-1g.10gb")
        reaches(story, "all-1g.10gb", "success")
        offers(story, gpu=GPUS * 4)
        wanted = {"nvidia.com/mig.strategy": "single",
                  "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB-MIG-1g.10gb",
                  "nvidia.com/gpu.count": str(GPUS * 4)}
        story.wait(f"labels {wanted}", lambda: wanted.items()
                   <= story.get("node", layout.NODE)["metadata"]["labels"].items())
        lines = run_user(story, "one", "nvidia.com/gpu")
        story.expect(len([line for line in lines if "/nvidia-caps/" in line]) == 2,
                     f"two capabilities in {lines}")
        story.kubectl("delete", "pod", "one")


def tell(story):
    story.namespace = NAMESPACE
    began = time.time()
    install(story)
    change(story)
    use(story)
    refuse(story)
    hold(story)
    single(story)
    nothing_denied(story, began)
    story.kubectl("label", "node", layout.NODE, f"{CONFIG}-", f"{STATE_LABEL}-")
    uninstall(story)
