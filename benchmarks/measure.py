"""Running a command and measuring it: wall time, processor time, peak memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass


class MeasureError(Exception):
    """A command that could not be run, or that did not do its work."""


@dataclass(frozen=True)
class Cost:
    """What one run of a command cost. Times in seconds, `rss` (the peak) in bytes."""

    wall: float
    user: float
    system: float
    rss: int

    @property
    def cpu(self) -> float:
        """Processor time, the kernel's part included."""
        return self.user + self.system


def run(command: list[str], good: Collection[int] = (0,)) -> Cost:
    """Runs `command`, its output thrown away, and says what it cost.

    The kernel's own account (wait4) is used. It has two limits: children of the command count
    with their time, but only the largest of them with its memory; and no peak is ever reported
    below this process's own, which is why nothing large is imported here.
    """
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
            )
        except OSError as error:
            raise MeasureError(f"{command[0]}: {error.strerror}") from error
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace")
        # a crash in Python ends with 1, as a scan with findings does
        if process.returncode not in good or "Traceback (most recent call last)" in said:
            last = said.strip().splitlines() or ["(no message)"]
            raise MeasureError(f"{command[0]} ended with {process.returncode}: {last[-1]}")
    return Cost(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024)
