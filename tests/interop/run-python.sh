#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
# Runs nvml_walk.py with NVIDIA's bindings from PyPI, kept in a virtual environment.
# Usage: run-python.sh <directory of libnvidia-ml.so.1> <directory for the environment>
set -eu
venv=$2/venv
if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import pynvml' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check nvidia-ml-py==13.580.65
fi
exec "$venv/bin/python" "$(dirname "$0")/nvml_walk.py" "$1"
