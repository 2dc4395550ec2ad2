"""FRAMES: the table that this stage puts out, and what is known about a capture file."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from analyzer.anomalies import Anomalies, Fates
from analyzer.capture.comments import Comments

BLOCK = 8 << 20  # bytes read at a time
MOST_FRAMES = 16_384  # handed on at a time: small frames take more room in tables than in bytes
LONGEST_FRAME = 16 << 20  # bytes; a record that claims more cannot be true

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Frames:
    """A block of frames: one array element each, and the bytes they lie in.

    `number` counts from 1 in the file, as Wireshark counts; `time` is ns since 1970 (UTC);
    `interface` indexes `Capture.interfaces`; `captured` and `wire` are lengths in bytes; `offset`
    is where the frame's first byte lies in `data`.
    """

    data: bytes
    number: Ints
    time: Ints
    interface: Ints
    captured: Ints
    wire: Ints
    offset: Ints

    def __len__(self) -> int:
        return len(self.number)

    def parts(self, most: int = MOST_FRAMES) -> Iterator["Frames"]:
        """The block in as few parts of equal length as hold no more than `most` frames each."""
        count = -(-len(self) // most)
        if count <= 1:
            yield self
            return
        bounds = np.linspace(0, len(self), count + 1).astype(np.int64).tolist()
        for low, high in pairwise(bounds):
            yield Frames(
                data=self.data,
                number=self.number[low:high],
                time=self.time[low:high],
                interface=self.interface[low:high],
                captured=self.captured[low:high],
                wire=self.wire[low:high],
                offset=self.offset[low:high],
            )


@dataclass(slots=True)
class Interface:
    """An interface of a capture file, as its header describes it."""

    link_type: int
    name: str = ""
    description: str = ""
    comment: str = ""
    dropped: int = 0


@dataclass(slots=True)
class Capture:
    """What is known about one capture file; filled in while it is read."""

    path: str
    index: int = 0
    series: int = 0  # files of one rotated set share a series
    format: str = ""
    interfaces: list[Interface] = field(default_factory=list)
    frames: int = 0
    first: int | None = None  # ns since 1970
    last: int | None = None
    given_up: bool = False  # reading ended at a record that cannot be true
    partial: bool = False  # reading was ended before the file was
    anomalies: Anomalies = field(default_factory=Anomalies)
    comment: str = ""  # on the capture as a whole
    comments: Comments = field(default_factory=Comments)  # on its frames
    fates: Fates = field(default_factory=Fates)  # of its frames, each under one name

    def settle(self) -> None:
        """The whole capture has been read: every frame must have come to one end.

        Raises RuntimeError when that is not so, which is a mistake of this program.
        """
        if self.fates.total() != self.frames:
            counted = self.fates.total()
            raise RuntimeError(f"{self.path}: {counted} of {self.frames} frames are accounted for")

    def note(self, frames: Frames) -> Frames:
        """Take the block into account and hand it on."""
        if len(frames):
            self.frames += len(frames)
            low, high = int(frames.time.min()), int(frames.time.max())
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)
        return frames


class Reader(Protocol):
    """Reads the frames of one format from a stream of decompressed bytes."""

    def __call__(self, stream: BinaryIO, capture: Capture, block: int) -> Iterator[Frames]: ...
