# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Running programs and waiting for things."""

import subprocess
import sys
import time


class Failure(Exception):
    """Something that the reader of the message has to know; no traceback helps."""


def run(*command, **options):
    """Runs a program to its end and returns its standard output; Failure if it fails."""
    command = [str(part) for part in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          **options)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-8:]
        raise Failure(f"{' '.join(command)}: exit status {done.returncode}\n  " + "\n  ".join(said))
    return done.stdout


def succeeds(*command, **options):
    """True if a program could be run and ended with status 0; its output is dropped."""
    try:
        return subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, **options).returncode == 0
    except OSError:
        return False


def wait_until(what, condition, seconds, every=0.1):
    """Asks until the condition's answer is true, and returns that answer."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s in vain for {what}")
        time.sleep(every)


class Stopwatch:
    """Prints lines with the seconds since it was made."""

    def __init__(self):
        self.began = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.began

    def say(self, text):
        print(f"[{self.seconds():6.1f} s] {text}", flush=True)


def fail(text):
    print(text, file=sys.stderr, flush=True)
    return 1
