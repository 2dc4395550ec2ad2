"""Stage 3: SEGMENTS in, the bytes of each connection in order out.

Law: a gap is data, not zeros; the first copy of a byte wins, and a second copy that differs is an
anomaly. Segments are handed on in causal order: one that acknowledges bytes of the other direction
waits until those have been seen, so that a reply recorded before its request still follows it. A
hole that the receiver has acknowledged will never be filled: after a short wait for frames recorded
out of order it is a gap. Nothing is allocated for bytes that were not captured. A reset ends a
connection by its number, and only where nothing shows that both sides go on (see `tcp/resets.py`).

A connection is a pair of addresses and ports on one interface, from one SYN on (a SYN with another
initial sequence number begins another connection).
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from analyzer import limits
from analyzer.anomalies import Anomalies
from analyzer.intervals import MASK, advance, distance
from analyzer.tables import MOST_REFUSALS, Close, Refusal
from analyzer.tcp.blocks import (
    ACK,
    FIN,
    PLAIN_MASK,
    RST,
    SYN,
    Arranged,
    Brief,
    Gone,
    Ints,
    Mask,
    Run,
    Values,
    Walk,
    brief_connections,
    walk,
)
from analyzer.tcp.resets import Number, Reset, number_of
from analyzer.tcp.waiting import Held, Nexts, Waiting

# How long out-of-order data waits.
REORDERING = 100_000_000  # ns, for a hole that the receiver has acknowledged
# As long as bytes may take to be sent again, where the capture lacks the acks that would tell.
RESENDING = 3_000_000_000  # ns

REPEATS = 4  # repetitions without an ack, seconds in all, that tell a loss on the way

# How many ended connections are remembered, and how long.
MOST_ENDED = 2_048
LINGER = 60_000_000_000  # ns


class Sink(Protocol):
    """What reads the bytes of a connection; `side` is 0 for the side of the lower address."""

    def data(self, side: int, piece: bytes, frame: int, time: int, seq: int, ack: int) -> None:
        """The next bytes of a side, in order, with the position of their segment."""

    def gap(self, side: int, size: int) -> None:
        """`size` bytes of a side are missing here."""

    def close(self, side: int, frame: int, time: int) -> None:
        """A side's FIN, in order."""

    def finish(self, *, open_at_end: bool) -> None:
        """Nothing more will come."""

    @property
    def wants_data(self) -> bool:
        """Whether any further bytes matter."""

    @property
    def awaits_request_of(self) -> int | None:
        """The client's side, when its next bytes begin a request and nothing is outstanding."""

    def take_ordinary(self, row: int, count: int, seq: int, ack: int) -> None:
        """Take that many ordinary exchanges of the block, from `row` on.

        The numbers are those of the first request.
        """


class Opener(Protocol):
    """Makes the sink of a new connection."""

    def __call__(self, connection: "Connection") -> Sink: ...


class Endpoint(NamedTuple):
    """An address (128 bits in two words) and a port."""

    high: int
    low: int
    port: int


class Flow:
    """One direction of a connection."""

    __slots__ = (
        "acked",
        "fin_frame",
        "fin_seq",
        "fin_time",
        "furthest",
        "gap",
        "isn",
        "last_piece",
        "last_seq",
        "next",
        "repeats",
        "seen",
        "zero_window",
    )

    def __init__(self) -> None:
        self.next: int | None = None  # the sequence number that comes next in order
        self.isn: int | None = None  # initial sequence number, when its SYN was seen
        self.acked: int | None = None  # the other side has acknowledged up to here
        self.furthest: int | None = None  # the end of what waits behind a hole
        self.fin_seq: int | None = None
        self.fin_frame = 0
        self.fin_time = 0
        self.last_seq = 0
        self.last_piece = b""
        self.gap = False
        self.repeats = 0  # how often bytes came again since the last new ones
        self.seen = False
        self.zero_window = False


