"""Which files are read, in which order, and which of them are one rotated set.

Law: files are read in the order of their first frame. A file that starts where an earlier one of
the same kind ended continues it (a rotated set: connections go on over the boundary); one that
overlaps is another vantage. Both are told by time and content, names only break ties.
"""

import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from analyzer.capture import pcap, pcapng
from analyzer.capture.compression import Decompressed, codec_of
from analyzer.capture.frames import BLOCK, Capture, Frames, Reader
from analyzer.errors import InputError
from analyzer.stopping import Pace

STANDARD_INPUT = "-"
_OVERLAP = 10_000_000  # ns that two files of one rotated set may overlap

Progress = Callable[[int], None]


@dataclass(slots=True)
class Source:
    """One capture to read: its path, and what a first look at it showed."""

    path: str
    first: int | None = None  # ns since 1970
    link_types: tuple[int, ...] = ()


class _Counted(io.RawIOBase):
    """A raw stream that reports how many bytes have been read from it."""

    def __init__(self, raw: BinaryIO, progress: Progress | None, pace: Pace | None) -> None:
        self._raw = raw
        self._progress = progress
        self._pace = pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._pace is not None:
            # This waits for what may never come.
            piece = self._pace.waited(self._raw.read, len(buffer))
            size = len(piece)
            buffer[:size] = piece
        else:
            size = cast(io.BufferedReader, self._raw).readinto(buffer)
        if self._progress is not None:
            self._progress(size)
        return size


class Spool:
    """Standard input, kept so that it can be read twice.

    What comes is copied to an unnamed file in the folder for temporary files (TMPDIR), which needs
    as much room as all of the input and goes when this object does. Where there is no room, reading
    goes on without the copy, and `lost` says so.
    """

    def __init__(self) -> None:
        self.lost = False
        self._copy: BinaryIO | None = None

    def stream(self) -> BinaryIO:
        """Standard input the first time, its copy after that."""
        if self._copy is None:
            try:
                self._copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115
            except OSError:
                self._copy, self.lost = io.BytesIO(), True
            return cast(BinaryIO, self)
        self._copy.seek(0)
        return self._copy

    def read(self, size: int) -> bytes:
        """The next `size` bytes of standard input, copied on their way."""
        piece = cast(io.BufferedReader, sys.stdin.buffer).read1(size)
        if not self.lost and self._copy is not None:
            try:
                self._copy.write(piece)
            except OSError:
                self.lost = True
                self._copy.truncate(0)
        return piece

    def readinto(self, buffer: memoryview) -> int:
        """The same into `buffer`, as much as it holds; returns how much."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def expand(paths: list[str]) -> list[str]:
    """The files meant by `paths`: a folder stands for every capture below it, sorted by name.

    Raises InputError for a path that does not exist, and for a folder without captures.
    """
    files: list[str] = []
    for path in paths:
        place = Path(path)
        if path == STANDARD_INPUT:
            files.append(path)
        elif place.is_dir():
            inside = [str(p) for p in sorted(place.rglob("*")) if p.is_file() and is_capture(p)]
            if not inside:
                raise InputError(f"{path}: no capture in this folder")
            files += inside
        elif not place.exists():
            raise InputError(f"{path}: no such file")
        else:
            files.append(path)
    seen = dict.fromkeys(files)
    return list(seen)


def whole(path: str, most: int) -> bytes:
    """All of a file that is no capture, of `most` bytes at most.

    Raises InputError when it cannot be read, or is longer.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if len(data) > most:
        raise InputError(f"{path}: has more than {most >> 20:,} MiB")
    return data


def size_of(paths: list[str]) -> int:
    """The bytes of all files together; 0 for standard input."""
    return sum(Path(path).stat().st_size for path in paths if Path(path).is_file())


def is_capture(path: Path) -> bool:
    """Whether the file's content, decompressed where need be, starts as a capture does."""
    try:
        with path.open("rb") as raw:
            _, stream = _decompress(cast(BinaryIO, raw))
            return _reader_of(stream.read(4)) is not None
    except OSError:
        return False


