#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# Formats every C++ file, or with --check fails and lists those that differ.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -d '' -t files < <(git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cc')
if [ "${1:-}" = --check ]; then
  clang-format-19 --dry-run -Werror "${files[@]}"
else
  clang-format-19 -i "${files[@]}"
fi
