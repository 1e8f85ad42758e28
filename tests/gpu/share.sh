#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# share.sh: tier 4, by hand on a machine with an NVIDIA GPU, after `make build`: runs PyTorch, JAX,
# CuPy and nvidia-smi inside a share of 8 GiB of the first GPU, or of that of CUDA_VISIBLE_DEVICES (a
# UUID). Needs Python; what of the packages is there is used.
set -u
python=${PYTHON:-python3}
cd "$(dirname "$0")/../.." || exit 1
share=8192
work=$(mktemp -d)
# shellcheck disable=SC2086
out/bin/aliquot arbiter ${CUDA_VISIBLE_DEVICES:+--gpu $CUDA_VISIBLE_DEVICES} --socket-dir "$work" \
  --tenant name=t,weight=1,memory=${share}Mi --tenant name=other,weight=1,memory=${share}Mi \
  >"$work/log" 2>&1 &
arbiter=$!
trap 'kill $arbiter 2>/dev/null; wait $arbiter; rm -rf "$work"' EXIT
until [ -S "$work/other/socket" ]; do sleep 0.05; done
export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3 XLA_PYTHON_CLIENT_PREALLOCATE=false
failed=0

inside() {
  echo "== $*"
  LD_PRELOAD="$PWD/out/lib/libaliquot-cuda.so $PWD/out/lib/libaliquot-nvml.so" \
    ALIQUOT_GRANT_DIR="$work/t" timeout 120 "$@" || { echo "FAILED: $*"; failed=1; }
}
inside nvidia-smi --query-gpu=memory.total,memory.used --format=csv,noheader
for program in "recover $share" "preallocate $share" nvml driver torch compile cupy jax; do
  # shellcheck disable=SC2086
  inside "$python" tests/gpu/interposer_smoke.py $program
done
echo "== expandable segments, all of it"
PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True inside "$python" tests/gpu/interposer_smoke.py \
  recover $share
kill -USR1 $arbiter
sleep 0.2
cat "$work/log"
exit $failed
