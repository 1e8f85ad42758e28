# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects that several stories use."""

from harness import images


def namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(name, **files):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files}


def time_slicing(replicas, resource="nvidia.com/gpu"):
    """The configuration of the time-slicing guide."""
    return f"""\
version: v1
flags:
  migStrategy: none
sharing:
  timeSlicing:
    renameByDefault: false
    failRequestsGreaterThanOne: false
    resources:
    - name: {resource}
      replicas: {replicas}
"""


def _host_path(name, path, where, kind="DirectoryOrCreate", **mount):
    return ({"name": name, "hostPath": {"path": path, "type": kind}},
            {"name": name, "mountPath": where, **mount})


def agent_daemon_set(config, *flags):
    """The agent with a configuration file, the way that needs nothing of the API server."""
    volumes, mounts = zip(
        _host_path("plugins", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet/device-plugins"),
        _host_path("cdi", "/var/run/cdi", "/var/run/cdi"),
        _host_path("host", "/", "/driver-root", "Directory", readOnly=True,
                   mountPropagation="HostToContainer"),
        ({"name": "config", "configMap": {"name": config}},
         {"name": "config", "mountPath": "/config"}))
    container = {
        "name": "agent", "image": images.aliquot(), "imagePullPolicy": "Never",
        "args": ["agent", "--config-file=/config/config.yaml", "--listen=0.0.0.0:9410", *flags],
        "volumeMounts": list(mounts),
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9410}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": True},
    }
    return {
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {"metadata": {"labels": {"app": "agent"}},
                         "spec": {"containers": [container], "volumes": list(volumes),
                                  "automountServiceAccountToken": False,
                                  "terminationGracePeriodSeconds": 5}}}}


def consumers(replicas, per_pod, script="exec sleep 1000000", name="consumers"):
    """A Deployment of pods that hold GPUs; it is the one of the time-slicing guide, with a smaller
    image."""
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists",
                                     "effect": "NoSchedule"}],
                    "hostPID": True, "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "consumer", "image": images.BUSYBOX, "imagePullPolicy": "Never",
                        "command": ["sh", "-c", script],
                        "resources": {"limits": {"nvidia.com/gpu": per_pod}}}]}}}}
