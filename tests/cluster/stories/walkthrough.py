# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""What a user of the GPU operator does, word for word, and what goes wrong on the way."""

import shlex
import time

from harness import layout
from harness.api import STRATEGIC, Api
from harness.shell import Failure, run
from harness.story import is_ready, metrics, restarts
from stories.file_mode import restart_kubelet, unschedulable
from stories.objects import config_map, consumers, time_slicing

NAMESPACE = "gpu-operator"
AGENT = "app.kubernetes.io/name=aliquot,app.kubernetes.io/component=agent"
CONTROLLER = "app.kubernetes.io/name=aliquot,app.kubernetes.io/component=controller"
CONFIG_LABEL = "nvidia.com/device-plugin.config"
CONDITION = "AliquotConfigured"

INSTALL = """helm install gpu-operator deploy/helm/aliquot -n gpu-operator --create-namespace
 --set driver.enabled=false --set toolkit.enabled=false
 --set operator.runtimeClass=nvidia-container-runtime"""

PATCH = """kubectl patch clusterpolicy/cluster-policy -n gpu-operator --type merge -p
 '{"spec": {"devicePlugin": {"config": {"name": "time-slicing-config", "default": "any"}}}}'"""

LIMIT = 0.5  # seconds from a change to the new device list at the kubelet's door


def user_types(command):
    return run(*shlex.split(command), cwd=layout.REPO)


def helm_installs(story, command, *more):
    """Types a helm install. Helm may look for the kind that it has just installed before a busy API
    server lists it, and stop before it has made anything else; a user types the command again."""
    def installed():
        try:
            run(*shlex.split(command), *more, cwd=layout.REPO)
        except Failure as failure:
            if "no matches for kind" not in str(failure):
                raise
            return False
        return True

    story.wait("helm to find the kind that it installed", installed, every=1)


def agent_pod(story):
    pod, = story.running(AGENT)
    return pod


def condition(story):
    """The agent's condition of the node; {} while there is none."""
    conditions = story.get("node", layout.NODE)["status"]["conditions"]
    return next((one for one in conditions if one["type"] == CONDITION), {})


def registrations(pod):
    return {name: value for name, value in metrics(pod).items()
            if name.startswith("aliquot_registrations_total")}


def change(story, name, count, act):
    """Runs `act`, which asks for `count` replicas; measures until the kubelet has them. The clock
    starts before the command that asks, so this includes kubectl's own time."""
    began = time.time()
    act()
    asked = time.time()
    seconds = story.wait_kubelet_devices(count, began)
    story.measure(f"{name}: from before kubectl to the kubelet's new list of {count}", seconds)
    story.measure(f"{name}: from kubectl's return to that list, 0 if it was faster",
                  max(0.0, began + seconds - asked), LIMIT)
    story.wait_allocatable(count)
    story.wait("the node's condition to be true", lambda: condition(story).get("status") == "True")


def refused(story, count, reason, parts):
    """Waits until a change is refused with `reason`, in an Event and a condition that have all of
    `parts`; the node keeps its `count` replicas."""
    def told():
        found = condition(story)
        return found if found.get("status") == "False" and found["reason"] == reason else None

    message = story.wait(f"condition {CONDITION} to be false for {reason}", told)["message"]
    for part in parts:
        story.expect(part in message, f"\"{part}\" in the condition, which says \"{message}\"")
    events = story.wait(f"an Event {reason}", lambda: story.events(reason, layout.NODE))
    story.expect(events[-1]["type"] == "Warning", "the Event to be a warning")
    for part in parts:
        story.expect(part in events[-1]["message"],
                     f"\"{part}\" in the Event, which says \"{events[-1]['message']}\"")
    devices, _ = story.kubelet_devices()
    story.expect(len(devices) == count and story.allocatable() == str(count),
                 f"{count} replicas as before, found {len(devices)}")


def install(story):
    with story.step("before: the query prints nothing"):
        story.expect(story.allocatable() == "" or story.allocatable() == "0",
                     f"nothing, found {story.allocatable()}")

    with story.step("helm install with the values of the guide succeeds, soon there is 1 GPU"):
        began = time.monotonic()
        helm_installs(story, INSTALL)
        story.wait_allocatable(1)
        story.measure("helm install to 1 GPU in the node's status", time.monotonic() - began)
        story.wait("agent and controllers to be ready", lambda: len(story.running(AGENT)) == 1
                   and len(story.running(CONTROLLER)) == 2)
        story.wait("the policy to be ready", lambda: story.get(
            "clusterpolicy", "cluster-policy").get("status", {}).get("state") == "ready")


