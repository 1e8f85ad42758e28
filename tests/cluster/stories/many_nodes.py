# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""What the controller costs with thousands of nodes: Node objects without machines behind them."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from harness.api import Api
from harness.shell import Failure
from harness.story import metrics
from stories.walkthrough import CONTROLLER, INSTALL, NAMESPACE, helm_installs

NODES = int(os.environ.get("ALIQUOT_CLUSTER_NODES", "5000"))
WRITERS = 8
REST = 60  # seconds that count as at rest


def _node(number):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": f"sim-{number:05}",
        # No kubernetes.io/os: the DaemonSet shall not make pods that nobody would run.
        "labels": {"feature.node.kubernetes.io/pci-10de.present": "true", "test/many": "yes",
                   "kubernetes.io/hostname": f"sim-{number:05}"}},
        "spec": {"taints": [{"key": "test/nobody", "effect": "NoSchedule"}]}}


def _write(numbers):
    """Creates nodes over one connection."""
    api = Api()
    for number in numbers:
        status, answer = api.request("POST", "/api/v1/nodes", _node(number))
        if status != 201:
            raise Failure(f"node {number}: {answer['message']}")


def count(story, selector):
    return len(story.kubectl("get", "nodes", "-o", "name", "-l", selector).split())


def resident(story):
    """MiB resident of each controller, the largest first."""
    return sorted((metrics(pod, 8080)["process_resident_memory_bytes"] / (1 << 20)
                   for pod in story.running(CONTROLLER)), reverse=True)


def tell(story):
    story.namespace = NAMESPACE
    with story.step("helm install"):
        helm_installs(story, INSTALL)
        story.wait("two controllers", lambda: len(story.running(CONTROLLER)) == 2)
        print(f"  controllers, {count(story, '!test/many')} node: resident MiB "
              f"{resident(story)}")

    with story.step(f"{NODES} nodes with a GPU appear"):
        began = time.monotonic()
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(_write, [range(i, NODES, WRITERS) for i in range(WRITERS)]))
        story.measure(f"creating {NODES} nodes", time.monotonic() - began)

    with story.step("each gets its labels"):
        story.wait("the labels", lambda: count(
            story, "test/many,nvidia.com/gpu.present=true") == NODES, 1800, 1)
        story.measure(f"from the last of {NODES} nodes created to the last one labelled, polled "
                      "each second", time.monotonic() - began - story.measurements[-1][1])

    with story.step("a change of the policy reaches all of them"):
        began = time.monotonic()
        story.kubectl("patch", "clusterpolicy/cluster-policy", "--type=merge", "-p",
                      '{"spec":{"sandboxWorkloads":{"enabled":true,"defaultWorkload":'
                      '"vm-passthrough"}}}')
        story.wait("the labels", lambda: count(
            story, "test/many,nvidia.com/gpu.deploy.device-plugin") == 0, 1800, 1)
        story.measure(f"policy patched to {NODES} nodes with other labels",
                      time.monotonic() - began)
        story.kubectl("patch", "clusterpolicy/cluster-policy", "--type=merge", "-p",
                      '{"spec":{"sandboxWorkloads":{"enabled":false}}}')
        story.wait("the labels", lambda: count(
            story, "test/many,nvidia.com/gpu.deploy.device-plugin=true") == NODES, 1800, 1)

    with story.step(f"what it costs at rest, {REST} s"):
        # Kubernetes notices meanwhile that nobody is behind these nodes.
        story.wait("the node controller to be done", lambda: settled(story), 900, 5)
        since = time.time()
        time.sleep(REST)  # the measurement itself
        asked = story.requests("aliquot-controller", since)
        kinds = sorted({(one["verb"], one["uri"].partition("?")[0]) for one in asked})
        print(f"  controllers, {NODES} nodes: resident MiB {resident(story)}")
        print(f"  requests in {REST} s of both controllers: {len(asked)}: {kinds}")


def settled(story):
    """True once every node without a machine is known to be unreachable."""
    nodes = story.get("nodes", "-l", "test/many")["items"]
    return all(any(one["type"] == "Ready" and one["status"] == "Unknown"
                   for one in node["status"].get("conditions", [])) for node in nodes)
