# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""What a container gets through CDI, seen from inside the container."""

import json
from pathlib import Path

from harness import images
from stories.objects import agent_daemon_set, config_map, time_slicing

SPEC = Path("/var/run/cdi/k8s.device-plugin.nvidia.com-gpu.json")

# A device node of no hardware cannot be opened, but the error tells "no such device" from "the
# container may not".
LOOK = """\
env | sort
for file in /dev/nvidia*; do [ -e $file ] && stat -c "node %n %t:%T %a" $file; done
grep -E ' /(usr|dev|lib|run)/.*' /proc/self/mountinfo | while read a b c root where rest; do
  echo "mount $where"
done
for file in /dev/nvidia0 /dev/nvidiactl; do
  [ -e $file ] && { (: <$file) 2>&1 | sed 's/^.*: /open /'; }
done
mknod /tmp/other c 195 0 2>/dev/null && { (: </tmp/other) 2>&1 | sed 's/^.*: /unasked /'; }
echo done
"""


def looker(name, limits):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"restartPolicy": "Never", "containers": [{
                "name": "look", "image": images.BUSYBOX, "imagePullPolicy": "Never",
                "command": ["sh", "-c", LOOK], "resources": {"limits": limits}}]}}


def look(story, name, limits):
    """The lines that a container with these limits prints about itself."""
    story.apply(looker(name, limits))
    story.wait(f"pod {name} to end", lambda: story.get("pod", name)["status"]["phase"]
               in ("Succeeded", "Failed"))

    def printed():  # the last line may arrive after the news that the pod has ended
        lines = story.kubectl("logs", name).splitlines()
        return lines if lines[-1:] == ["done"] else None

    return story.wait(f"what pod {name} saw", printed, 60)


def edits(spec, name):
    """What a CDI spec promises for one device: environment, device nodes, mounts."""
    device = next(one for one in spec["devices"] if one["name"] == name)
    parts = [spec.get("containerEdits", {}), device["containerEdits"]]
    return {key: [item for part in parts for item in part.get(key, [])]
            for key in ("env", "deviceNodes", "mounts", "hooks")}


def tell(story):
    with story.step("the agent writes a CDI spec for the strategy cdi-cri"):
        story.apply(config_map("config", **{"config.yaml": time_slicing(2)}),
                    agent_daemon_set("config", "--device-list-strategy=cdi-cri"))
        story.wait_allocatable(2)
        spec = json.loads(SPEC.read_text())
        story.expect(len(spec["devices"]) == 1, f"one device in {SPEC}")

    with story.step("a container that asked has the device nodes, mounts and variables of the spec"):
        lines = look(story, "asks", {"nvidia.com/gpu": 1})
        promised = edits(spec, spec["devices"][0]["name"])
        story.expect(promised["deviceNodes"] and promised["mounts"], "nodes and mounts in the spec")
        for variable in promised["env"]:
            story.expect(variable in lines, f"variable {variable}, found {lines}")
        for node in promised["deviceNodes"]:
            if node["path"].startswith("/dev/nvidia"):
                story.expect(any(line.startswith(f"node {node['path']} ") for line in lines),
                             f"device node {node['path']}, found {lines}")
        for mount in promised["mounts"]:
            story.expect(f"mount {mount['containerPath']}" in lines,
                         f"mount {mount['containerPath']}, found {lines}")
        story.expect("open Operation not permitted" not in lines, "no device node to be denied")

    with story.step("a container that did not ask sees nothing and may open nothing"):
        lines = look(story, "asks-nothing", {"cpu": "100m"})
        seen = [line for line in lines if "nvidia" in line.lower() or "aliquot" in line.lower()]
        story.expect(seen == [], f"no trace of a GPU, found {seen}")
        story.expect("unasked Operation not permitted" in lines,
                     f"a device file of its own making to be denied, found {lines}")

    with story.step("without the agent the spec is gone"):
        story.kubectl("delete", "pod/asks", "pod/asks-nothing", "--wait=false")
        story.kubectl("delete", "daemonset/agent", "--wait=false")
        story.wait_allocatable(0)
