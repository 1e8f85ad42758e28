# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The chart's simulation: a node without GPUs or driver pretends to have eight of them."""

from harness import images, layout
from harness.story import restarts
from stories.objects import config_map, consumers, time_slicing
from stories.walkthrough import AGENT, PATCH, helm_installs, user_types

NAMESPACE = "aliquot"
GPUS = 8

# As in docs/install.md; the image is the one that is published, without the tests' environment.
INSTALL = """helm install aliquot deploy/helm/aliquot -n aliquot --create-namespace
 --set simulation.enabled=true --set simulation.node=a100-40gb-x8"""


def labelled(story, key):
    return story.get("node", layout.NODE)["metadata"]["labels"].get(key)


def tell(story):
    story.namespace = NAMESPACE
    with story.step(f"helm install with simulation.enabled: {GPUS} GPUs, labelled as simulated"):
        repository, _, tag = images.PLAIN.rpartition(":")
        helm_installs(story, INSTALL, "--set", f"image.repository={repository}", "--set",
                      f"image.tag={tag}")
        story.wait_allocatable(GPUS)
        story.wait("the label that warns", lambda: labelled(story, "aliquot.dev/simulated") == "true")
        story.wait("the product", lambda: labelled(story, "nvidia.com/gpu.product")
                   == "NVIDIA-A100-SXM4-40GB")
        story.wait("the policy to be ready", lambda: story.get(
            "clusterpolicy", "cluster-policy").get("status", {}).get("state") == "ready")

    with story.step("shares of the simulated GPUs, applied live"):
        story.apply(config_map("time-slicing-config", any=time_slicing(4)))
        user_types(PATCH.replace("-n gpu-operator ", ""))
        story.wait_allocatable(4 * GPUS)
        agent, = story.running(AGENT)
        story.expect(restarts(agent) == 0, "no restart of the agent")

    with story.step("a pod is placed and told of its device, and has no device nodes"):
        story.apply(consumers(3, 1))
        story.wait("3 consumers", lambda: len(story.running("app=consumers")) == 3)
        for pod in story.running("app=consumers"):
            seen = story.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c",
                                 "echo $NVIDIA_VISIBLE_DEVICES; ls /dev")
            story.expect(seen.startswith("GPU-") and "nvidia" not in seen,
                         f"the UUID of a GPU and no node, found {seen.split()}")

    with story.step("helm uninstall takes the GPUs away again"):
        user_types("helm uninstall aliquot -n aliquot --wait")
        story.wait_allocatable(0)
        story.kubectl("delete", "deployment/consumers", "--wait=false")
