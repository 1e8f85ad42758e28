#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# probe.sh: tier 4, by hand on a machine with an idle NVIDIA GPU and g++: asks it what the arbiter's
# constants rest on (docs/hardware/h200.md). Changes no setting.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
g++ -std=c++20 -O2 -Wall tests/gpu/probe.cc -ldl -o "$work/probe"
"$work/probe" costs
"$work/probe" slices 1
"$work/probe" slices 3
"$work/probe" memory