class Connection:
    """One connection: both flows, what waits, and how it ended."""

    __slots__ = (
        "anomalies",
        "copies_differ",
        "ended",
        "endpoints",
        "first_close",
        "first_close_side",
        "first_frame",
        "first_time",
        "flows",
        "gone",
        "held",
        "held_since",
        "ignored",
        "initiator",
        "interface",
        "last_time",
        "reset",
        "sink",
    )

    def __init__(
        self,
        endpoints: tuple[Endpoint, Endpoint],
        interface: int,
        frame: int,
        time: int,
        anomalies: Anomalies,
    ) -> None:
        self.endpoints = endpoints
        self.interface = interface
        self.first_frame = frame
        self.first_time = time
        self.last_time = time
        self.anomalies = anomalies
        self.flows = (Flow(), Flow())
        self.initiator: int | None = None  # the side that sent the SYN
        self.sink: Sink | None = None
        self.held: Waiting | None = None  # where any segments wait
        self.held_since = 0
        self.first_close_side: int | None = None
        self.first_close = 0  # FIN or RST
        self.reset: Reset | None = None  # the one that ends the connection, as far as is known
        self.ignored: Reset | None = None  # the last one after which both sides went on
        self.ended = False
        self.gone: Gone | None = None  # what was remembered of it, while it was only that
        self.copies_differ = False  # a second copy of some bytes differed from the first

    @property
    def midstream(self) -> bool:
        """Whether the connection was open before the capture saw it."""
        return self.initiator is None

    @property
    def over(self) -> bool:
        """Whether nothing is expected any more: it has ended, or was reset."""
        return self.ended or self.reset is not None

    def closed_first(self, client: int) -> Close:
        """Which end closed first, `client` being the client's side."""
        if self.first_close_side is None:
            return Close.NONE
        by_client = self.first_close_side == client
        if self.first_close == RST:
            return Close.CLIENT_RST if by_client else Close.SERVER_RST
        return Close.CLIENT_FIN if by_client else Close.SERVER_FIN

    def flags(self, client: int) -> int:
        """What is known about the connection, `client` being the client's side: ConnectionFlag."""
        ours, theirs = self.flows[client], self.flows[1 - client]
        known = (
            ours.isn is not None,
            theirs.isn is not None,
            ours.gap,
            theirs.gap,
            _fin_acked(ours),
            _fin_acked(theirs),
            not self.ended,
            not (ours.seen and theirs.seen),
            ours.zero_window,
            self.copies_differ,
            _repeats_in_vain(ours),
            _repeats_in_vain(theirs),
            self.reset is not None and self.reset.side == 1 - client,
            self.ignored is not None,
        )
        return sum(1 << bit for bit, holds in enumerate(known) if holds)

    # --- segments in -----------------------------------------------------------------------

    def segment(
        self,
        side: int,
        seq: int,
        ack: int,
        flags: int,
        piece: bytes,
        wire: int,
        frame: int,
        time: int,
    ) -> None:
        """Any segment, in the order of the capture; `piece` is what was captured of `wire` bytes.

        A SYN that begins another connection has been told apart before, and what follows a reset.
        """
        flow, other = self.flows[side], self.flows[1 - side]
        flow.seen = True
        self.last_time = time
        if flags & SYN:
            flow.isn = seq
            if flags & ACK and other.isn is None:
                # Its SYN may have been recorded late, or not at all.
                other.isn = advance(ack, -1)
            seq = advance(seq, 1)
            if flow.next is None:
                flow.next = seq
            if self.initiator is None:
                self.initiator = 1 - side if flags & ACK else side
        if flags & ACK:
            # Only the ack that answers a SYN tells where the other side's bytes begin: it comes
            # with a SYN, or from a sender that has sent nothing but its own.
            first = flow.isn is not None and (flags & SYN or seq == advance(flow.isn, 1))
            if other.next is None and first:
                other.next = ack
            self.acknowledged(side, ack)
        if flags & FIN and flow.fin_seq is None:
            flow.fin_seq = advance(seq, wire)
            flow.fin_frame, flow.fin_time = frame, time
            self._closes(side, FIN)
        if flags & RST:
            self._reset(side, seq, frame, time)
            return
        if wire or flags & FIN:
            if flow.next is None:
                flow.next = seq
            entry = Held(side, seq, ack if flags & ACK else -1, flags, piece, wire, frame, time)
            if self._ready(entry):
                self._deliver(entry)
            else:
                self._hold(entry)
                return
        if self.held:
            self._drain()
            self._overdue(time)
        if self.first_close == FIN and self._both_closed():
            self.finish(ended=True)

    def _both_closed(self) -> bool:
        """Whether both FINs have come in order: nothing is left to come."""
        return all(f.fin_seq is not None and f.next == advance(f.fin_seq, 1) for f in self.flows)

    def acknowledged(self, side: int, ack: int) -> None:
        """`side` has acknowledged the other side's bytes up to `ack`, saying nothing else."""
        self.flows[side].seen = True
        other = self.flows[1 - side]
        if other.acked is None or distance(other.acked, ack) > 0:
            other.acked = ack

    def _closes(self, side: int, how: int) -> None:
        if self.first_close_side is None:
            self.first_close_side, self.first_close = side, how

    def _reset(self, side: int, seq: int, frame: int, time: int) -> None:
        flow = self.flows[side]
        how = number_of(
            seq,
            expected=flow.next,
            furthest=flow.furthest,
            acked=advance(flow.isn, 1) if flow.acked is None and flow.isn is not None
            else flow.acked,
        )  # fmt: skip
        found = Reset(side, seq, frame, time, how)
        if how is Number.OUTSIDE:
            self._ignore(found)
            return
        self.reset = found
        self._closes(side, RST)
        if self.was_refused:
            self.finish(ended=True)

    def _ignore(self, reset: Reset) -> None:
        self.anomalies.count("reset-ignored")
        self.ignored = reset

    def after_reset(self, entry: Held) -> list[Held]:
        """A segment after a reset; those that came since then, if it shows that nothing ended."""
        reset = self.reset
        assert reset is not None
        if entry.flags & RST or not reset.refuted_by(entry, self._ends()):
            return []
        self.reset = None
        self._ignore(reset)
        if self.first_close == RST:
            self.first_close_side, self.first_close = None, 0
        return reset.following

    def _ends(self) -> Nexts:
        """Where the bytes end that each side had sent, as far as they have been seen."""
        one, two = (f.next if f.furthest is None else f.furthest for f in self.flows)
        return one, two

    @property
    def was_refused(self) -> bool:
        """Whether all that was said is a SYN, and a reset in answer."""
        client = self.initiator
        if client is None or self.reset is None or self.sink is not None:
            return False
        if self.reset.side == client:
            return False
        return self.flows[client].isn is not None and self.flows[1 - client].isn is None

    def _after_all(self) -> None:
        """At the end: a reset behind which its sender had nothing to say did end the connection.

        What seemed to go on was recorded out of order.
        """
        reset = self.ignored
        if reset is None or self.over or self.last_time - reset.time > REORDERING:
            return
        if self.flows[reset.side].next == reset.seq and not self._both_closed():
            self.reset, self.ignored = reset, None
            self._closes(reset.side, RST)

    def _ready(self, entry: Held) -> bool:
        """Whether a segment's turn has come: in order, and all that it acknowledges seen."""
        flow, other = self.flows[entry.side], self.flows[1 - entry.side]
        assert flow.next is not None
        if distance(flow.next, entry.seq) > 0:
            return False
        return other.next is None or entry.ack < 0 or distance(other.next, entry.ack) <= 0

    def _deliver(self, entry: Held) -> None:
        flow = self.flows[entry.side]
        assert flow.next is not None
        piece, seq, wire = entry.piece, entry.seq, entry.wire
        old = distance(seq, flow.next)
        if old > 0:
            # One byte is a keep-alive probe (RFC 9293 §3.8.4).
            flow.repeats += wire > 1
            self._compare(flow, seq, piece)
            piece, wire = piece[old:], wire - old
            seq = flow.next
        sink = self.sink
        if wire > 0:
            flow.repeats = 0
            flow.next = advance(seq, wire)
            if sink is not None and sink.wants_data:
                if piece:
                    flow.last_seq, flow.last_piece = seq, piece
                    sink.data(entry.side, piece, entry.frame, entry.time, seq, max(entry.ack, 0))
                if len(piece) < wire:
                    flow.gap = True
                    sink.gap(entry.side, wire - len(piece))
        if entry.flags & FIN and flow.next == flow.fin_seq:
            flow.next = advance(flow.next, 1)
            if sink is not None:
                sink.close(entry.side, entry.frame, entry.time)

    def _compare(self, flow: Flow, seq: int, piece: bytes) -> None:
        """Count a second copy that differs from the first (the latest segment's is still here)."""
        at = distance(flow.last_seq, seq)
        # A keep-alive probe's byte means nothing.
        if len(piece) > 1 and 0 <= at < len(flow.last_piece):
            known = flow.last_piece[at : at + len(piece)]
            if piece[: len(known)] != known:
                self.anomalies.count("retransmission-differs")
                self.copies_differ = True

    # --- segments that wait ----------------------------------------------------------------

    def _nexts(self) -> Nexts:
        return self.flows[0].next, self.flows[1].next

    def _hold(self, entry: Held) -> None:
        if self.held is None:
            self.held = Waiting()
            self.held_since = entry.time
        self.held.hold(entry, self._nexts())
        flow, end = self.flows[entry.side], advance(entry.seq, entry.wire)
        if flow.furthest is None or distance(flow.furthest, end) > 0:
            flow.furthest = end
        if len(self.held) > limits.HELD_SEGMENTS or self.held.size > limits.HELD_BYTES:
            self.anomalies.count("reassembly-limit")
            self._skip()
        self._overdue(entry.time)

    def _drain(self) -> None:
        """Deliver what has become ready, in the order in which it came, in as many turns as it
        takes: what a later one made ready waits for the next turn.
        """
        held = self.held
        if held is None:
            return
        turn = held.ready(self._nexts())
        while turn:
            later: list[int] = []
            while turn:
                number = heappop(turn)
                self._deliver(held.take(number))
                for other in held.ready(self._nexts()):
                    if other > number:
                        heappush(turn, other)
                    else:
                        later.append(other)
            turn = sorted(later)
        if held:
            self.held_since = held.first.time
        else:
            self.held = None

    def _overdue(self, time: int) -> None:
        """Give up holes that were not filled in time, and were acknowledged or never can be."""
        while self.held and time - self.held_since > REORDERING:
            side, _ = self._hole()
            one_way = not self.flows[1 - side].seen and time - self.held_since > RESENDING
            if not (one_way or self._hole_acked()):
                break
            self._skip()

    def _hole(self) -> tuple[int, int]:
        """Side and size of the hole that the longest waiting segment waits for."""
        assert self.held is not None
        first = self.held.first
        flow = self.flows[first.side]
        assert flow.next is not None
        side = first.side if distance(flow.next, first.seq) > 0 else 1 - first.side
        return side, self.held.nearest(side, self._nexts())

    def _hole_acked(self) -> bool:
        side, _ = self._hole()
        flow = self.flows[side]
        assert flow.next is not None
        return flow.acked is not None and distance(flow.next, flow.acked) > 0

    def _skip(self) -> None:
        """Declare the hole a gap, and go on behind it."""
        side, size = self._hole()
        flow = self.flows[side]
        assert flow.next is not None
        acked = flow.acked is not None and distance(flow.next, flow.acked) > 0
        self.anomalies.count("gap" if acked else "gap-unacknowledged")
        self._gap(side, size)
        self._drain()

    def finish(self, *, ended: bool) -> None:
        """No segment of the connection will come any more."""
        if self.ended:
            return
        self._drain()
        while self.held:
            side, _ = self._hole()
            if not self._hole_acked() and self.flows[1 - side].seen:
                # Never acknowledged: lost on the way, and not by the capture. What lies behind the
                # hole did not reach anybody either.
                self.anomalies.count("lost-on-the-way")
                self._drop_behind_hole()
                continue
            self._skip()
        self._missing_tail()
        self._after_all()
        reset = self.reset
        if reset is not None:
            self._missing_before(reset)
            late = sum(1 for entry in reset.following if entry.wire and entry.ack >= 0)
            self.anomalies.count("data-after-close", late)
            reset.following = []
        self.ended = ended = ended or reset is not None or self._both_closed()
        if self.sink is not None:
            self.sink.finish(open_at_end=not ended)
            self.sink = None

    def _drop_behind_hole(self) -> None:
        """Let go of the segments that wait for the first hole."""
        assert self.held is not None
        side, _ = self._hole()
        self.held = self.held.without(side, self._nexts()) or None

    def _missing_before(self, reset: Reset) -> None:
        """A reset with a number ahead of all that was seen: what lies before it is missing."""
        if reset.number is Number.AHEAD:
            flow = self.flows[reset.side]
            assert flow.next is not None
            size = distance(flow.next, reset.seq)
            if size > 0:
                self.anomalies.count("gap-unacknowledged")
                self._gap(reset.side, size)

    def _gap(self, side: int, size: int) -> None:
        flow = self.flows[side]
        assert flow.next is not None
        flow.gap = True
        flow.next = advance(flow.next, size)
        if self.sink is not None and self.sink.wants_data:
            self.sink.gap(side, size)

    def _missing_tail(self) -> None:
        """Bytes at the end of a flow that the other side acknowledged and nobody saw."""
        for side, flow in enumerate(self.flows):
            if flow.next is None or flow.acked is None:
                continue
            size = distance(flow.next, flow.acked)
            if flow.fin_seq is None:
                # The receiver's last number may count a FIN that was not captured.
                size -= 1
            if size > 0:
                self.anomalies.count("gap")
                self._gap(side, size)


