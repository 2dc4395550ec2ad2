"""Frames as a report names them: in which capture, under which number, and how that is written.

Law: a frame that is told is a `Frame`, from the tables to the last word; its text is written here
and nowhere else. Where one capture with one interface is all there is, a frame is its number, as
Wireshark counts (`578`); wherever more are in play it has its file too (`client1.pcap:578`).
"""

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import NamedTuple

_PACKED = frozenset({".gz", ".zst", ".lz4", ".xz", ".bz2"})


class Frame(NamedTuple):
    """A frame: the index of its capture, its number there, and the file's name where it is said.

    Number 0 stands for no frame.
    """

    capture: int
    number: int
    file: str = ""

    def __str__(self) -> str:
        """As it is written in every text."""
        return f"{self.file}:{self.number}" if self.file else str(self.number)

    def __bool__(self) -> bool:
        return self.number > 0


NO_FRAME = Frame(0, 0)


def once(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Each frame once, in the order given; none of those that stand for no frame."""
    return tuple(dict.fromkeys(frame for frame in frames if frame))


def listed(frames: Sequence[Frame], most: int, total: int = 0) -> str:
    """`frame 3`, `frames 3, 4 and 5`, `frames 3, 4 and 7 more`: the first `most` by name.

    There are `total` in all, where not all are given.
    """
    named = [str(frame) for frame in frames[:most]]
    more = max(total, len(frames)) - len(named)
    if more:
        named.append(f"{more:,} more")
    last = f" and {named[-1]}" if len(named) > 1 else ""
    return f"frame{'s' if last else ''} {', '.join(named[:-1] if last else named)}{last}"


def file_names(paths: Sequence[str]) -> list[str]:
    """What to call each capture: the last parts of its path, as many as tell it from all others.

    How it is compressed is left out, where that tells none apart.
    """
    plain = [
        str(PurePath(p).with_suffix("")) if PurePath(p).suffix in _PACKED else p for p in paths
    ]
    if len(set(plain)) == len(set(paths)):
        paths = plain
    parts = [PurePath(path).parts or (path,) for path in paths]
    names = list(paths)
    for number, own in enumerate(parts):
        for count in range(1, len(own) + 1):
            tail = own[-count:]
            if sum(other[-count:] == tail for other in parts) == 1:
                names[number] = str(PurePath(*tail))
                break
    return names
