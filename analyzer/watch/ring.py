"""The ring: files of packets in a folder, the oldest of which go when there are too many.

Law: the folder is bounded, whatever happens. What a run leaves behind the next one adopts. Only
files that bear this program's own names are ever deleted. Files are in the order of their numbers:
the clock may be set.
"""

import errno
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from analyzer.errors import InputError
from analyzer.watch.splitting import Piece

_NAME = re.compile(r"ring-(\d{8,})-\d{8}T\d{6}Z\.pcap(?:ng)?")
MOST_IN_FILE = 64 << 20  # bytes
LEAST_IN_FILE = 1 << 20
PARTS = 32  # files at least that a ring is made of, so that forgetting one forgets little
# Bytes that are left free on the disk, or an eighth of it: an incident's evidence has to fit.
RESERVE = 64 << 20
LONGEST_FILE = 20.0  # seconds that one file is written to

Say = Callable[[str], None]


@dataclass(slots=True)
class Kept:
    """A file of the ring; `began` is by the monotonic clock, of one adopted by its file's age."""

    path: Path
    number: int
    began: float
    ended: float
    size: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a ring may hold: bytes, and seconds of the monotonic clock."""

    size: int
    time: float

    @property
    def file(self) -> int:
        """Bytes in a file, at which the next one is begun."""
        return max(LEAST_IN_FILE, min(MOST_IN_FILE, self.size // PARTS))


@dataclass(slots=True)
class Loss:
    """A time in which packets may be missing, in ns since 1970; `packets`: how many, 0: unknown."""

    since: int
    until: int
    why: str
    packets: int = 0


@dataclass(slots=True)
class Losses:
    """The times in which packets may be missing, a thousand at most; the latest last."""

    MOST = 1_000

    all: list[Loss] = field(default_factory=list)

    def add(self, loss: Loss) -> None:
        """One more; one that continues the last one, for the same reason, makes that longer."""
        last = self.all[-1] if self.all else None
        if last is not None and last.why == loss.why and loss.since <= last.until + 1_000_000_000:
            last.until = max(last.until, loss.until)
            last.packets += loss.packets
        else:
            self.all.append(loss)
        del self.all[: -self.MOST]

    def between(self, since: int, until: int) -> Loss | None:
        """A loss in that time."""
        return next((one for one in self.all if one.since <= until and one.until >= since), None)


class Ring:
    """Writes pieces of a capture to the ring's files, and forgets the oldest.

    One thread writes, another may ask. `losses` are those of writing: a full disk.
    """

    def __init__(self, folder: Path, bounds: Bounds, losses: Losses, say: Say) -> None:
        """Take over what is in the folder. Raises InputError where it cannot be written to."""
        self.folder, self.bounds, self.losses, self.say = folder, bounds, losses, say
        self.written = 0  # bytes of packets, ever
        self.forgotten = 0  # files, ever
        self._lock = RLock()
        self._file: int | None = None
        self._preface = b""
        self._full_since = 0
        self._tight = False  # it was said that the disk is nearly full
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}") from None
        self._kept = adopted(folder)
        self.forget()

    # --- what is there ---------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes in all files."""
        with self._lock:
            return sum(one.size for one in self._kept)

    def files(self) -> list[Kept]:
        """All files, the oldest first. The last may still grow, by whole records."""
        with self._lock:
            return [one for one in self._kept if one.size]

    @property
    def age(self) -> float:
        """Seconds since the oldest file was begun."""
        with self._lock:
            return time.monotonic() - self._kept[0].began if self._kept else 0.0

    # --- writing ---------------------------------------------------------------------------

    def write(self, piece: Piece) -> None:
        """Add records. Where there is no room for them they are lost, and it is said."""
        with self._lock:
            current = self._kept[-1] if self._file is not None else None
            if current is not None and (
                piece.anew
                or piece.preface != self._preface
                or current.size + len(piece.records) > self.bounds.file
                or time.monotonic() - current.began > LONGEST_FILE
            ):
                self.close()
            try:
                if self._file is None:
                    self._begin(piece)
                self._append(piece.records)
            except OSError as error:
                self._lose(error)
            else:
                self._found_room()
                self.written += len(piece.records)
            self.forget()

    def close(self) -> None:
        """End the file that is written to; the next piece begins another."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
                self._kept[-1].ended = time.monotonic()

    def forget(self) -> None:
        """Delete the oldest files that there is no room or no time for."""
        with self._lock:
            while self._kept and self._is_too_much():
                if not self._forget_oldest():
                    return

    def _is_too_much(self) -> bool:
        oldest = self._kept[0]
        if self._file is not None and len(self._kept) == 1:
            return False
        if self.size > self.bounds.size or time.monotonic() - oldest.ended > self.bounds.time:
            return True
        return len(self._kept) > 1 and self._is_tight()

    def _is_tight(self) -> bool:
        """Whether others need what is left of the disk more than the ring does."""
        try:
            disk = os.statvfs(self.folder)
        except OSError:
            return False
        least = min(RESERVE, disk.f_blocks * disk.f_frsize // 8)
        tight = disk.f_bavail * disk.f_frsize < least
        if tight and not self._tight:
            self.say(f"{self.folder}: the disk is nearly full: less is kept than --keep-size says")
            self._tight = True
        return tight

    def _forget_oldest(self) -> bool:
        oldest = self._kept[0]
        try:
            oldest.path.unlink(missing_ok=True)
        except OSError as error:
            self.say(f"{oldest.path}: cannot be deleted: {error.strerror}")
            return False
        self._kept.pop(0)
        self.forgotten += 1
        return True

    def _begin(self, piece: Piece) -> None:
        number = self._kept[-1].number + 1 if self._kept else 1
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = self.folder / f"ring-{number:08}-{stamp}{piece.suffix}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o640)
        now = time.monotonic()
        self._kept.append(Kept(path, number, now, now))
        self._preface = piece.preface
        self._append(piece.preface)

    def _append(self, data: bytes) -> None:
        """Write all of it; of what there is no room for nothing stays in the file."""
        assert self._file is not None
        current = self._kept[-1]
        left = memoryview(data)
        try:
            while left:
                try:
                    left = left[os.write(self._file, left) :]
                except OSError as error:
                    closed = len(self._kept) > 1
                    if error.errno != errno.ENOSPC or not closed or not self._forget_oldest():
                        raise
        except OSError:
            os.ftruncate(self._file, current.size)
            raise
        current.size += len(data)
        current.ended = time.monotonic()

    def _lose(self, error: OSError) -> None:
        if not self._full_since:
            self._full_since = time.time_ns()
            self.say(f"{self.folder}: {error.strerror}: packets are being lost")
        self.losses.add(
            Loss(
                self._full_since, time.time_ns(), f"the ring could not be written: {error.strerror}"
            )
        )
        if self._file is not None and not self._kept[-1].size:
            # Not even its header had room: begin again.
            os.close(self._file)
            self._file = None
            self._forget_last()

    def _forget_last(self) -> None:
        self._kept.pop().path.unlink(missing_ok=True)

    def _found_room(self) -> None:
        if self._full_since:
            lasted = (time.time_ns() - self._full_since) / 1e9
            self.say(f"{self.folder}: there is room again; for {lasted:.1f} s packets were lost")
            self._full_since = 0


def adopted(folder: Path) -> list[Kept]:
    """The files that an earlier run left in a folder, the oldest first."""
    found = []
    now, clock = time.monotonic(), time.time()
    for path in folder.iterdir():
        name = _NAME.fullmatch(path.name)
        if name is None or path.is_symlink() or not path.is_file():
            continue
        told = path.stat()
        # Of a file from the future, as a clock that was set back leaves them: new.
        ended = now - max(0.0, clock - told.st_mtime)
        found.append(Kept(path, int(name[1]), ended, ended, told.st_size))
    return sorted(found, key=lambda one: one.number)
