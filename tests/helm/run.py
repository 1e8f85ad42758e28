#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Compares what the Helm chart makes of the values in cases/ with golden/.

default.yaml is kept whole; of the other cases, what differs from it, which is what a reviewer wants
to see. The notes a user reads are part of each. `--update` writes golden/ anew.
"""

import argparse
import difflib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHART = HERE.parents[1] / "deploy/helm/aliquot"
KUBERNETES = "1.36.2"

# The notes are not part of `helm template`; as a template of a copy of the chart they are.
NOTES = '# NOTES\n# {{ include "aliquot.notes" . | replace "\\n" "\\n# " }}\n'


def helm(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def render(program, chart, values, kubernetes):
    done = helm(program, "template", "gpu-operator", chart, "-n", "gpu-operator",
                "--kube-version", kubernetes, "-f", values)
    if done.returncode != 0:
        return "fails: " + done.stderr.splitlines()[0] + "\n"
    # Versions of helm differ in blank lines.
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    return "\n".join(line for line in lines if not line.startswith("# Source:")) + "\n"


def kubernetes_of(values):
    """The version that a case asks for in its first lines: "# kubernetes: 1.29.0"."""
    found = re.search(r"^# kubernetes: (\S+)$", values.read_text(), re.MULTILINE)
    return found.group(1) if found else KUBERNETES


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--helm", default=shutil.which("helm") or "helm")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()

    lint = helm(options.helm, "lint", CHART, "--strict", "--kube-version", KUBERNETES)
    if lint.returncode != 0:
        sys.exit(lint.stdout + lint.stderr)
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        chart = Path(directory) / "aliquot"
        shutil.copytree(CHART, chart)
        (chart / "templates/zz-notes.yaml").write_text(NOTES)
        default = render(options.helm, chart, HERE / "cases/default.yaml", KUBERNETES)
        for values in sorted((HERE / "cases").glob("*.yaml")):
            if values.stem == "default":
                text, golden = default, HERE / "golden/default.yaml"
            else:
                text = render(options.helm, chart, values, kubernetes_of(values))
                golden = HERE / f"golden/{values.stem}.diff"
                if not text.startswith("fails:"):
                    text = "".join(difflib.unified_diff(
                        default.splitlines(True), text.splitlines(True), "default", values.stem,
                        n=2))
                    text = re.sub(r"^@@.*@@$", "@@", text, flags=re.MULTILINE)
            if options.update:
                golden.write_text(text)
            elif not golden.exists() or golden.read_text() != text:
                failures += 1
                was = golden.read_text() if golden.exists() else ""
                print(f"{values.stem} differs from {golden.relative_to(HERE)}; if that is meant, "
                      f"run {Path(__file__).name} --update")
                sys.stdout.writelines(difflib.unified_diff(
                    was.splitlines(True), text.splitlines(True), "golden", "now", n=2))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
