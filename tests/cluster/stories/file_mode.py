# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""The agent with a configuration file: its device plugin against the real kubelet."""

import time

from harness import lifecycle
from harness.story import RESOURCE, is_ready, metrics, restarts
from stories.objects import agent_daemon_set, config_map, consumers, time_slicing


def unschedulable(pod):
    return any(one["type"] == "PodScheduled" and one["status"] == "False"
               and f"Insufficient {RESOURCE}" in one.get("message", "")
               for one in pod["status"].get("conditions", []))


def restart_kubelet(story, replicas):
    """Restarts the kubelet; measures until the replicas are back; fails if pods restart."""
    before = {pod["metadata"]["uid"]: restarts(pod) for pod in story.get("pods")["items"]}
    lifecycle.stop_kubelet()
    lifecycle.start_kubelet()
    appeared = lifecycle.KUBELET_SOCKET.stat().st_ctime
    seconds = story.wait_kubelet_devices(replicas, appeared)
    story.measure("kubelet restart: its socket to all replicas in its record", seconds, 2)
    story.wait_allocatable(replicas)
    after = {pod["metadata"]["uid"]: restarts(pod) for pod in story.get("pods")["items"]}
    story.expect(before == after, f"the same pods and restarts after as before, {before}, "
                 f"found {after}")


def tell(story):
    with story.step("a node without a device plugin offers nothing"):
        story.expect(story.allocatable() == "", f"no {RESOURCE}, found {story.allocatable()}")

    with story.step("the agent as a DaemonSet offers the GPU ten times"):
        story.apply(config_map("config", **{"config.yaml": time_slicing(10)}),
                    agent_daemon_set("config"))
        story.wait("the agent to be ready", lambda: story.running("app=agent"))
        story.wait_allocatable(10)

    with story.step("pods of 2 fill it: five run, the sixth is Pending for lack of GPUs"):
        story.apply(consumers(6, 2))
        story.wait("5 consumers to run", lambda: len(story.running("app=consumers")) == 5)
        pending = [pod for pod in story.pods("app=consumers") if not is_ready(pod)]
        story.expect(len(pending) == 1 and pending[0]["status"]["phase"] == "Pending",
                     "one Pending pod")
        story.wait("the scheduler to say why", lambda: unschedulable(
            story.get("pod", pending[0]["metadata"]["name"])))

    with story.step("restarting the kubelet brings back the replicas and disturbs no pod"):
        restart_kubelet(story, 10)

    with story.step("a changed file is applied without a restart"):
        agent, = story.running("app=agent")
        registrations = {name: value for name, value in metrics(agent).items()
                         if name.startswith("aliquot_registrations_total")}
        story.apply(config_map("config", **{"config.yaml": time_slicing(14)}))
        story.wait_allocatable(14)  # the kubelet rewrites mounted ConfigMaps at its leisure
        again, = story.running("app=agent")
        story.expect(again["metadata"]["uid"] == agent["metadata"]["uid"] and restarts(again) == 0,
                     "the same agent, not restarted")
        now = {name: value for name, value in metrics(again).items()
               if name.startswith("aliquot_registrations_total")}
        story.expect(now == registrations, f"no new registration: {registrations}, found {now}")
        story.wait("the sixth consumer to run", lambda: len(story.running("app=consumers")) == 6)

    with story.step("taking the agent away takes the GPUs away"):
        story.kubectl("delete", "deployment/consumers", "--wait=false")
        story.kubectl("delete", "daemonset/agent", "--wait=false")
        began = time.time()
        story.wait_allocatable(0)
        story.measure("agent deleted to node status without GPUs", time.time() - began)
