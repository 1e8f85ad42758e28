#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# All figures of docs/benchmarks.md, after `make build`. About a quarter of an hour, mostly waiting.
# Exit status 1 if a limit is broken. Numbers are worth most on a machine that does nothing else.
set -u
cd "$(dirname "$0")/.." || exit 1
programs=build/ci/bench
status=0

printf 'Aliquot %s, %s cores, load %s. Everything runs on SIMULATED hardware.\n' \
  "$(git describe --always --dirty 2>/dev/null)" "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"
"$programs/agent_bench" --agent out/bin/aliquot || status=1
bench/preferred_table.py "$programs/preferred_allocation_bench" || status=1
printf '\nDevice plugin alone, kubelet stand-in in the same process\n'
"$programs/deviceplugin_bench" latency || status=1
if [ -x "$programs/mig_plan_bench" ]; then
  printf '\nMIG planning\n'
  "$programs/mig_plan_bench" || status=1
fi
"$programs/controller_bench" out/bin/aliquot || status=1
for how in nothing tcp tls; do
  printf '\nKubernetes client alone: %s\n' "$how"
  "$programs/kube_memory" "$how" || status=1
done
exit $status
