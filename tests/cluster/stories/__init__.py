# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""What is proven on the cluster, one module each, told in this order.

A module has `tell(story)` and, if it is about another node than T4, the name of that simulated node
in `NODE`. Stories about one node stand together: each change of node is another cluster.
"""

import importlib

ORDER = ["file_mode", "container_devices", "walkthrough", "simulation", "enforced_shares",
         "mig_flow"]
BY_HAND = ["many_nodes"]  # for its figures; takes minutes
T4 = "t4-x1"


def module_of(name):
    return importlib.import_module(f"stories.{name}")


def node_of(name):
    """The simulated node that a story is about."""
    return getattr(module_of(name), "NODE", T4)
