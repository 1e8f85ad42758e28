# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""What is proven on the cluster, one module each, told in this order."""

ORDER = ["file_mode", "container_devices", "walkthrough", "enforced_shares", "mig_flow"]
BY_HAND = ["many_nodes"]  # for its figures; takes minutes
