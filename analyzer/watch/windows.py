"""Which files a round judges: the latest of the ring, as many as are worth it.

Law: a window is bounded in time and in bytes, and begins between two files. An alarm that is open
holds it open, within a bound too. After the clock was set, or where packets of the ring were not
captured, what came before is not judged with what comes after.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analyzer.capture import files
from analyzer.errors import InputError
from analyzer.watch.ring import Kept

TIME = 600.0  # seconds
# Some 15,000 exchanges of a kilobyte, and a second to judge: more would be learned from, and later.
BYTES = 16 << 20
# Of a glance: so short that it is cheap, so long that a request that waits in it is overdue.
GLANCE_TIME = 15.0
GLANCE_BYTES = 4 << 20
HELD = 8  # times as many bytes while an alarm is open
BEFORE = 10.0  # seconds before an alarm's first request that are held
_COMPRESSED = re.compile(r"\.(gz|zst|xz|bz2|lz4)$")


@dataclass(slots=True)
class Window:
    """Chooses files; `floor` is the number of the first file that may be judged."""

    floor: int = 0
    time: float = TIME
    bytes: int = BYTES

    def choose(self, every: Sequence[Kept], held: float | None = None) -> list[Kept]:
        """The files to judge, the oldest first; `held`: seconds ago from which on they are held."""
        now = time.monotonic()
        since = now - self.time
        hold = now - held - BEFORE if held is not None else None
        chosen: list[Kept] = []
        size = 0
        for one in reversed(every):
            if one.number < self.floor:
                break
            wanted = one.ended >= since and size + one.size <= self.bytes
            kept = hold is not None and one.ended >= hold
            if chosen and not wanted and not (kept and size + one.size <= HELD * self.bytes):
                break
            chosen.append(one)
            size += one.size
        return chosen[::-1]


def to_learn(every: Sequence[Kept], first: int, learned: int) -> list[Kept]:
    """The files to learn from: those before the window's `first`, and after the one `learned` last.

    None while they are few. What is judged is not learned at once: it would speak for itself.
    """
    left = [one for one in every if learned < one.number < first]
    chosen: list[Kept] = []
    size = 0
    for one in left:
        if chosen and size + one.size > BYTES:
            return chosen
        chosen.append(one)
        size += one.size
    old = bool(chosen) and time.monotonic() - chosen[0].ended > 2 * TIME
    return chosen if size > BYTES // 2 or old else []


@dataclass(slots=True)
class ForeignRing:
    """Files that somebody else fills and deletes: never written to, and not bounded by this."""

    folder: Path
    _captures: dict[tuple[str, int], bool] = field(default_factory=dict)

    def check(self) -> None:
        """Raises InputError where the folder cannot be read."""
        if not self.folder.is_dir():
            raise InputError(f"--ring {self.folder}: no such directory")

    def files(self) -> list[Kept]:
        """The captures there, in the order in which they were last written to."""
        found: list[Kept] = []
        now, clock = time.monotonic(), time.time()
        seen: dict[tuple[str, int], bool] = {}
        try:
            paths = list(self.folder.iterdir())
        except OSError:
            return []
        for path in paths:
            try:
                told = path.stat()
            except OSError:
                continue  # it has gone meanwhile
            key = path.name, told.st_ino
            if not told.st_size or _COMPRESSED.search(path.name):
                continue
            known = self._captures.get(key)
            seen[key] = files.is_capture(path) if known is None else known
            if seen[key] and path.is_file():
                ended = now - max(0.0, clock - told.st_mtime)
                found.append(Kept(path, told.st_mtime_ns, ended, ended, told.st_size))
        self._captures = seen
        return sorted(found, key=lambda one: (one.number, one.path.name))

    @property
    def size(self) -> int:
        """Bytes in all files."""
        return sum(one.size for one in self.files())

    @property
    def age(self) -> float:
        """Seconds since the oldest file was written to."""
        return max((time.monotonic() - one.began for one in self.files()), default=0.0)
