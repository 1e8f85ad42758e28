#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks who includes whom, and what reviews forget.

A folder under src/ may include only the folders listed for it here. Heavy or dangerous third-party
headers stay in the folders named in FENCED. Files keep to the size limits of the house style.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

ALLOWED = {
    "base": set(),
    "gpu": {"base"},
    "config": {"base"},
    "share": {"base", "gpu", "config"},
    "mig": {"base", "gpu", "config"},
    "labels": {"base", "gpu", "config", "share"},
    "cdi": {"base", "gpu", "config"},
    "rpc": {"base"},
    "http": {"base"},
    "kube": {"base", "config", "http"},  # kubeconfig files are YAML
    "metrics": {"base", "gpu", "config", "share"},
    "arbiter": {"base"},
    "interposer": {"arbiter"},
    "grants": {"base", "gpu", "config", "share", "arbiter", "metrics"},
    "deviceplugin": {"base", "gpu", "config", "share", "cdi", "rpc", "metrics", "grants"},
}
ALLOWED["controller"] = {"base", "config", "http", "kube", "labels", "metrics"}
EVERYTHING = set(ALLOWED) | {"agent", "cli"}
ALLOWED["agent"] = EVERYTHING - {"cli", "agent", "controller", "interposer"}
ALLOWED["cli"] = EVERYTHING - {"cli"} | {"sim"}

FENCED = {
    r"<grpc|<google/protobuf|\.pb\.h": {"src/rpc"},
    r"<boost/(beast|asio)": {"src/http"},
    r"<yaml-cpp": {"src/config", "sim"},
    r"<CLI/": {"src/cli"},
    r"<dlfcn\.h>": {"src/gpu", "src/cli", "src/interposer", "sim", "tests"},
}
LIMITS = {"source": 600, "test": 800, "header": 350}


def tracked(*patterns):
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True).stdout
    return [pathlib.PurePosixPath(p) for p in out.decode().split("\0") if p]


def check_file(path):
    text = (ROOT / path).read_text()
    lines = text.splitlines()
    if len(lines) < 2 or "SPDX-FileCopyrightText" not in lines[0] or "Apache-2.0" not in lines[1]:
        yield 1, "the first two lines are the SPDX tag"
    is_test = path.stem.endswith(("_test", "_bench", "_fuzz", "_fake")) or "testing" in path.parts
    kind = "test" if is_test else "header" if path.suffix == ".h" else "source"
    if len(lines) > LIMITS[kind]:
        yield len(lines), f"{len(lines)} lines; a {kind} file stops at {LIMITS[kind]}"
    folder = path.parts[1] if path.parts[0] == "src" else None
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#include\s+(.*)', line)
        if not match:
            continue
        target = match.group(1)
        own = re.match(r'"([a-z]+)/', target)
        if folder and own and own.group(1) in EVERYTHING | {"sim"} and own.group(1) != folder:
            if own.group(1) not in ALLOWED[folder] and not is_test:
                yield number, f"src/{folder} may not include {own.group(1)}/"
        for pattern, homes in FENCED.items():
            if re.search(pattern, target) and path.parts[0] in ("src", "sim"):
                if not any(str(path).startswith(home + "/") for home in homes):
                    yield number, f"{target} belongs to {', '.join(sorted(homes))}"


def main():
    problems = [f"{path}:{number}: {what}"
                for path in tracked("*.h", "*.cc") for number, what in check_file(path)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
