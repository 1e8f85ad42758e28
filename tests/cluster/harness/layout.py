# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Where everything is, and the names and addresses inside the cluster."""

import hashlib
import os
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
REPO = HERE.parents[1]
OUT = REPO / "out"

# The programs, which take ten minutes to build: for every clone of the project on this machine.
MACHINE_CACHE = Path("/var/cache/aliquot-cluster")
CACHE = Path(os.environ.get("ALIQUOT_CLUSTER_CACHE") or (
    MACHINE_CACHE if os.access(MACHINE_CACHE.parent, os.W_OK) else REPO / "build/cluster/cache"
)).resolve()

# What belongs to one cluster: images, logs, keys, process ids. A new cluster begins by removing it.
STATE = REPO / "build/cluster/state"
LOCK = REPO / "build/cluster/lock"  # held by who decides about this clone's cluster
IMAGES = STATE / "images"
LOGS = STATE / "logs"
AUDIT = LOGS / "audit.log"  # what the programs under test asked of the API server
PIDS = STATE / "pids"
PKI = STATE / "pki"
SIMULATED = STATE / "simulated-node"  # the name of the node that `aliquot sim` pretends

# Clones of the project may run clusters at the same time. What tells theirs apart: the name of the
# cgroup of the pods, and of the first process.
NAME = "aliquot-cluster-" + hashlib.sha256(str(STATE).encode()).hexdigest()[:8]

NODE = "gpu-node"
NODE_IP = "10.244.0.1"  # the pods' bridge; a kubelet accepts no loopback address
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
SERVICE_IP = "10.96.0.1"  # of the service `kubernetes`, answered by the API server itself
KUBECONFIG = STATE / "admin.kubeconfig"
CONTAINERD = "/run/containerd/containerd.sock"
