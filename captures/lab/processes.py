"""Processes that the lab starts, each in its own session, and ends by their own id."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from captures.lab.errors import RecordingFailed


@dataclass
class Processes:
    """Everything running in the background; `stop_all` leaves nothing behind."""

    directory: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one program; its output goes to NAME.out and NAME.err in the run's directory."""
        with (
            (self.directory / f"{name}.out").open("wb") as out,
            (self.directory / f"{name}.err").open("wb") as err,
        ):
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def text(self, name: str) -> str:
        """What a process has said so far on both of its outputs."""
        parts = [self.directory / f"{name}.out", self.directory / f"{name}.err"]
        return "".join(part.read_text(errors="replace") for part in parts if part.exists())

    def wait_for_text(
        self, name: str, process: subprocess.Popen[bytes], wanted: str, seconds: float = 15
    ) -> None:
        """Wait until a process has printed `wanted`."""
        deadline = time.monotonic() + seconds
        while wanted not in self.text(name):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RecordingFailed(f"{name} did not start: {self.text(name)[-800:]}")
            time.sleep(0.02)

    def stop(self, process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> None:
        """End one process and whatever it started, and wait for it."""
        for signum, patience in ((how, 5.0), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(process.pid, signum)
            except ProcessLookupError:
                break
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            break
        with contextlib.suppress(ProcessLookupError):  # a child that outlived its parent
            os.killpg(process.pid, signal.SIGKILL)
        if process in self.running:
            self.running.remove(process)

    def stop_all(self) -> None:
        """End everything, the latest first."""
        for process in reversed(list(self.running)):
            self.stop(process)


def run(argv: Sequence[str]) -> str:
    """Run one command to its end; its words are in the error if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RecordingFailed(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
