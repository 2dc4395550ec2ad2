"""FRAMES and their segments in, CLOSEUPS out.

Law: numpy picks the segments of the wanted connections; those alone go through Python. The bytes
are put in order, framed and paired by the stages of the first pass (streams, http), so that both
looks say the same of a connection.
"""

from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from analyzer.capture.frames import Frames
from analyzer.extraction import Extraction, HttpSink, Recorder
from analyzer.http.messages import Message
from analyzer.intervals import MASK
from analyzer.packets.segments import Ints, Segments
from analyzer.second_pass.headers import headers
from analyzer.second_pass.kept import Watched
from analyzer.second_pass.model import CLIENT, SERVER, Limits, Reread, Wanted
from analyzer.second_pass.select import Selection
from analyzer.tables import Array
from analyzer.tcp.blocks import Rows, arrange
from analyzer.tcp.streams import Connection, Sink, Tracker


def wanted(
    connections: Array,
    addresses: list[tuple[int, int]],
    numbers: Iterable[int],
    *,
    since: int | None = None,
    until: int | None = None,
) -> list[Wanted]:
    """The connections with these numbers; `connections` are the rows of CONNECTIONS by number."""
    found = []
    for number in sorted(set(numbers)):
        row = connections[number]
        found.append(
            Wanted(
                number,
                (*addresses[int(row["client"])], int(row["client_port"])),
                (*addresses[int(row["server"])], int(row["server_port"])),
                int(row["interface"]),
                int(row["first_capture"]) << 32 | int(row["first_frame"]),
                since,
                until,
            )
        )
    return found


class Watch:
    """Takes blocks of frames, and keeps what belongs to the wanted connections."""

    def __init__(self, connections: list[Wanted], limits: Limits) -> None:
        share = max(1, len(connections))
        most_packets = max(limits.least_packets, limits.packets // share)
        self._watched = [Watched(w, most_packets, limits.bytes // share) for w in connections]
        self._selection = Selection(connections)
        self._tracker = Tracker(self._open, Extraction().anomalies)
        self._begun = 0

    def block(self, frames: Frames, link_types: Ints, found: Segments, rows: Rows) -> None:
        """Take a block: its frames, their link types, the segments among them, and their rows."""
        chosen, owner = self._selection.of(rows)
        if not len(chosen):
            return
        picked = {f.name: getattr(rows, f.name)[chosen] for f in fields(rows) if f.name != "data"}
        # Each wanted connection is followed apart from the others: its place among the wanted
        # stands where the interface's number was.
        key = picked["key"].copy()
        key[:, 4] = owner.astype(np.uint64) << np.uint64(32) | key[:, 4] & np.uint64(MASK)
        mine = Rows(rows.data, **{**picked, "key": key})
        self._tracker.feed(arrange(mine))
        self._note_others(mine)
        self._packets(frames, link_types, found.row[chosen], mine)
        for n in np.unique(owner).tolist():
            self._watched[n].settle()

    def _note_others(self, mine: Rows) -> None:
        """What began on the addresses and ports of a wanted connection is none of its packets."""
        begun = self._tracker.begun[self._begun :]
        self._begun += len(begun)
        for frame in begun:
            at = int(np.searchsorted(mine.frame, frame))
            watched = self._watched[int(mine.key[at, 4]) >> 32]
            if frame != watched.wanted.first and watched.ends_before is None:
                watched.ends_before = frame

    def _packets(self, frames: Frames, link_types: Ints, frame_row: Ints, mine: Rows) -> None:
        columns = (
            mine.key[:, 4] >> np.uint64(32), frames.offset[frame_row], frames.captured[frame_row],
            link_types[frame_row], mine.payload, mine.side, mine.frame, mine.time, mine.seq,
            mine.ack, mine.flags, mine.window, mine.captured, mine.wire,
        )  # fmt: skip
        for n, start, size, link, payload, high, frame, time, *rest in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            watched = self._watched[n]
            wanted = watched.wanted
            # The tables call the higher of the two endpoints 1; here it is the server.
            side = SERVER if high == (wanted.client < wanted.server) else CLIENT
            ends = wanted.client, wanted.server
            octets = frames.data[start : start + size]
            more = headers(octets, link, payload - start, ends[side], ends[1 - side])
            watched.packet(frame, time, side, *rest, more)

    def _open(self, connection: Connection) -> Sink:
        watched = self._watched[connection.interface]
        keeper = _Keeper(watched if connection.first_frame == watched.wanted.first else None)
        return _Listener(keeper, connection)

    def finish(self) -> dict[int, Reread]:
        """All captures have been read: what was seen of each connection, by its number."""
        self._tracker.finish()
        found = ((w.wanted.number, w.reread()) for w in self._watched)
        return {number: reread for number, reread in found if reread is not None}


class _Keeper(Recorder):
    """Hands what the http stage puts out to a watched connection; None: to nobody."""

    whole = True

    def __init__(self, watched: Watched | None) -> None:
        super().__init__(Extraction())
        self.watched = watched

    def exchange(
        self,
        connection: int,
        request: Message | None,
        response: Message | None,
        outcome: int,
        flags: int,
    ) -> int:
        """One finished exchange."""
        if self.watched is not None:
            return self.watched.exchange(request, response, outcome, flags)
        return -1

    def extra(self, exchange: int, stray: Message) -> None:
        """Behind the end of a response came bytes that begin no message."""
        if self.watched is not None:
            self.watched.extra(exchange, stray)

    def finished(self, sink: HttpSink) -> None:
        """Connections have their row already."""


class _Listener(HttpSink):
    """Notes where the segments end whose bytes pass by."""

    __slots__ = ("_watched",)

    def __init__(self, keeper: _Keeper, connection: Connection) -> None:
        super().__init__(keeper, connection)
        self._watched = keeper.watched

    def data(self, side: int, piece: bytes, frame: int, time: int, seq: int, ack: int) -> None:
        """The next bytes of a side."""
        if self._watched is not None:
            wanted = self._watched.wanted
            sender = SERVER if side == (wanted.client < wanted.server) else CLIENT
            self._watched.delivered(sender, frame, seq, len(piece))
        super().data(side, piece, frame, time, seq, ack)
