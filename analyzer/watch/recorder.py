"""What fills the ring: tcpdump or dumpcap, kept running; or standard input.

Law: the capturing program writes to a pipe, and the ring's files are this program's alone: the
programs' own rings adopt no old files, count no drops in the files, and rotate only when a packet
comes. That it ended is said, and the time without it is a loss; so is each packet that the kernel
dropped.
"""

import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from threading import Event, Thread
from typing import Any

from analyzer.errors import InputError
from analyzer.watch.ring import Loss, Losses, Ring, Say
from analyzer.watch.splitting import Splitter

BUFFER = 32  # MiB of the kernel's, for when this program is late
PIPE = 1 << 20  # bytes; more than the least that a system allows needs no right
PATIENCE = 10.0  # seconds that a program may take to begin
LONGEST_PAUSE = 30.0  # seconds between two tries
_SETTLED = 1.0  # seconds after which a program that has begun can be asked
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Program:
    """A capturing program: its arguments, what it says when it captures and of what it dropped.

    `can_be_asked`: SIGUSR1 makes it say that at once.
    """

    name: str
    arguments: Callable[[str, str], list[str]]
    begins: re.Pattern[str]
    dropped: re.Pattern[str]
    can_be_asked: bool


PROGRAMS = {
    "tcpdump": Program(
        "tcpdump",
        lambda interface, expression: [
            *("-i", interface, "-s", "0", "-n", "-U", "-B", str(BUFFER << 10), "-w", "-"),
            *([expression] if expression else []),
        ],
        re.compile(r"listening on"),
        re.compile(r"(\d+) packets? dropped by kernel"),
        can_be_asked=True,
    ),
    "dumpcap": Program(
        "dumpcap",
        lambda interface, expression: [
            *("-i", interface, "-q", "-P", "-B", str(BUFFER), "-w", "-"),
            *(["-f", expression] if expression else []),
        ],
        re.compile(r"^File:"),
        re.compile(r"received/dropped on interface .*: \d+/(\d+)"),
        can_be_asked=False,
    ),
}
_NOT_ALLOWED = re.compile(r"permission to|socket: Operation not permitted", re.IGNORECASE)


def found(named: str | None) -> tuple[Program, str]:
    """The capturing program and its path. Raises InputError where there is none.

    tcpdump comes first: it can be asked what was dropped while it runs.
    """
    if named is not None:
        program = PROGRAMS.get(PurePath(named).name)
        if program is None:
            raise InputError(f"--recorder {named}: it is {' or '.join(PROGRAMS)}, or a path of one")
        path = shutil.which(named)
        if path is None:
            raise InputError(f"--recorder {named}: no such program")
        return program, path
    for program in PROGRAMS.values():
        path = shutil.which(program.name) or shutil.which(program.name, path="/usr/sbin:/usr/bin")
        if path is not None:
            return program, path
    raise InputError("neither tcpdump nor dumpcap is installed; --recorder names one elsewhere")


class Feed:
    """Something that fills the ring, in a thread of its own."""

    def __init__(self, ring: Ring, losses: Losses, say: Say) -> None:
        self.ring, self.losses, self.say = ring, losses, say
        self.dropped = 0  # packets that the kernel dropped, ever
        self.restarts = 0
        self.ended = Event()  # nothing will come any more
        self._stopping = Event()
        self._last = time.time_ns()  # when it was last known to capture
        self._thread = Thread(target=self._work, name="feed", daemon=True)

    def begin(self) -> None:
        """Begin to fill the ring. Raises InputError where that cannot be."""
        self._thread.start()

    def tick(self) -> None:
        """Called about once a second."""

    def stop(self, patience: float = 5.0) -> None:
        """Take what is under way, and end."""
        self._stopping.set()
        self._end()
        self._thread.join(patience)

    def _end(self) -> None:
        """Make the thread come to its end."""

    def _work(self) -> None:
        try:
            self._feed()
        except InputError as error:
            self.say(str(error))
        finally:
            self.ring.close()
            self.ended.set()

    def _feed(self) -> None:
        raise NotImplementedError

    def _pump(self, source: int, splitter: Splitter) -> None:
        """Read a descriptor to its end, or until it is to stop."""
        while True:
            ready, _, _ = select.select([source], [], [], 0.5)
            if not ready:
                if self._stopping.is_set() and not self._drains:
                    return
                continue
            data = os.read(source, 1 << 20)
            if not data:
                return
            self._last = time.time_ns()
            for piece in splitter.feed(data):
                self.ring.write(piece)

    _drains: bool = False  # whether the descriptor comes to its end when it is to stop


class StandardInput(Feed):
    """A capture that comes on standard input."""

    def _feed(self) -> None:
        self._pump(0, Splitter("standard input"))


