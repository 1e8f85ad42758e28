#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs ordinary CUDA programs on a real GPU with and without the interposer in front of the driver,
# and prints what they say side by side. Builds nothing; needs Python, and what of PyTorch, CuPy and
# JAX is there is used.
#
#   tests/gpu/interposer.sh [LIBRARY]        default: out/lib/libaliquot-cuda.so
set -u
cd "$(dirname "$0")/../.."
library=$(readlink -f "${1:-out/lib/libaliquot-cuda.so}")
[ -f "$library" ] || { echo "no $library: make build first" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
driver=$(ldconfig -p | sed -n 's/.*libcuda\.so\.1 .*=> //p' | head -1)
uuid=$(nvidia-smi -L 2>/dev/null | sed -n 's/.*UUID: \(GPU-[^)]*\)).*/\1/p' | head -1)
[ -n "$uuid" ] || uuid=GPU-00000000-0000-0000-0000-000000000000
printf 'version=1\ngpu=%s 0 1\nmemory=none\ncompute=none\n' "$uuid" >"$work/share"
export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3 XLA_PYTHON_CLIENT_PREALLOCATE=false
failed=0

echo "== the driver"
echo "$driver -> $(readlink -f "$driver")"
readelf -dW "$driver" 2>/dev/null | grep -E 'SONAME|SYMBOLIC|FLAGS'
python3 tests/gpu/interposer_smoke.py symbols "$library" "$driver" || failed=1

for program in driver torch compile cupy jax; do
  for way in native preload grant; do
    echo "== $program, $way"
    case $way in
      native) timeout 170 python3 tests/gpu/interposer_smoke.py "$program" ;;
      preload) LD_PRELOAD="$library" timeout 170 python3 tests/gpu/interposer_smoke.py "$program" ;;
      grant) LD_PRELOAD="$library" ALIQUOT_GRANT_DIR="$work" \
        timeout 170 python3 tests/gpu/interposer_smoke.py "$program" ;;
    esac || { echo "FAILED: $program, $way"; failed=1; }
  done
done

echo "== processes that never touch CUDA"
for i in 1 2 3; do
  LD_PRELOAD="$library" sh -c 'true' || failed=1
done
start=$(date +%s%N)
i=0; while [ $i -lt 50 ]; do LD_PRELOAD="$library" /bin/true; i=$((i + 1)); done
middle=$(date +%s%N)
i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i + 1)); done
end=$(date +%s%N)
echo "start of /bin/true: $(((middle - start) / 50000)) us preloaded, $(((end - middle) / 50000)) us native"
exit $failed
