"""FRAMES in, copies of those that belong to wanted connections out, as they were captured.

Law: bounded. Wanted connections come in the order of their importance: when there is no room for
all, the last ones are left out whole, because half a connection proves nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from analyzer.capture.frames import Frames
from analyzer.packets.fragments import Part
from analyzer.packets.segments import Segments
from analyzer.second_pass.model import Wanted
from analyzer.second_pass.select import Selection
from analyzer.tcp.blocks import Rows


class Copied(NamedTuple):
    """A frame; `local` is its interface in the file, `wire` its length on the wire in bytes."""

    capture: int
    frame: int
    local: int
    time: int  # ns since 1970, by the capture's own clock
    wire: int
    data: bytes


class Copier:
    """Takes blocks of frames, and keeps those of the wanted connections, up to `most` bytes."""

    def __init__(self, connections: list[Wanted], most: int) -> None:
        self._selection = Selection(connections)
        self._copies: list[list[Copied]] = [[] for _ in connections]
        self._left_out = [False] * len(connections)
        self._room = most

    def block(
        self,
        frames: Frames,
        found: Segments,
        rows: Rows,
        parts: Mapping[int, Sequence[Part]] = MappingProxyType({}),
    ) -> None:
        """Take a block; `parts` has the frames of packets that came in fragments, by row."""
        chosen, owner = self._selection.of(rows)
        of_frame = found.row[chosen]
        for n, row in zip(owner.tolist(), of_frame.tolist(), strict=True):
            if self._left_out[n]:
                continue
            capture = int(rows.frame[0]) >> 32
            for part in parts.get(row) or (_whole(frames, row),):
                self._room -= len(part.data)
                self._copies[n].append(Copied(capture, *part))
            while self._room < 0:
                self._let_go()

    def _let_go(self) -> None:
        """Leave out the least important connection of which anything is kept."""
        last = max(n for n, copies in enumerate(self._copies) if copies)
        self._room += sum(len(copy.data) for copy in self._copies[last])
        self._copies[last] = []
        self._left_out[last] = True

    def finish(self) -> list[list[Copied] | None]:
        """The frames of every connection in the order of the captures; None: there was no room."""
        return [
            None if out else copies
            for copies, out in zip(self._copies, self._left_out, strict=True)
        ]


def _whole(frames: Frames, row: int) -> Part:
    """A frame with a whole packet in it."""
    start = int(frames.offset[row])
    return Part(
        int(frames.number[row]),
        int(frames.interface[row]),
        int(frames.time[row]),
        int(frames.wire[row]),
        frames.data[start : start + int(frames.captured[row])],
    )


def merged(connections: Iterable[list[Copied]]) -> list[Copied]:
    """The frames of several connections in the order of time, each once.

    Those of one file stay in the order that they have there.
    """
    every = sorted({(c.capture, c.frame): c for copies in connections for c in copies}.items())
    latest: dict[int, int] = {}
    moments: list[tuple[int, int, int]] = []
    for (capture, frame), copied in every:
        latest[capture] = max(latest.get(capture, copied.time), copied.time)
        moments.append((latest[capture], capture, frame))
    order = sorted(range(len(every)), key=moments.__getitem__)
    return [every[n][1] for n in order]
