# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""What a story is told with: steps, kubectl, waiting, measurements, and the evidence of a failure.

A story runs inside the cluster's namespaces, where its files, sockets and pod addresses are.
"""

import contextlib
import json
import subprocess
import time
import urllib.request
from datetime import datetime
from pathlib import Path

from harness import layout
from harness.shell import Failure, Stopwatch, run, wait_until

PLUGINS = Path("/var/lib/kubelet/device-plugins")
CHECKPOINT = PLUGINS / "kubelet_internal_checkpoint"
RESOURCE = "nvidia.com/gpu"


class Story:
    def __init__(self, watch: Stopwatch, namespace):
        self.watch = watch
        self.namespace = namespace
        self.measurements = []  # name, seconds, limit in seconds or None

    # Telling

    @contextlib.contextmanager
    def step(self, text):
        """One step: printed when it is done; on failure the reader gets what matters."""
        began = time.monotonic()
        try:
            yield
        except Exception:
            self.watch.say(f"FAILED  {text}")
            self.show_evidence()
            raise
        self.watch.say(f"ok  {text} ({time.monotonic() - began:.1f} s)")

    def expect(self, condition, text):
        if not condition:
            raise Failure(f"expected {text}")

    # Deadlines are for machines that are busy with other things; nothing is said by being early.
    def wait(self, what, condition, seconds=300, every=0.2):
        return wait_until(what, condition, seconds, every)

    def measure(self, name, seconds, limit=None):
        """Notes a time, and the one that is promised on a machine with nothing else to do."""
        self.measurements.append((name, seconds, limit))

    # The cluster

    def kubectl(self, *words, stdin=None):
        return run("kubectl", "--namespace", self.namespace, *words, input=stdin)

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def apply(self, *objects):
        text = "\n---\n".join(one if isinstance(one, str) else json.dumps(one) for one in objects)
        return self.kubectl("apply", "-f", "-", stdin=text)

    def pods(self, selector):
        return self.get("pods", "-l", selector)["items"]

    def running(self, selector):
        """The pods that are ready and are not being deleted."""
        return [pod for pod in self.pods(selector) if is_ready(pod)]

    def events(self, reason, about=None):
        """Events of a reason, newest last."""
        found = self.get("events", "--field-selector", f"reason={reason}", "--all-namespaces")
        events = [event for event in found["items"]
                  if about is None or event["involvedObject"].get("name") == about]
        return sorted(events, key=lambda event: event["metadata"]["resourceVersion"])

    def allocatable(self, resource=RESOURCE):
        """What the story's own query prints: empty if the node does not offer the resource."""
        return self.kubectl("get", "nodes", layout.NODE, "-o",
                            "jsonpath={.status.allocatable.%s}" % resource.replace(".", r"\."))

    def wait_allocatable(self, count, seconds=300):
        self.wait(f"the node to offer {count} {RESOURCE}",
                  lambda: self.allocatable() == str(count), seconds)

    def requests(self, account, since=0.0):
        """What a service account asked of the API server from wall time `since` on: one dictionary
        per request that has ended, or per watch that has begun or ended."""
        out = []
        for line in layout.AUDIT.read_text().splitlines():
            event = json.loads(line)
            when = datetime.fromisoformat(event["stageTimestamp"].replace("Z", "+00:00"))
            if event["user"]["username"].endswith(":" + account) and when.timestamp() >= since:
                out.append({"verb": event["verb"], "uri": event["requestURI"],
                            "stage": event["stage"], "code": event["responseStatus"].get("code")})
        return out

    # The node

    def kubelet_devices(self, resource=RESOURCE):
        """The device ids that the kubelet has on record for a resource, and when it wrote them."""
        try:
            written = CHECKPOINT.stat().st_mtime
            record = json.loads(CHECKPOINT.read_text())["Data"]["RegisteredDevices"]
        except (OSError, ValueError, KeyError):
            return [], 0.0
        return (record or {}).get(resource) or [], written

    def wait_kubelet_devices(self, count, since, seconds=300):
        """Waits until the kubelet itself has `count` devices, recorded at wall time `since` or
        later; returns the seconds from `since` to that record."""
        def recorded():
            devices, written = self.kubelet_devices()
            return written if len(devices) == count and written >= since else None

        return self.wait(f"the kubelet to record {count} devices", recorded, seconds, 0.005) - since

    # Evidence

    def show_evidence(self):
        for title, words in (
                ("nodes", ["describe", "node", layout.NODE]),
                ("pods", ["get", "pods", "-A", "-o", "wide"]),
                ("policies", ["get", "clusterpolicies", "-o", "yaml"]),
                ("events", ["get", "events", "-A", "--sort-by=.metadata.resourceVersion"])):
            show(title, ["kubectl", *words])
        pods = json.loads(run("kubectl", "get", "pods", "-A", "-o", "json"))["items"]
        for pod in pods:
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            if not is_ready(pod):
                show(f"{namespace}/{name}", ["kubectl", "-n", namespace, "describe", "pod", name])
            show(f"log of {namespace}/{name}",
                 ["kubectl", "-n", namespace, "logs", name, "--all-containers", "--tail=40"])
        for name in ("kubelet", "containerd"):
            show(f"errors of {name}", ["grep", "-E", "^E|level=error", layout.LOGS / f"{name}.log"],
                 5)


def show(title, command, lines=80):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    text = done.stdout.strip().splitlines()
    print(f"---- {title}\n" + "\n".join(line[:300] for line in text[-lines:]), flush=True)


def is_ready(pod):
    conditions = pod["status"].get("conditions", [])
    return "deletionTimestamp" not in pod["metadata"] and any(
        one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def restarts(pod):
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))


def metrics(pod, port=9410):
    """The metrics page of an agent pod: name with labels -> value."""
    page = urllib.request.urlopen(f"http://{pod['status']['podIP']}:{port}/metrics", timeout=5)
    out = {}
    for line in page.read().decode().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            out[name] = float(value)
    return out
