#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh BUILD_DIR SECONDS [SEED]: runs every fuzz target for that long, on its inputs in
# fuzz/corpus. The same seed tries the same inputs in the same order; 0 draws a new one.
set -euo pipefail
cd "$(dirname "$0")/.."

build=$1
seconds=$2
seed=${3:-0}
ran=0
for target in "$build"/fuzz/*_fuzz; do
  name=$(basename "$target" _fuzz)
  work=$(mktemp -d)
  seeds=()
  [ -d "fuzz/corpus/$name" ] && seeds=("fuzz/corpus/$name")
  echo "fuzz $name: $seconds s, seed $seed"
  if ! "$target" -seed="$seed" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$build/$name-" "$work" "${seeds[@]}" >"$work.log" 2>&1; then
    tail -n 60 "$work.log"
    exit 1
  fi
  grep -E 'stat::(number_of_executed_units|peak_rss_mb)' "$work.log" || true
  rm -rf "$work" "$work.log"
  ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "no fuzz target in $build/fuzz" >&2; exit 1; }