def in_order(paths: list[str]) -> list[Source]:
    """The sources in the order of their first frame; files without frames come first."""
    sources = [Source(path) for path in paths]
    if len(sources) > 1:
        if STANDARD_INPUT in paths:
            raise InputError("standard input cannot be combined with other captures")
        for source in sources:
            glance = Capture(source.path)
            for frames in read(source.path, glance, block=65_536):
                if len(frames):
                    source.first = int(frames.time[0])
                    break
            source.link_types = tuple(i.link_type for i in glance.interfaces)
        sources.sort(key=lambda s: (s.first if s.first is not None else -1, s.path))
    return sources


def series_of(source: Source, earlier: list[Capture]) -> int:
    """The number of the rotated set that `source` continues, or the next free number."""
    last_of_series = {c.series: c for c in earlier if c.last is not None}
    fitting = [
        c
        for c in last_of_series.values()
        if source.first is not None
        and c.first is not None
        and c.last is not None
        and source.first >= c.last - min(_OVERLAP, (c.last - c.first) // 10)
        and tuple(i.link_type for i in c.interfaces)[:1] == source.link_types[:1]
    ]
    if not fitting:
        return max((c.series for c in earlier), default=-1) + 1
    fitting.sort(key=lambda c: (_family(c.path) == _family(source.path), c.last), reverse=True)
    return fitting[0].series


def _family(path: str) -> str:
    return re.sub(r"\d+", "", path)


def read(
    path: str,
    capture: Capture,
    *,
    block: int = BLOCK,
    progress: Progress | None = None,
    spool: Spool | None = None,
    pace: Pace | None = None,
) -> Iterator[Frames]:
    """Yield the frames of the capture at `path`, filling in `capture` on the way.

    Standard input can be read twice through a `spool` only; waiting for it ends when `pace` is
    asked to. Raises InputError when the file cannot
    be opened or is no capture.
    """
    try:
        if path != STANDARD_INPUT:
            raw = Path(path).open("rb")  # noqa: SIM115
        else:
            raw = cast(io.BufferedReader, spool.stream() if spool else sys.stdin.buffer)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        waits = pace if path == STANDARD_INPUT else None
        yield from _read(cast(BinaryIO, raw), path, capture, block, progress, waits)
    except IsADirectoryError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    finally:
        if path != STANDARD_INPUT:
            raw.close()


def _read(
    raw: BinaryIO,
    path: str,
    capture: Capture,
    block: int,
    progress: Progress | None,
    pace: Pace | None = None,
) -> Iterator[Frames]:
    counted = cast(BinaryIO, io.BufferedReader(_Counted(raw, progress, pace), 1 << 20))
    codec, stream = _decompress(counted)
    start = stream.read(4)
    # What a capturing program leaves that never came to write is a capture of nothing.
    reader = _reader_of(start) if start else _nothing
    if reader is None:
        what = "standard input" if path == STANDARD_INPUT else path
        raise InputError(f"{what}: not a pcap or pcapng capture")
    whole = cast(BinaryIO, _Rejoined(start, stream))
    for frames in reader(whole, capture, block):
        for part in frames.parts():
            yield capture.note(part)
    if codec:
        capture.format = f"{capture.format}+{codec}"
    if pace is not None and pace.asked:
        # It is not the file that ends here.
        capture.partial = True
        del capture.anomalies["capture-cut-short"]
        return
    # What lies behind a record that cannot be true is not looked at, however far was read ahead.
    if isinstance(stream, Decompressed) and stream.damaged and not capture.given_up:
        capture.anomalies.count("compression-damaged")


def _decompress(stream: BinaryIO) -> tuple[str, BinaryIO]:
    """The stream's compression ("" for none) and its decompressed bytes."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    codec = codec_of(buffered.peek(8)[:8])
    if codec is None:
        return "", cast(BinaryIO, buffered)
    name, opener = codec
    return name, cast(BinaryIO, Decompressed(opener(cast(BinaryIO, buffered))))


def _reader_of(start: bytes) -> Reader | None:
    if start in pcap.MAGICS:
        return pcap.read
    return pcapng.read if start == pcapng.MAGIC else None


def _nothing(stream: BinaryIO, capture: Capture, block: int) -> Iterator[Frames]:
    """The frames of an empty file."""
    capture.format = "empty"
    yield from ()


class _Rejoined:
    """A stream whose first bytes have been read already."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        if not self._start:
            return self._rest.read(size)
        start, self._start = self._start[:size], self._start[size:]
        return start + self._rest.read(size - len(start))
