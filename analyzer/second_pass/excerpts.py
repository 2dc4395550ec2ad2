"""Single messages read again, by the place of their first byte: a head and a body each.

Law: an answer or none. What is given is what the whole connection would have shown; a message whose
bytes do not come one after the other, or that can be read in two ways, is left to `look`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analyzer.anomalies import Anomalies
from analyzer.http.messages import Message as HttpMessage
from analyzer.http.messages import MessageReader
from analyzer.intervals import distance
from analyzer.packets.segments import FIN, RST, SYN, Ints
from analyzer.second_pass.kept import plain
from analyzer.second_pass.model import CLIENT, Message, Place
from analyzer.tcp.blocks import Rows

NEAR = 512  # segments of a block that are searched for the next one of a connection, at first


@dataclass(slots=True)
class _Excerpt:
    """A message that is being read; `due` is the number of the next byte."""

    place: Place
    due: int
    key: npt.NDArray[np.uint64] = field(init=False)
    high: int = 0  # which of the two endpoints sends it, as in `Rows.side`
    told: HttpMessage | None = None
    reader: MessageReader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = MessageReader(
            is_request=self.place.side == CLIENT,
            on_head=lambda _: self.place.method,
            on_end=self._end,
            on_lost=lambda *_: None,
            anomalies=Anomalies(),
            whole=True,
        )

    def _end(self, message: HttpMessage) -> None:
        self.told = self.told or message

    def segments(self, rows: Rows, at: int) -> bool:
        """Read on from a row of a block; whether more has to come from the next one."""
        near = NEAR
        while at < len(rows.frame):
            part = slice(at, at + near)
            same = (rows.side[part] == self.high) & (rows.key[part] == self.key).all(axis=1)
            for n in np.flatnonzero(same).tolist():
                if not self._take(rows, at + n):
                    return False
            at, near = at + near, 4 * near
        return True

    def _take(self, rows: Rows, at: int) -> bool:
        """Read a segment; whether the message goes on behind it."""
        seq, size = int(rows.seq[at]), int(rows.wire[at])
        skipped = distance(seq, self.due)
        if size and skipped >= size:
            return True  # all of it has come before
        if int(rows.flags[at]) & (SYN | FIN | RST) and not size:
            return False
        if not size:
            return True
        if skipped < 0 or size != int(rows.captured[at]) or int(rows.flags[at]) & (SYN | RST):
            return False
        begin = int(rows.payload[at])
        self.due = seq + size & 0xFFFFFFFF
        self.reader.feed(
            rows.data[begin + skipped : begin + size],
            int(rows.frame[at]), int(rows.time[at]), seq + skipped, int(rows.ack[at]),
        )  # fmt: skip
        return self.told is None

    @property
    def is_plain(self) -> bool:
        """Whether it has come, and can be read in one way."""
        told = self.told
        if told is None or told.frame != self.place.frame:
            return False
        odd = told.doubtful or told.flags or told.tunnel or told.fields.expect
        return not odd and (self.place.side == CLIENT or told.status >= 200)


class Excerpts:
    """Takes blocks of segments, and reads the messages at the wanted places, up to `most` bytes."""

    def __init__(self, wanted: Iterable[Place], most: int) -> None:
        self._wanted = sorted(set(wanted))
        self._frames: Ints = np.array([place.frame for place in self._wanted], dtype=np.int64)
        self._open: list[_Excerpt] = []
        self._found: dict[Place, Message] = {}
        self._room = most

    def block(self, rows: Rows) -> None:
        """Take a block."""
        if not len(rows.frame):
            return
        going = [(excerpt, 0) for excerpt in self._open]
        first, last = np.searchsorted(self._frames, (rows.frame.min(), rows.frame.max() + 1))
        at = np.searchsorted(rows.frame, self._frames[first:last])
        for place, row in zip(self._wanted[first:last], at.tolist(), strict=True):
            if row < len(rows.frame) and int(rows.frame[row]) == place.frame:
                excerpt = _Excerpt(place, place.seq)
                excerpt.key, excerpt.high = rows.key[row].copy(), int(rows.side[row])
                going.append((excerpt, row))
        self._open = []
        for excerpt, row in going:
            if excerpt.segments(rows, row):
                self._open.append(excerpt)
            elif excerpt.is_plain and excerpt.told is not None and self._room > 0:
                message = plain(excerpt.place.side, excerpt.told)
                self._room -= len(message.body or b"")
                self._found[excerpt.place] = message

    def finish(self) -> dict[Place, Message]:
        """All captures have been read: the messages that were whole."""
        return self._found
