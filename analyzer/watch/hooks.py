"""What the user wants done at an alarm: a command that is given the incident as JSON.

Law: it never holds up anything else. One runs at a time, each for a limited time; those that there
is no room for are counted and said.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from contextlib import suppress
from typing import Any

from analyzer.report.escape import as_json
from analyzer.watch.ring import Say

LONGEST = 30.0  # seconds that a command may run
MOST = 20  # that wait for their turn


class Hooks:
    """Runs one command for every event."""

    def __init__(self, command: str | None, say: Say) -> None:
        self.command, self.say = command, say
        self.left_out = 0
        self.failed = 0
        self._queue: deque[bytes] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def run(self, event: dict[str, Any]) -> None:
        """Have the command run for an event, as soon as its turn comes."""
        if self.command is None:
            return
        if len(self._queue) >= MOST:
            self.left_out += 1
            self.say(f"--on-alarm: {MOST} runs wait already; this one is left out")
            return
        self._queue.append(as_json(event))
        self.tick()

    def tick(self) -> None:
        """See to the one that runs, and start the next."""
        process = self._process
        if process is not None:
            status = process.poll()
            if status is None and time.monotonic() - self._began > LONGEST:
                self._kill(process)
                status = process.wait()
                self.say(f"--on-alarm: ended after {LONGEST:.0f} s: it took too long")
            elif status:
                self.say(f"--on-alarm: it failed (status {status})")
            if status is None:
                return
            self.failed += bool(status)
            self._process = None
        if self._queue:
            self._start(self._queue.popleft())

    def _start(self, told: bytes) -> None:
        assert self.command is not None
        try:
            # A file, not a pipe: nobody has to write while the command reads.
            with tempfile.TemporaryFile() as file:
                file.write(told)
                file.seek(0)
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", self.command],
                    stdin=file,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                )
        except OSError as error:
            self.failed += 1
            self.say(f"--on-alarm: {error.strerror}")
            return
        self._began = time.monotonic()

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """End it with all that it started."""
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)

    def finish(self, patience: float = 5.0) -> None:
        """Let what waits run for so many seconds, then end it."""
        deadline = time.monotonic() + patience
        while (self._queue or self._process is not None) and time.monotonic() < deadline:
            self.tick()
            time.sleep(0.02)
        if self._process is not None:
            self._kill(self._process)
            self._process.wait()
            self._process = None
        if self._queue:
            self.left_out += len(self._queue)
            self.say(f"--on-alarm: {len(self._queue)} runs were left out: this program ends")
            self._queue.clear()