class Recorder(Feed):
    """A capturing program, started again whenever it ends."""

    _drains = True

    def __init__(
        self,
        interface: str,
        expression: str,
        named: str | None,
        ring: Ring,
        losses: Losses,
        say: Say,
    ) -> None:
        super().__init__(ring, losses, say)
        self.program, path = found(named)
        self.command = [path, *self.program.arguments(interface, expression)]
        self.process: subprocess.Popen[bytes] | None = None
        self._said: list[str] = []  # by this run of the program
        self._began = 0.0  # when it said that it captures, by the monotonic clock; 0: not yet
        self._counted = 0  # packets that this run of the program has dropped
        self._asked = time.time_ns()
        self._first = True

    def begin(self) -> None:
        self._start()
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE
        while not self._began and time.monotonic() < deadline:
            if self.process.poll() is not None:
                self._reader.join(1.0)
                raise InputError(self._why_not())
            time.sleep(0.02)
        super().begin()

    def tick(self) -> None:
        """Ask the program what was dropped."""
        process = self.process
        settled = self._began and time.monotonic() - self._began > _SETTLED
        if self.program.can_be_asked and settled and process is not None:
            try:
                process.send_signal(signal.SIGUSR1)
            except PermissionError:
                # As root tcpdump becomes another user.
                self.say(f"{self.program.name} cannot be asked what was dropped: it takes CAP_KILL")
                self._began = 0.0
            except OSError:
                return  # it has ended, which is seen elsewhere

    def _end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                self.process.send_signal(signal.SIGINT)
            except PermissionError:
                self._drains = False  # it ends when it finds nobody to write to

    def _ended(self, process: subprocess.Popen[bytes]) -> int:
        """Close its pipe, and wait for its end; its status."""
        assert process.stdout is not None
        process.stdout.close()
        with suppress(OSError, subprocess.TimeoutExpired):
            return process.wait(PATIENCE)
        with suppress(OSError):
            process.kill()
            return process.wait(PATIENCE)
        return 0

    def _feed(self) -> None:
        pause = 1.0
        while True:
            process = self.process
            assert process is not None and process.stdout is not None
            began = time.monotonic()
            try:
                self._pump(process.stdout.fileno(), Splitter(self.program.name))
            except InputError as error:
                self._said.append(str(error))
            status = self._ended(process)
            self._reader.join(1.0)
            if self._stopping.is_set():
                return
            since = self._last
            self.ring.close()
            if time.monotonic() - began > LONGEST_PAUSE:
                pause = 1.0
            self.say(f"{self.program.name} ended ({_ending(status)}): {self._why_not()}")
            while not self._stopping.wait(pause):
                pause = min(2 * pause, LONGEST_PAUSE)
                if self._started_again():
                    break
            if self._stopping.is_set():
                self._end()
            self.losses.add(Loss(since, time.time_ns(), f"{self.program.name} was not running"))

    def _started_again(self) -> bool:
        self.restarts += 1
        try:
            self._start()
        except InputError as error:
            self.say(str(error))
            return False
        deadline = time.monotonic() + PATIENCE
        assert self.process is not None
        while not self._began and time.monotonic() < deadline and not self._stopping.is_set():
            if self.process.poll() is not None:
                self._reader.join(1.0)
                return False
            time.sleep(0.02)
        self.say(f"{self.program.name} captures again")
        return True

    def _start(self) -> None:
        self._said, self._began, self._counted = [], 0.0, 0
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for this program, which ends that one itself
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            raise InputError(f"{self.command[0]}: {error.strerror}") from None
        assert process.stdout is not None
        with suppress(OSError):  # where the system allows less
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, PIPE)
        self.process = process
        self._reader = Thread(target=self._listen, args=(process.stderr,), daemon=True)
        self._reader.start()

    def _listen(self, said: Any) -> None:
        """Read what the program says of itself, to its end."""
        for raw in said:
            line = raw.decode(errors="backslashreplace").rstrip()
            dropped = self.program.dropped.search(line)
            if dropped is not None:
                self._count(int(dropped[1]))
            elif self.program.begins.search(line):
                self._began = time.monotonic()
                self._asked = self._last = time.time_ns()
            elif line:
                self._said = [*self._said[-5:], line]
        said.close()

    def _count(self, dropped: int) -> None:
        now, before = time.time_ns(), self._asked
        self._asked = self._last = now
        more, self._counted = dropped - self._counted, dropped
        if more > 0:
            self.dropped += more
            self.losses.add(Loss(before - _NS, now, "the kernel dropped packets", more))
            self.say(f"the kernel dropped {more:,} packets within {(now - before) / 1e9:.1f} s")

    def _why_not(self) -> str:
        """Why it does not capture, in a line."""
        lines = [line.removeprefix(f"{self.program.name}: ") for line in self._said]
        lines = [line for line in lines if not line.startswith("Capturing on")]
        if any(map(_NOT_ALLOWED.search, lines)):
            path = self.command[0]
            return (
                f"{self.program.name} may not capture: run this as root, or once "
                f"setcap cap_net_raw,cap_net_admin=eip {path}"
            )
        return "; ".join(lines[:2]) or "it said nothing"


def _ending(status: int) -> str:
    if status < 0:
        return f"by {signal.Signals(-status).name}"
    return f"status {status}"


def shown(command: Sequence[str]) -> str:
    """A command as somebody would type it."""
    import shlex

    return shlex.join(command)
