#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
# Builds go/ with NVIDIA's Go bindings and compares what it finds on two simulated nodes.
# Usage: run-go.sh <directory of libnvidia-ml.so.1> <directory for the program>
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
(cd "$here/go" && go build -o "$2/walk" .)
for node in a100-40gb-x8-mig rtxpro6000-x2; do
  LD_LIBRARY_PATH=$1 ALIQUOT_SIM_NODE=$node "$2/walk" | diff -u "$here/go/$node.txt" -
done
