# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes node in namespaces of its own, for tests."""
