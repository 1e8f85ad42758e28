#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs ordinary CUDA programs on a real GPU with and without the interposer in front of the driver,
# and prints what they say side by side. Builds nothing; needs Python, and what of PyTorch, CuPy and
# JAX is there is used.
#
#   [PYTHON=...] tests/gpu/interposer.sh [LIBRARY]        default: out/lib/libaliquot-cuda.so
set -u
python=${PYTHON:-python3}
cd "$(dirname "$0")/../.."
library=$(readlink -f "${1:-out/lib/libaliquot-cuda.so}")
[ -f "$library" ] || { echo "no $library: make build first" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
driver=$("$python" -c 'import ctypes
ctypes.CDLL("libcuda.so.1")
print([l.split()[-1] for l in open("/proc/self/maps") if "libcuda.so" in l][0])' 2>/dev/null)
[ -n "$driver" ] || driver=$(ldconfig -p | sed -n 's/.*libcuda\.so\.1 .*=> //p' | head -1)
uuid=$(nvidia-smi -L 2>/dev/null | sed -n 's/.*UUID: \(GPU-[^)]*\)).*/\1/p' | head -1)
[ -n "$uuid" ] || uuid=GPU-00000000-0000-0000-0000-000000000000
printf 'version=1\ngpu=%s 0 1\nmemory=none\ncompute=none\n' "$uuid" >"$work/share"
export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3 XLA_PYTHON_CLIENT_PREALLOCATE=false
failed=0

echo "== the driver"
echo "$driver -> $(readlink -f "$driver")"
readelf -dW "$driver" 2>/dev/null | grep -E 'SONAME|SYMBOLIC|FLAGS'
"$python" tests/gpu/interposer_smoke.py symbols "$library" "$driver" || failed=1

# program and way: those whose speed matters run without the interposer, too.
run() {
  echo "== $1, $2"
  case $2 in
    native) timeout 100 "$python" tests/gpu/interposer_smoke.py "$1" ;;
    preload) LD_PRELOAD="$library" timeout 100 "$python" tests/gpu/interposer_smoke.py "$1" ;;
    grant) LD_PRELOAD="$library" ALIQUOT_GRANT_DIR="$work" \
      timeout 100 "$python" tests/gpu/interposer_smoke.py "$1" ;;
  esac || { echo "FAILED: $1, $2"; failed=1; }
}
for way in native preload grant native preload; do run driver $way; done
for way in native preload native preload; do run torch $way; done
for program in compile cupy jax; do run $program preload; done

echo "== processes that never touch CUDA"
start=$(date +%s%N)
i=0; while [ $i -lt 50 ]; do LD_PRELOAD="$library" /bin/true; i=$((i + 1)); done
middle=$(date +%s%N)
i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i + 1)); done
end=$(date +%s%N)
echo "start of /bin/true: $(((middle - start) / 50000)) us preloaded, $(((end - middle) / 50000)) us native"
exit $failed
