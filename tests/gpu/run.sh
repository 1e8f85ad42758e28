#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [DIR]: tier 4, by hand on a machine with an NVIDIA GPU and driver, after `make build`.
# Looks at the GPUs with the real NVML, compares every figure with nvidia-smi, and runs the agent
# beside the kubelet stand-in. Only reads: no setting of a GPU is changed. DIR gets the raw output.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

dir=${1:-$(mktemp -d)}
aliquot=$PWD/out/bin/aliquot
failed=0

show() {
  printf '\n$ %s\n' "$*"
  "$@" || { echo "exit status $?"; failed=1; }
}

nvidia-smi -q >"$dir/nvidia-smi.txt"
nvidia-smi -q -x >"$dir/nvidia-smi.xml"
"$aliquot" devices -o json >"$dir/devices.json"
"$aliquot" devices --node h200-x1 -o json >"$dir/devices-simulated-h200.json"

show nvidia-smi --query-gpu=index,name,uuid,driver_version,memory.total --format=csv
show "$aliquot" devices
show python3 tests/gpu/compare.py "$dir/devices.json" "$dir/nvidia-smi.xml"
show "$aliquot" plan
show "$aliquot" plan --config docs/examples/time-slicing.yaml
show "$aliquot" labels --no-timestamp
show "$aliquot" config check docs/examples/time-slicing.yaml
show nvidia-smi topo -m
show nvidia-smi mig -lgip
show "$aliquot" mig export
show "$aliquot" mig generate-config
show "$aliquot" demo --real

printf '\n$ answers of the real NVML against the simulated H200 (< real, > simulated)\n'
python3 tests/interop/answers.py libnvidia-ml.so.1 >"$dir/answers-real.txt"
ALIQUOT_SIM_NODE=h200-x8 python3 tests/interop/answers.py out/sim/libnvidia-ml.so.1 \
  >"$dir/answers-simulated.txt"
wc -l <"$dir/answers-real.txt"
diff "$dir/answers-real.txt" "$dir/answers-simulated.txt" && echo "no difference"

printf '\n$ aliquot agent, idle for 30 s on the real driver\n'
work=$(mktemp -d)
"$aliquot" agent --kubelet-socket= --cdi-root "$work" --listen 127.0.0.1:9410 \
  --device-list-strategy cdi-cri 2>"$dir/agent.log" &
agent=$!
sleep 5
before=$(awk '{print $14 + $15}' /proc/$agent/stat)
sleep 30
after=$(awk '{print $14 + $15}' /proc/$agent/stat)
awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" \
  'BEGIN {printf "CPU: %.2f %% of one core\n", 100 * ticks / hz / 30}'
grep -E 'VmRSS|RssAnon|Threads' /proc/$agent/status
python3 - "$dir" <<'P'
import sys, urllib.request
for page in ("statusz", "metrics", "healthz", "readyz"):
    try:
        text = urllib.request.urlopen(f"http://127.0.0.1:9410/{page}").read()
    except urllib.error.HTTPError as error:
        text = error.read()
    open(f"{sys.argv[1]}/{page}", "wb").write(text)
    if page.endswith("z") and page != "statusz":
        print(page, text.decode().strip())
P
kill -TERM $agent
wait $agent
echo "agent ended with status $?"
cat "$dir/agent.log"
cat "$work"/*.json 2>/dev/null >"$dir/cdi.json"
rm -rf "$work"
exit $failed
