"""What a watch keeps beside the packets: its state, its status, and a line for each incident.

    DIR/ring/               packets, bounded
    DIR/incidents/          evidence: incident-ID.pcapng and incident-ID.json
    DIR/incidents.jsonl     a line for each incident
    DIR/baseline.json       what is usual, as `learn` writes it
    DIR/state.json          what was learned and told, for the next start
    DIR/status.json         how it is, every few seconds

Law: one watch at a time has a folder. A file is whole, or not there; a line is whole, or repaired.
"""

import fcntl
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from analyzer.errors import InputError
from analyzer.report.escape import as_json, well_formed
from analyzer.watch.alarms import Alarms, Learned
from analyzer.watch.ring import Loss, Losses, Say

VERSION = 1  # of the state
MOST_STATE = 64 << 20  # bytes that are read


@dataclass(slots=True)
class State:
    """What is known from one start to the next.

    `written`: when that was (ns since 1970; 0: never). `file` is the number of the last file of the
    ring that was learned from.
    """

    learned: Learned = field(default_factory=Learned)
    losses: Losses = field(default_factory=Losses)
    reported: dict[str, str] = field(default_factory=dict)
    written: int = 0
    file: int = -1


class Store:
    """The folder of a watch."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self._lock: int | None = None

    @property
    def ring(self) -> Path:
        """Where the packets are."""
        return self.folder / "ring"

    @property
    def incidents(self) -> Path:
        """Where the evidence is."""
        return self.folder / "incidents"

    @property
    def lines(self) -> Path:
        """The file with a line for each incident."""
        return self.folder / "incidents.jsonl"

    @property
    def baseline(self) -> Path:
        """The file of what is usual."""
        return self.folder / "baseline.json"

    @property
    def evidence(self) -> int:
        """Bytes of evidence that are kept."""
        total = 0
        with suppress(OSError):
            for path in self.incidents.iterdir():
                with suppress(OSError):
                    total += path.stat().st_size
        return total

    def claim(self) -> None:
        """Make the folder if need be, and have it for this process alone.

        Raises InputError where it cannot be made or another watch has it.
        """
        try:
            # Packets hold whatever passes: nobody else is to read them.
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for below in (self.ring, self.incidents):
                below.mkdir(exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock = os.open(self.folder / "lock", flags, 0o600)
        except OSError as error:
            raise InputError(f"{error.filename or self.folder}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = None
            raise InputError(f"{self.folder}: another watch keeps its packets there") from None

    def release(self) -> None:
        """Let another one have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # --- state -------------------------------------------------------------------------------

    def read(self, say: Say) -> State:
        """What was known when this was last written.

        One that makes no sense is moved aside, and the watch begins anew: it is there to go on.
        """
        path = self.folder / "state.json"
        try:
            with path.open("rb") as file:
                told = orjson.loads(file.read(MOST_STATE))
            if told["version"] != VERSION:
                raise ValueError
            learned = Learned({str(k): [int(a), int(b)] for k, (a, b) in told["longest"].items()})
            losses = Losses([Loss(**one) for one in told["losses"]])
            reported = {str(k): str(v) for k, v in told["reported"].items()}
            return State(learned, losses, reported, int(told["written"]), int(told["file"]))
        except FileNotFoundError:
            pass
        except OSError as error:
            say(f"{path}: {error.strerror}: what was learned before is not known")
        except (ValueError, TypeError, KeyError, AttributeError):
            aside = path.with_suffix(".json.unread")
            with suppress(OSError):
                path.replace(aside)
            say(f"{path}: no state of this version; moved to {aside.name}, to learn anew")
        return State()

    def write(self, alarms: Alarms, file: int) -> str:
        """Write what is known; returns what went wrong, or "". `file` is as in `State`."""
        told = {
            "version": VERSION,
            "written": time.time_ns(),
            "longest": alarms.learned.longest,
            "losses": [asdict(one) for one in alarms.losses.all],
            "reported": alarms.reported,
            "file": file,
        }
        return self._put("state.json", orjson.dumps(well_formed(told)))

    def write_status(self, status: dict[str, Any]) -> str:
        """Write how it is; returns what went wrong, or ""."""
        return self._put("status.json", as_json(status))

    def _put(self, name: str, content: bytes) -> str:
        """Write a whole file in the place of the old one."""
        path, new = self.folder / name, self.folder / f".{name}.new"
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            return f"{path}: {error.strerror}"
        return ""

    # --- incidents ---------------------------------------------------------------------------

    def add(self, line: dict[str, Any]) -> str:
        """Add a line to the incidents; returns what went wrong, or ""."""
        content = orjson.dumps(well_formed(line)) + b"\n"
        try:
            handle = os.open(self.lines, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    content = b"\n" + content  # the line before was cut off when all ended
                if os.write(handle, content) < len(content):
                    os.ftruncate(handle, size)
                    return f"{self.lines}: No space left on device"
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            return f"{self.lines}: {error.strerror}"
        return ""

    def told(self) -> list[dict[str, Any]]:
        """All lines, those that are not whole left out."""
        found = []
        try:
            content = self.lines.read_bytes()
        except OSError:
            return []
        for line in content.splitlines():
            try:
                one = orjson.loads(line)
            except ValueError:
                continue
            if isinstance(one, dict):
                found.append(one)
        return found

    def status(self) -> dict[str, Any]:
        """How the watch was when it last said. Raises InputError where none ever did."""
        path = self.folder / "status.json"
        try:
            told = orjson.loads(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except ValueError:
            raise InputError(f"{path}: not a watch's status") from None
        if not isinstance(told, dict):
            raise InputError(f"{path}: not a watch's status")
        return told
