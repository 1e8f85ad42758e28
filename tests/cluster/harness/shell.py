# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Running programs and waiting for things."""

import contextlib
import os
import signal
import subprocess
import sys
import time


class Failure(Exception):
    """Something that the reader of the message has to know; no traceback helps."""


class Unable(Failure):
    """This machine lacks what the cluster needs: nothing that was tested has failed."""


class Stopped(BaseException):
    """Somebody told this program to end."""


def _stop(number, _):
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # the end is near, and has work to do
    raise Stopped(signal.Signals(number).name)


def stop_in_order():
    """From now on a signal that asks this program to end raises Stopped."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)


def _end_group(process):
    """Ends a program and those that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def run(*command, input=None, **options):
    """Runs a program to its end and returns its standard output; Failure if it fails. When this
    one is told to end meanwhile, so are the program and those that it started."""
    command = [str(part) for part in command]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL if input is None else
                               subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, process_group=0, **options)
    try:
        out, err = process.communicate(input)
    except BaseException:
        _end_group(process)
        raise
    if process.returncode != 0:
        said = (err or out).strip().splitlines()[-8:]
        raise Failure(f"{' '.join(command)}: exit status {process.returncode}\n  " +
                      "\n  ".join(said))
    return out


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
