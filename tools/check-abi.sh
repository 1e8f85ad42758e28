#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# Compares what we declare of NVIDIA's binary interfaces with NVIDIA's headers:
#
#   tools/check-abi.sh FOLDER_WITH_CUDA_H FOLDER_WITH_NVML_H
#
# Sizes, places of members, parameters of functions and numbers must agree, and every function that
# a header declares must be in our tables of what is forwarded. Fails and says what differs if not.
# For a new version of CUDA; needs a compiler and no network.
set -euo pipefail
export LC_ALL=C
if [ $# != 2 ] || [ ! -f "$1/cuda.h" ] || [ ! -f "$2/nvml.h" ]; then
  echo "usage: tools/check-abi.sh FOLDER_WITH_CUDA_H FOLDER_WITH_NVML_H" >&2
  exit 2
fi
cuda=$(realpath "$1")
nvml=$(realpath "$2")
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cxx=${CXX:-g++}
version=$(sed -n 's/^#define CUDA_VERSION //p' "$cuda/cuda.h")

# The functions that a header declares, HEADER PREFIX OPTIONS...
declared() {
  "$cxx" -E -P -x c++ "${@:3}" "$1" | tr '\n' ' ' | grep -oP "\b$2[A-Z]\w*(?=\s*\()" | sort -u
}
# The functions that a text of ours names, PREFIX AFTER FILES...
named() { cat "${@:3}" | grep -oP "\b$1[A-Z]\w*(?=$2)" | sort -u; }

# By their own names, those of before CUDA 3.2 and for the per-thread default stream included.
declared "$cuda/cuda.h" cu -D__CUDA_API_VERSION_INTERNAL >"$out/cuda"
declared "$nvml/nvml.h" nvml -DNVML_NO_UNVERSIONED_FUNC_DEFS >"$out/nvml"
named cu '\(' src/interposer/cuda_hooks.h src/interposer/cuda_hooks_copy.h >"$out/cuda-hooks"
named nvml '\(' src/interposer/nvml_abi.h >"$out/nvml-hooks"
named nvml '"' src/gpu/nvml_api.h >"$out/nvml-asked"
{
  comm -12 "$out/cuda" "$out/cuda-hooks" | sed 's/.*/FUNCTION(&)/'
  comm -12 "$out/nvml" "$out/nvml-hooks" | sed 's/.*/FUNCTION(&)/'
  comm -12 "$out/nvml" "$out/nvml-asked" | sed 's/.*/ASKED(&)/'
} >"$out/functions.inc"

common=(-std=c++20 -w -I"$out" -DHEADER_CUDA_VERSION="$version" tools/check_abi.cc)
"$cxx" -DTHEIRS -D__CUDA_API_VERSION_INTERNAL -DNVML_NO_UNVERSIONED_FUNC_DEFS -I"$cuda" -I"$nvml" \
  "${common[@]}" -o "$out/theirs"
"$cxx" -DFMT_HEADER_ONLY -Isrc "${common[@]}" -o "$out/ours"
"$out/theirs" | sort -u >"$out/theirs.txt"
"$out/ours" | sort -u >"$out/ours.txt"

failed=0
if ! diff -U0 --label "NVIDIA's headers" --label ours "$out/theirs.txt" "$out/ours.txt"; then
  failed=1
fi

# An inline function of the header, not one of the library.
inline=cuGetProcAddress_v2_ptsz
{
  cat "$out/cuda"
  declared "$cuda/cuda.h" cu
  declared "$cuda/cuda.h" cu -DCUDA_API_PER_THREAD_DEFAULT_STREAM
} | grep -vx "$inline" | sort -u >"$out/cuda-all"
{
  cat "$out/nvml"
  declared "$nvml/nvml.h" nvml
} | sort -u >"$out/nvml-all"
for library in cuda nvml; do
  table=src/interposer/${library}_symbols.inc
  sed -n 's/^ENTRY(\(.*\))$/\1/p' "$table" | sort >"$out/$library-table"
  missing=$(comm -23 "$out/$library-all" "$out/$library-table")
  if [ -n "$missing" ]; then
    printf 'not in %s:\n%s\n' "$table" "$missing"
    failed=1
  fi
done
[ $failed = 0 ] &&
  printf 'CUDA %s.%s: %s facts agree, %s functions of CUDA and %s of NVML are forwarded\n' \
    $((version / 1000)) $((version % 1000 / 10)) "$(wc -l <"$out/ours.txt")" \
    "$(wc -l <"$out/cuda-all")" "$(wc -l <"$out/nvml-all")"
exit $failed