def share(story):
    with story.step("ConfigMap and patch of the guide: 10 replicas, no pod restarted"):
        before = agent_pod(story)
        story.apply(config_map("time-slicing-config", any=time_slicing(10)))
        registered = registrations(before)
        change(story, "policy patched", 10, lambda: user_types(PATCH))
        after = agent_pod(story)
        story.expect(after["metadata"]["uid"] == before["metadata"]["uid"]
                     and restarts(after) == restarts(before), "the same agent, not restarted")
        story.expect(registrations(after) == registered,
                     f"no new registration: {registered}, found {registrations(after)}")

    with story.step("4 pods of 2 come up completely and see their device, a fifth fits"):
        story.apply(consumers(4, 2))
        story.wait("4 consumers", lambda: len(story.running("app=consumers")) == 4)
        for pod in story.running("app=consumers"):
            seen = story.kubectl("exec", pod["metadata"]["name"], "--", "ls", "/dev/nvidia0")
            story.expect(seen.strip() == "/dev/nvidia0", "the device in every container")
        story.kubectl("scale", "deployment/consumers", "--replicas=5")
        story.wait("5 consumers", lambda: len(story.running("app=consumers")) == 5)

    with story.step("a sixth stays Pending for lack of nvidia.com/gpu"):
        story.kubectl("scale", "deployment/consumers", "--replicas=6")
        story.wait("a pod that cannot be scheduled",
                   lambda: any(unschedulable(pod) for pod in story.pods("app=consumers")))
        story.expect(len([pod for pod in story.pods("app=consumers") if is_ready(pod)]) == 5,
                     "the five to run on")

    with story.step("/metrics says which pod has which replica"):
        named = {pod["metadata"]["name"] for pod in story.running("app=consumers")}

        def told():
            page = metrics(agent_pod(story))
            return {name for name in named if any(f'pod="{name}"' in line for line in page)}

        story.wait(f"every one of {named} in the metrics", lambda: told() == named)

    with story.step("restarting the kubelet brings back the replicas and disturbs no pod"):
        restart_kubelet(story, 10)

    with story.step("a new agent in place of the old one disturbs no other pod"):
        others = {pod["metadata"]["uid"]: restarts(pod) for pod in story.pods("app=consumers")}
        old = agent_pod(story)["metadata"]
        began = time.time()
        story.kubectl("delete", "pod", old["name"], "--wait=false")
        story.wait("the new agent", lambda: [
            pod for pod in story.running(AGENT) if pod["metadata"]["uid"] != old["uid"]])
        story.wait("all replicas on record", lambda: len(story.kubelet_devices()[0]) == 10)
        story.measure("agent's pod deleted to its successor's replicas on record",
                      story.kubelet_devices()[1] - began)
        story.wait_allocatable(10)
        found = {pod["metadata"]["uid"]: restarts(pod) for pod in story.pods("app=consumers")}
        story.expect(found == others, f"the same pods as before, {others}, found {found}")
    story.kubectl("delete", "deployment/consumers", "--wait=false")


def edit(story):
    with story.step("editing the ConfigMap to 4 replicas is applied live"):
        change(story, "ConfigMap edited", 4, lambda: story.apply(
            config_map("time-slicing-config", any=time_slicing(4), other=time_slicing(6))))

    with story.step("labelling the node chooses another key"):
        change(story, "node labelled", 6, lambda: story.kubectl(
            "label", "node", layout.NODE, f"{CONFIG_LABEL}=other"))

    with story.step("a label naming no key is refused, with the valid ones"):
        story.kubectl("label", "--overwrite", "node", layout.NODE, f"{CONFIG_LABEL}=nothing")
        refused(story, 6, "ConfigKeyNotFound",
                [layout.NODE, CONFIG_LABEL, '"nothing"', '"any"', '"other"'])

    with story.step("taking the label away goes back to the default"):
        change(story, "label taken away", 4, lambda: story.kubectl(
            "label", "node", layout.NODE, f"{CONFIG_LABEL}-"))

    with story.step("invalid YAML is refused, with its place"):
        story.apply(config_map("time-slicing-config", any="version: v1\nsharing: [", other=""))
        refused(story, 4, "ConfigInvalid", ["time-slicing-config", "any"])

    with story.step("deleting the ConfigMap changes nothing but the condition"):
        story.kubectl("delete", "configmap", "time-slicing-config")
        refused(story, 4, "ConfigMapNotFound", ["gpu-operator/time-slicing-config"])

    with story.step("making it again is enough"):
        change(story, "ConfigMap made again", 3, lambda: story.apply(
            config_map("time-slicing-config", any=time_slicing(3))))
        story.expect(restarts(agent_pod(story)) == 0, "no restart of the agent in all of this")


