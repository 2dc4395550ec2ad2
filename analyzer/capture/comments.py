"""Comments on frames, as container tools write them on every packet: kept small, looked up late.

Law: equal texts are kept once, and what goes beyond the limits is left out and told, so that a
capture of nothing but comments takes a bounded memory.
"""

from array import array
from bisect import bisect_left

MOST_TEXTS = 65_536  # different ones
MOST_CHARACTERS = 4 << 20  # of all texts together
LONGEST = 4_096  # characters of one text
MOST_COMMENTS = 4 << 20


class Comments:
    """The comments on the frames of one capture."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._characters = 0
        self._frames = array("q")
        self._which = array("I")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Comments) and (
            (self._texts, self._frames, self._which) == (other._texts, other._frames, other._which)
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def add(self, frame: int, text: str) -> bool:
        """Keep a comment on a frame, frames in rising order; False when there is no room for it."""
        text = text[:LONGEST]
        number = self._numbers.get(text)
        if len(self._frames) >= MOST_COMMENTS:
            return False
        if number is None:
            if len(self._texts) >= MOST_TEXTS or self._characters + len(text) > MOST_CHARACTERS:
                return False
            number = self._numbers[text] = len(self._texts)
            self._texts.append(text)
            self._characters += len(text)
        self._frames.append(frame)
        self._which.append(number)
        return True

    def __len__(self) -> int:
        return len(self._frames)

    def of(self, frame: int) -> list[str]:
        """The comments on a frame, in the order of the file."""
        at = bisect_left(self._frames, frame)
        found: list[str] = []
        while at < len(self._frames) and self._frames[at] == frame:
            found.append(self._texts[self._which[at]])
            at += 1
        return found