def _repeats_in_vain(flow: Flow) -> bool:
    """Whether the flow's last bytes came several times and were never acknowledged."""
    if flow.repeats < REPEATS or flow.next is None:
        return False
    return flow.acked is None or distance(flow.acked, flow.next) > 1


def _fin_acked(flow: Flow) -> bool:
    return (
        flow.fin_seq is not None
        and flow.acked is not None
        and distance(flow.fin_seq, flow.acked) > 0
    )


class Tracker:
    """Follows all connections; feed it blocks, then finish it."""

    def __init__(self, opener: Opener, anomalies: Anomalies) -> None:
        self._opener = opener
        self._anomalies = anomalies
        self._connections: dict[bytes, Connection | Gone] = {}
        self._ended: deque[tuple[int, bytes, Connection | Gone]] = deque()
        self.begun = array("q")  # frame ids of the first frames of all connections
        self.refusals: list[Refusal] = []

    def feed(
        self,
        block: Arranged,
        ordinary: Mask | None = None,
        take_brief: Callable[[Brief, Ints], None] | None = None,
    ) -> Brief:
        """All segments of a block; `ordinary` marks the rows of requests of ordinary exchanges.

        With `take_brief` brief connections are given to it, by their numbers in the block, instead
        of to sinks. Returns what is known of them.
        """
        if ordinary is None:
            ordinary = np.zeros(len(block.pair), np.bool_)
        raw, width = block.keys.tobytes(), block.keys.itemsize * 5
        names = [raw[at : at + width] for at in range(0, len(raw), width)]
        if take_brief is None:
            known = np.ones(len(names), np.bool_)
        else:
            known = np.array([name in self._connections for name in names], np.bool_)
        brief = brief_connections(block, ordinary, known)
        if take_brief is not None and brief.brief.any():
            take_brief(brief, np.flatnonzero(brief.brief))
            self._add_gone([(names[n], gone) for n, gone in brief.gone(block).items()])
        steps = walk(block, ordinary, brief.brief)
        bounds = steps.bounds
        for number in np.flatnonzero(~brief.brief).tolist():
            name = names[number]
            key = block.keys[number]
            connection = self._walk(name, key, block, steps, bounds[number], bounds[number + 1])
            if connection is not None and not connection.over:
                connection.last_time = block.last_times[number]
        if block.last_times:
            self._forget(max(block.last_times))
        return brief

    def _recalled(self, name: bytes, key: npt.NDArray[np.uint64]) -> Connection | None:
        """The connection that the name means; one of which little was remembered is made again."""
        found = self._connections.get(name)
        if not isinstance(found, Gone):
            return found
        connection = self._connections[name] = self._new(key, found.first_frame, found.first_time)
        connection.initiator = client = found.initiator
        for side, seq in ((client, found.client_isn), (1 - client, found.server_isn)):
            connection.flows[side].isn = seq
            connection.flows[side].seen = True
        connection.last_time = found.last_time
        connection.ended = True
        connection.gone = found
        return connection

    def _walk(
        self,
        name: bytes,
        key: npt.NDArray[np.uint64],
        block: Arranged,
        steps: Walk,
        first: int,
        stop: int,
    ) -> Connection | None:
        """All of a block's segments of one connection (or of several, one after the other)."""
        connection = self._recalled(name, key)
        for values, run in zip(steps.values[first:stop], steps.runs[first:stop], strict=True):
            if run is None:
                connection = self._segment(connection, name, key, block.data, values)
            elif not self._take_ordinary(connection, block, values, run):
                connection = self._singly(connection, name, key, block, run)
        return connection

    def _singly(
        self,
        connection: Connection | None,
        name: bytes,
        key: npt.NDArray[np.uint64],
        block: Arranged,
        run: Run,
    ) -> Connection | None:
        """A run whose first exchange was not taken: until the rest of it can be."""
        while True:
            (behind,) = block.behind(np.array([run.row])).tolist()
            for values in block.values(np.arange(run.row, behind)):
                connection = self._segment(connection, name, key, block.data, values)
            if run.exchanges == 1:
                return connection
            run = run._replace(row=behind, exchanges=run.exchanges - 1)
            (values,) = block.values(np.array([run.row]))
            if self._take_ordinary(connection, block, values, run):
                return connection

    def _segment(
        self,
        connection: Connection | None,
        name: bytes,
        key: npt.NDArray[np.uint64],
        data: bytes,
        values: Values,
    ) -> Connection | None:
        """A single segment; returns the connection that the name now means."""
        side, seq, ack, flags, window, payload, captured, wire, frame, time = values
        if connection is None:
            connection = self._begin(name, key, frame, time)
        elif flags & SYN and self._begins_another(connection, side, seq, flags):
            self._end(name, connection)
            connection = self._begin(name, key, frame, time)
        piece = data[payload : payload + captured] if captured else b""
        if connection.over:
            self._late(name, connection, Held(
                side, seq, ack if flags & ACK else -1, flags, piece, wire, frame, time
            ))  # fmt: skip
            return connection
        pure = not wire and window and flags & PLAIN_MASK == ACK
        if pure and not connection.held and connection.flows[1 - side].next is not None:
            # With nothing waiting for it, a pure ack only says what was received.
            connection.acknowledged(side, ack)
            connection.last_time = time
            return connection
        if not window and not flags & (SYN | FIN | RST):
            connection.flows[side].zero_window = True
        self._take(name, connection, side, seq, ack, flags, piece, wire, frame, time)
        return connection

    def _take(
        self,
        name: bytes,
        connection: Connection,
        side: int,
        seq: int,
        ack: int,
        flags: int,
        piece: bytes,
        wire: int,
        frame: int,
        time: int,
    ) -> None:
        """A segment of a connection that is not over."""
        if connection.sink is None and wire:
            connection.sink = self._opener(connection)
        connection.segment(side, seq, ack, flags, piece, wire, frame, time)
        if connection.over:
            self._remember(name, connection)
            if connection.was_refused:
                self._note_refused(connection)

    def _late(self, name: bytes, connection: Connection, entry: Held) -> None:
        """A segment of a connection that has ended, or was reset; the reset may come to nothing."""
        if connection.ended:
            if entry.wire and entry.ack >= 0:
                self._anomalies.count("data-after-close")
            return
        for following in connection.after_reset(entry):
            if connection.over:
                self._late(name, connection, following)
            else:
                self._take(name, connection, *following)

    def _note_refused(self, connection: Connection) -> None:
        self._anomalies.count("connection-refused")
        client = connection.initiator
        assert client is not None
        reset = connection.reset
        if len(self.refusals) < MOST_REFUSALS and reset is not None:
            one, two = connection.endpoints[client], connection.endpoints[1 - client]
            moment = reset.time, reset.frame
            ends = (one.high, one.low), one.port, (two.high, two.low), two.port
            self.refusals.append(Refusal(*moment, *ends))

    def _take_ordinary(
        self, connection: Connection | None, block: Arranged, values: Values, run: Run
    ) -> bool:
        """Take a run of ordinary exchanges, if what came before them leaves no doubt."""
        if connection is None or connection.held or connection.over:
            return False
        sink = connection.sink
        if sink is None:
            sink = connection.sink = self._opener(connection)
        client, seq, ack, *_ = values
        ours, theirs = connection.flows[client], connection.flows[1 - client]
        if sink.awaits_request_of != client or seq != ours.next or ack != theirs.next:
            return False
        sink.take_ordinary(run.row, run.exchanges, seq, ack)
        for flow, other, last in (
            (ours, theirs, run.last_request),
            (theirs, ours, run.last_response),
        ):
            _, seq, ack, _, _, payload, _, wire, _, _ = last
            flow.next = seq + wire & MASK
            other.acked = ack
            flow.seen = True
            flow.repeats = 0
            flow.last_seq, flow.last_piece = seq, block.data[payload : payload + wire]
        return True

    def _begins_another(self, connection: Connection, side: int, seq: int, flags: int) -> bool:
        """Whether a SYN is another connection's, not a repeated one of this connection."""
        known = connection.flows[side].isn
        if known is not None:
            return known != seq and not (flags & ACK and not connection.over)
        if flags & ACK:
            return connection.over
        return any(flow.seen for flow in connection.flows) and not self._early(connection)

    @staticmethod
    def _early(connection: Connection) -> bool:
        """Only the SYN-ACK has been seen: the SYN was recorded after it."""
        return connection.initiator is not None and all(
            not flow.last_piece for flow in connection.flows
        )

    def _begin(
        self,
        name: bytes,
        key: npt.NDArray[np.uint64],
        frame: int,
        time: int,
    ) -> Connection:
        connection = self._new(key, frame, time)
        self._add(name, connection)
        return connection

    def _new(self, key: npt.NDArray[np.uint64], frame: int, time: int) -> Connection:
        low_high, low_low, high_high, high_low, rest = key.tolist()
        ports, interface = rest & MASK, rest >> 32
        return Connection(
            (
                Endpoint(low_high, low_low, ports >> 16),
                Endpoint(high_high, high_low, ports & 0xFFFF),
            ),
            interface,
            frame,
            time,
            self._anomalies,
        )

    def _add(self, name: bytes, connection: Connection | Gone) -> None:
        if len(self._connections) >= limits.CONNECTIONS:
            self._evict()
        self._connections[name] = connection
        self.begun.append(connection.first_frame)

    def _add_gone(self, every: list[tuple[bytes, Gone]]) -> None:
        """Connections that have begun and ended."""
        if len(self._connections) + len(every) <= limits.CONNECTIONS:
            self._connections.update(every)
            self.begun.extend(gone.first_frame for _, gone in every)
        else:
            for name, gone in every:
                self._add(name, gone)
        self._ended.extend((gone.last_time, name, gone) for name, gone in every)

    def _end(self, name: bytes, connection: Connection) -> None:
        """Another connection takes over the name."""
        if not connection.ended:
            if connection.sink is not None and not connection.over:
                self._anomalies.count("port-reused")
            connection.finish(ended=True)
        del self._connections[name]

    def _remember(self, name: bytes, connection: Connection) -> None:
        """Keep a connection that is over a while, so that stragglers don't begin a new one."""
        if connection.ended:
            connection.held = None
            for flow in connection.flows:
                flow.last_piece = b""
        self._ended.append((connection.last_time, name, connection))

    def _forget(self, now: int) -> None:
        ended = self._ended
        while ended and (len(ended) > MOST_ENDED or now - ended[0][0] > LINGER):
            time, name, connection = ended.popleft()
            known = self._connections.get(name)
            if isinstance(connection, Gone):
                known = known if known is None or isinstance(known, Gone) else known.gone
            else:
                # After a reset that came to nothing it may go on, or be over once more.
                if not connection.over or connection.last_time != time:
                    continue
                connection.finish(ended=True)
            if known is connection:
                del self._connections[name]

    def _evict(self) -> None:
        """Let go of the tenth that has been idle longest."""
        idle = sorted(self._connections.items(), key=lambda item: item[1].last_time)
        for name, connection in idle[: max(1, limits.CONNECTIONS // 10)]:
            if isinstance(connection, Connection) and not connection.ended:
                self._anomalies.count("connection-evicted", int(not connection.over))
                connection.finish(ended=False)
            del self._connections[name]

    def finish(self) -> None:
        """The capture is over."""
        for connection in self._in_order(self._connections.values()):
            if isinstance(connection, Connection):
                connection.finish(ended=False)
        self._connections.clear()

    @staticmethod
    def _in_order(connections: Iterable[Connection | Gone]) -> list[Connection | Gone]:
        return sorted(connections, key=lambda c: c.first_frame)