def describe_the_node(story):
    with story.step("labels describe the GPU and how it is shared"):
        for key, value in {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.count": "1",
                           "nvidia.com/gpu.product": "Tesla-T4-SHARED",
                           "nvidia.com/gpu.replicas": "3",
                           "nvidia.com/gpu.deploy.device-plugin": "true",
                           "aliquot.dev/simulated": "true"}.items():
            story.wait(f"label {key}={value}", lambda: story.get("node", layout.NODE)[
                "metadata"]["labels"].get(key) == value)

    with story.step("a second, younger ClusterPolicy is ignored"):
        younger = story.get("clusterpolicy", "cluster-policy")
        younger["metadata"] = {"name": "younger"}
        younger["spec"]["devicePlugin"] = {"enabled": False}
        story.apply(younger)
        story.wait("the state ignored", lambda: story.get("clusterpolicy", "younger").get(
            "status", {}).get("state") == "ignored")
        story.expect(len(story.kubelet_devices()[0]) == 3, "the older one's replicas")
        story.kubectl("delete", "clusterpolicy", "younger")


def lose_the_leader(story):
    with story.step("killing the controller that leads: the other one takes over"):
        lease = story.get("lease", "aliquot-controller")
        leader = lease["spec"]["holderIdentity"].split("_")[0].split("/")[-1]
        began = time.monotonic()
        story.kubectl("delete", "pod", leader, "--grace-period=0", "--force")

        def taken_over():
            now = story.get("lease", "aliquot-controller")["spec"].get("holderIdentity", "")
            return now and leader not in now

        story.wait("another holder of the lease", taken_over)
        story.measure("leader killed to another leader", time.monotonic() - began)
        story.wait("two controllers again", lambda: len(story.running(CONTROLLER)) == 2)


def only_own_node(story):
    """What somebody can do who stole the token of this node's agent."""
    api = Api()
    node = f"/api/v1/nodes/{layout.NODE}"

    def patch(path, body, of=layout.NODE):
        """The HTTP status that an agent gets whose token belongs to node `of`."""
        return api.request("PATCH", path, body, STRATEGIC, {
            "Impersonate-User": "system:serviceaccount:gpu-operator:aliquot-agent",
            "Impersonate-Extra-authentication.kubernetes.io%2Fnode-name": of})[0]

    def labels(**pairs):
        return {"metadata": {"labels": {key.replace("__", "/").replace("_", "."): value
                                        for key, value in pairs.items()}}}

    def status_condition(kind):
        return {"status": {"conditions": [{"type": kind, "status": "False", "reason": "Test",
                                           "message": "test"}]}}

    with story.step("a stolen agent token is good for labels and one condition of its node"):
        story.expect(patch(node, labels(nvidia_com__gpu_test="yes")) == 200, "a label of ours: 200")
        story.expect(patch(node, labels(nvidia_com__gpu_test=None)) == 200, "and away again: 200")
        story.expect(patch(node + "/status", status_condition(CONDITION)) == 200,
                     "the condition: 200")
        refused = {
            "another node": patch(node, labels(nvidia_com__gpu_test="yes"), of="another"),
            "another's label": patch(node, labels(example_com__role="yes")),
            "a taint": patch(node, {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
            "another condition": patch(node + "/status", status_condition("Ready")),
            "capacity": patch(node + "/status", {"status": {"capacity": {"a.com/b": "1"}}}),
        }
        for what, code in refused.items():
            story.expect(code in (403, 422), f"{what} to be refused, found HTTP status {code}")


def nothing_denied(story, since=0.0):
    with story.step("nothing that agent and controller asked for was denied to them"):
        for account in ("aliquot-agent", "aliquot-controller"):
            asked = story.requests(account, since)
            story.expect(asked, f"requests of {account} in the audit log")
            denied = [request for request in asked if request["code"] in (401, 403)]
            story.expect(not denied, f"no request of {account} to be denied, found {denied[:3]}")


def uninstall(story):
    with story.step("helm uninstall takes the GPUs away again"):
        user_types("helm uninstall gpu-operator -n gpu-operator --wait")
        story.wait_allocatable(0)


def tell(story):
    story.namespace = NAMESPACE
    install(story)
    share(story)
    edit(story)
    describe_the_node(story)
    lose_the_leader(story)
    nothing_denied(story)
    only_own_node(story)
    uninstall(story)
