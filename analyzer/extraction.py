"""What the stages put out while a capture is read: the EXCHANGES and CONNECTIONS tables.

Law: extraction is pure per connection, so it may be split by connection over processes and joined
(`Extraction.join`); what is judged later is in the tables alone.
"""

from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from analyzer.anomalies import Anomalies
from analyzer.bulk import Bulk, Piece, called, connection_rows, echo_flags
from analyzer.declined import Declined
from analyzer.features import demanded, echoes, operations, sequences, sketch
from analyzer.features.asked import asked_sum, identity_sum
from analyzer.features.bodies import Bodies
from analyzer.features.echoes import Echoes, Position, Rules, token_of
from analyzer.features.endpoints import Route, Routes
from analyzer.features.shapes import NO_FORM, UNKNOWN_FORM, Form
from analyzer.http import content, preambles
from analyzer.http.exchanges import Carries, HttpConnection, roles
from analyzer.http.messages import Message
from analyzer.http.ordinary import Glance
from analyzer.http.preambles import Preamble, Unread
from analyzer.intervals import advance
from analyzer.tables import (
    CONNECTIONS,
    EXCHANGES,
    SKETCH_WORDS,
    Address,
    Array,
    ConnectionFlag,
    Flag,
    Refusal,
    Store,
    packer_of,
)
from analyzer.tcp.blocks import Arranged, Brief, Ints
from analyzer.tcp.streams import Connection

# Pieces and bytes kept while it is not known what a connection carries.
_MOST_UNDECIDED = 256
_MOST_UNDECIDED_BYTES = 128 << 10

_pack_exchange = packer_of(EXCHANGES).pack
_pack_connection = packer_of(CONNECTIONS).pack

_COUNTED = {Carries.TLS: "tls", Carries.HTTP2: "http2", Carries.OTHER: "not-http"}


@dataclass(slots=True)
class Extraction:
    """All that was read out of the captures, before anything is judged."""

    anomalies: Anomalies = field(default_factory=Anomalies)
    exchanges: Store = field(default_factory=lambda: Store(EXCHANGES, text=True))
    connections: Store = field(default_factory=lambda: Store(CONNECTIONS))
    addresses: list[Address] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    echoes: Rules = field(default_factory=Rules)
    refusals: list[Refusal] = field(default_factory=list)
    declined: Declined = field(default_factory=Declined)
    begun: Array = field(default_factory=lambda: np.empty(0, np.int64))  # first frames' ids


def join(parts: list[Extraction]) -> Extraction:
    """The extractions of several shares of the connections as one.

    Numbers of routes, forms, addresses and connections are those of the first part where it has
    them; which numbers they are makes no difference to what is reported.
    """
    first, *others = parts
    routes = {route: number for number, route in enumerate(first.routes)}
    forms = {form: number for number, form in enumerate(first.forms)}
    addresses = {address: number for number, address in enumerate(first.addresses)}
    for part in others:
        route = np.array([routes.setdefault(r, len(routes)) for r in part.routes])
        form = np.array([forms.setdefault(f, len(forms)) for f in part.forms])
        address = np.array([addresses.setdefault(a, len(addresses)) for a in part.addresses])
        offset = first.connections.length
        echoes.join(first.echoes, part.echoes, route, offset)
        for shown, texts in part.exchanges.chunks():
            rows = shown.copy()
            rows["route"], rows["form"] = route[rows["route"]], form[rows["form"]]
            rows["connection"] += offset
            first.exchanges.append_many(rows, texts)
        for shown, texts in part.connections.chunks():
            rows = shown.copy()
            rows["connection"] += offset
            for name in ("client", "server", "source"):
                rows[name] = address[rows[name]]
            first.connections.append_many(rows, texts)
        first.anomalies.update(part.anomalies)
        first.declined.add(part.declined)
        first.refusals += part.refusals
    first.routes, first.forms, first.addresses = list(routes), list(forms), list(addresses)
    first.echoes = echoes.bounded(first.echoes, first.routes)
    first.begun = np.concatenate([part.begun for part in parts])
    return first


class Recorder:
    """Packs what the http stage puts out into the tables of an `Extraction`."""

    whole = False  # whether requests are kept with bodies as long as those of responses

    def __init__(self, into: Extraction) -> None:
        self.into = into
        self._routes = Routes(into.anomalies)
        self._bodies = Bodies(into.anomalies)
        self._echoes = Echoes(into.echoes, self._routes.routes)
        self._bulk = Bulk(into.exchanges, self._routes, self._bodies, self._echoes, into.declined)
        into.routes = self._routes.routes
        into.forms = self._bodies.forms.forms
        self._addresses: dict[Address, int] = {}
        self._connections = 0
        # The block's ordinary exchanges, and its brief connections: their numbers, here and there.
        self._taken: list[Piece] = []
        self._takers: list[HttpConnection | None] = []  # beside `_taken`; none: it is brief
        self._extra: list[tuple[int, Message]] = []  # behind which of `_taken`, bytes of no message
        self._brief: list[tuple[int, int]] = []

    # --- the http stage's Recorder -------------------------------------------------------------

    def route(self, request: Message) -> int:
        """The number of the route of a request that is over."""
        fields, body = request.fields, b""
        if operations.may_tell(request.method, fields.media_type) and request.complete:
            body = content.request_text(b"".join(request.body or ()), fields.content_coding)
        operation = operations.of_request(request.method, fields.media_type, request.head, body)
        return self._routes.number(request.method, fields.host, request.target, operation)

    def exchange(
        self,
        connection: int,
        request: Message | None,
        response: Message | None,
        outcome: int,
        flags: int,
    ) -> int:
        """Add a row to EXCHANGES."""
        route = form = checksum = wants = behalf = 0
        said = _NO_SKETCH
        target = b""
        if request is not None:
            route = self.route(request)
            target = request.target
            asked = request.frame, request.time, request.seq, request.ack, request.length
            wants = _asked_sum(request)
            behalf = identity_sum(request.head) if wants else 0
        else:
            asked = _NOTHING
        if response is not None:
            if response.complete and not response.tunnel:
                position = (connection, request.frame, request.seq) if request else None
                form, echoed, checksum, text = self._form(response, route, request, position)
                flags |= echoed
                if behalf and text is not None:
                    said = sketch.words(text)
            if response.complete and request is not None:
                flags |= demanded.flags(
                    request.method, request.head, response.status, response.head
                )
            elif not response.complete:
                form = UNKNOWN_FORM
                if _is_head_alone(response):
                    flags |= _HEAD_ALONE
            frame, time, seq, ack = response.frame, response.time, response.seq, response.ack
            end_frame, end_time = response.end_frame, response.end_time
            length, status = response.length, response.status
            announced = 0 if response.complete else response.announced
        else:
            frame = time = seq = ack = end_frame = end_time = length = announced = status = 0
        return self.into.exchanges.append(
            _pack_exchange(
                connection,
                outcome,
                flags,
                asked[0] >> 32,
                asked[0] & 0xFFFFFFFF,
                asked[1],
                asked[2],
                asked[3],
                asked[4],
                wants,
                behalf,
                frame >> 32,
                frame & 0xFFFFFFFF,
                time,
                seq,
                ack,
                end_frame & 0xFFFFFFFF,
                end_time,
                length,
                announced,
                0,
                checksum,
                *said,
                status,
                route,
                form,
            ),
            target,
        )

    def extra(self, exchange: int, stray: Message) -> None:
        """Behind the response of a row came bytes that begin no message."""
        if exchange < 0:
            self._extra.append((_UNWRITTEN - exchange, stray))
            return
        self.into.exchanges.change(exchange, "flags", int(Flag.EXTRA_BYTES))
        self.into.exchanges.change(exchange, "response_extra", min(stray.length, 0xFFFFFFFF))

    def _form(
        self, response: Message, route: int, request: Message | None, position: Position | None
    ) -> tuple[int, int, int, bytes | None]:
        """A complete response's form, what it repeats (flags), its checksum, and its text."""
        parts = response.body
        if parts is not None:
            look = self._bodies.look(response.fields, b"".join(parts))
            if look.text is None or request is None or position is None:
                return look.form, 0, look.checksum, look.text
            if echoes.may_repeat(response.status):
                asked = b"".join(request.body or ())
                found = echoes.tokens(request.target, request.head, asked)
                self._echoes.see(route, found, response.head, look.text, position)
            flags = echo_flags(token_of(request.target), look.text) | called(
                (request.fields.media_type, b"".join(request.body or ())),
                response.status,
                (response.fields.media_type, look.text),
            )
            return look.form, flags, look.checksum, look.text
        if not response.length:
            return NO_FORM, 0, 0, None
        # Too long to look into, or broken by a gap.
        media_type = response.fields.media_type
        if response.gap:
            return self._bodies.unread(media_type), 0, 0, None
        return self._bodies.too_long(media_type), 0, 0, None

    # --- ordinary exchanges --------------------------------------------------------------------

    def take_ordinary(
        self, connection: int, row: int, count: int, taker: HttpConnection | None = None
    ) -> int:
        """Take ordinary exchanges of a connection, from this row of the block on.

        Returns what stands for the last one's number until the block is written; `taker` is then
        told the number.
        """
        self._taken.append((connection, row, count))
        self._takers.append(taker)
        return _UNWRITTEN - len(self._taken) + 1

    def take_brief(self, brief: Brief, which: Ints) -> None:
        """Take brief connections of the block, and their exchanges."""
        numbers = range(self._connections, self._connections + len(which))
        self._connections = numbers.stop
        rows, counts = brief.rows[which, 2].tolist(), brief.exchanges[which].tolist()
        self._brief.extend(zip(numbers, which.tolist(), strict=True))
        self._taken.extend(zip(numbers, rows, counts, strict=True))
        self._takers.extend([None] * len(rows))

    def flush(self, block: Arranged, glance: Glance, brief: Brief) -> None:
        """The end of a block: write the ordinary exchanges and brief connections taken from it."""
        count = sum(count for *_, count in self._taken)
        declined = self.into.declined
        declined.taken += count
        for reason, times in glance.declined.items():
            declined.count(reason, times)
        declined.count("connection", int(np.count_nonzero(glance.ordinary)) - count)
        if self._taken:
            taken, self._taken = self._taken, []
            number = self.into.exchanges.length - 1
            self._bulk.write(taken, block, glance)
            self._number(taken, number)
        if self._brief:
            numbers, which = np.array(self._brief, dtype=np.int64).T
            self._brief.clear()
            rows = connection_rows(numbers, which, block, brief, self._address)
            self.into.connections.append_many(rows, [])

    def _number(self, taken: list[Piece], before: int) -> None:
        """Exchanges taken have been written behind the row `before`: the last ones' numbers."""
        last = list(accumulate((count for *_, count in taken), initial=before))[1:]
        for which, stray in self._extra:
            self.extra(last[which], stray)
        for which, taker in enumerate(self._takers):
            if taker is not None:
                taker.wrote_ordinary(_UNWRITTEN - which, last[which])
        self._extra, self._takers = [], []

    def finish(self) -> None:
        """The end of the capture: what was learned is complete."""
        self._echoes.finish()

    # --- connections ---------------------------------------------------------------------------

    def open(self, connection: Connection) -> "HttpSink":
        """The sink of a new connection (a `streams.Opener`)."""
        return HttpSink(self, connection)

    def next_number(self) -> int:
        """A number for a connection that carries HTTP."""
        number = self._connections
        self._connections += 1
        return number

    def finished(self, sink: "HttpSink") -> None:
        """Add a row to CONNECTIONS."""
        http, connection = sink.http, sink.connection
        assert http is not None
        client = sink.client
        one, two = connection.endpoints[client], connection.endpoints[1 - client]
        ours, theirs = connection.flows[client], connection.flows[1 - client]
        # Without a request, what its numbers would have been: both follow from the first two.
        reset_frame, reset_time = (r.frame, r.time) if (r := connection.reset) else (0, 0)
        join = http.first_request or http.first_response or (0, 0)
        # What a PROXY header names; the connection's own client again where there is none.
        (high, low), source_port = sink.source or ((one.high, one.low), 0)
        self.into.connections.append(
            _pack_connection(
                http.number,
                0,  # ranked when all are known
                connection.interface,
                self._address(one.high, one.low),
                self._address(two.high, two.low),
                one.port,
                two.port,
                self._address(high, low),
                source_port,
                connection.flags(client) | (_EXTRA_BYTES if http.extra else 0),
                int(connection.closed_first(client)),
                connection.first_time,
                connection.last_time,
                connection.first_frame >> 32,
                connection.first_frame & 0xFFFFFFFF,
                join[0],
                join[1],
                ours.acked or 0,
                theirs.acked or 0,
                ours.fin_frame >> 32,
                ours.fin_frame & 0xFFFFFFFF,
                ours.fin_time,
                theirs.fin_frame >> 32,
                theirs.fin_frame & 0xFFFFFFFF,
                theirs.fin_time,
                reset_frame >> 32,
                reset_frame & 0xFFFFFFFF,
                reset_time,
                http.requests,
                http.answered,
            )
        )

    def _address(self, high: int, low: int) -> int:
        address = (high, low)
        number = self._addresses.get(address)
        if number is None:
            number = self._addresses[address] = len(self.into.addresses)
            self.into.addresses.append(address)
        return number


_NOTHING = (0, 0, 0, 0, 0)
_NO_SKETCH = (0,) * SKETCH_WORDS
_HEAD_ALONE = int(Flag.HEAD_ALONE)
_NO_HEAD = int(Flag.HEAD_CUT | Flag.NOT_HTTP)


def _asked_sum(request: Message) -> int:
    if not request.complete or request.gap:
        return 0
    body = b"".join(request.body or ())
    return asked_sum(request.target, request.head, body)


def _is_head_alone(response: Message) -> bool:
    """Whether nothing came that the head of an incomplete response announces.

    Of a stream of events that is an event: comments keep the connection open (HTML §9.2.7).
    """
    if response.gap or not response.status or response.flags & _NO_HEAD:
        return False
    if not response.length:
        return True
    parts = response.body
    return (
        response.fields.media_type == sequences.EVENTS
        and parts is not None
        and not sequences.has_event(b"".join(parts))
    )


_UNWRITTEN = -2  # and below: exchanges of the block that have no number yet
_EXTRA_BYTES = int(ConnectionFlag.EXTRA_BYTES)


class HttpSink:
    """Reads a connection's bytes: finds out what it carries and which side is the client's.

    Until that is known the pieces are kept, then replayed to an `HttpConnection`. A preamble (a
    PROXY header, a SOCKS handshake) is left out; `source` is the client that it names.
    """

    __slots__ = (
        "_carries",
        "_gapped",
        "_kept",
        "_number",
        "_preambles",
        "_waiting",
        "client",
        "connection",
        "http",
        "recorder",
        "source",
    )

    def __init__(self, recorder: Recorder, connection: Connection) -> None:
        self.recorder = recorder
        self.connection = connection
        self.client = 0
        self._number = -1
        self.http: HttpConnection | None = None
        self._carries = Carries.UNKNOWN
        self._waiting: list[tuple[int, bytes, int, int, int, int]] = []
        self._kept = 0  # bytes in them
        self._gapped = False  # bytes were missing before it was known what the connection carries
        self._preambles = 0
        self.source: tuple[Address, int] | None = None

    @property
    def wants_data(self) -> bool:
        """Whether any further bytes matter."""
        http = self.http
        if http is not None:
            return http.carries in (Carries.HTTP, Carries.UNKNOWN)
        return self._carries is Carries.UNKNOWN

    @property
    def awaits_request_of(self) -> int | None:
        """The client's side, when nothing is outstanding and its next bytes begin a request."""
        if self.http is not None:
            return self.client if self.http.idle else None
        if self._carries is Carries.UNKNOWN and not self._waiting and not self._gapped:
            return self.connection.initiator
        return None

    def take_ordinary(self, row: int, count: int, seq: int, ack: int) -> None:
        """Take that many ordinary exchanges; the numbers are those of the first request."""
        if self.http is None:
            # The first bytes of a connection: what it carries shows only now.
            assert self.connection.initiator is not None
            self._begin(self.connection.initiator)
        assert self.http is not None
        last = self.recorder.take_ordinary(self._number, row, count, self.http)
        self.http.took_ordinary(count, seq, ack, last)

    def data(self, side: int, piece: bytes, frame: int, time: int, seq: int, ack: int) -> None:
        """The next bytes of a side."""
        http = self.http
        if http is not None:
            http.data(side ^ self.client, piece, frame, time, seq, ack)
        else:
            self._waiting.append((side, piece, frame, time, seq, ack))
            self._kept += len(piece)
            self._decide(side)

    def _decide(self, side: int) -> None:
        """Look at what has come from `side` so far."""
        midstream = self.connection.midstream
        found = self._preamble()
        while isinstance(found, Preamble):
            side = self._leave_out(found)
            found = self._preamble()
        client, carries = None, Carries.UNKNOWN
        if found is Unread.NONE:
            client, carries = roles(side, self._start(side))
        if carries is Carries.OTHER and (midstream or self._gapped):
            # The middle of a message, most likely. The next piece may begin one.
            self._forget()
            return
        much = len(self._waiting) >= _MOST_UNDECIDED or self._kept > _MOST_UNDECIDED_BYTES
        if carries is Carries.UNKNOWN and much:
            carries = Carries.OTHER
        self._carries = carries
        if carries is Carries.UNKNOWN:
            return
        waiting, self._waiting = self._waiting, []
        if carries is not Carries.HTTP or client is None:
            self.recorder.into.anomalies.count(_COUNTED[carries])
            return
        http = self._begin(client)
        for from_side, piece, frame, time, seq, ack in waiting:
            http.data(from_side ^ client, piece, frame, time, seq, ack)

    def _start(self, side: int) -> bytes:
        """The first bytes of a side, as far as they have come."""
        return b"".join(p for s, p, *_ in self._waiting if s == side)[: preambles.LONGEST]

    def _forget(self) -> None:
        self._waiting.clear()
        self._kept = 0

    def _speaker(self) -> int:
        """The side that opened the connection, or else the one that spoke first."""
        opener = self.connection.initiator
        return self._waiting[0][0] if opener is None else opener

    def _preamble(self) -> Preamble | Unread:
        """What of the bytes so far stands before the first request."""
        if self._preambles == preambles.MOST or self._gapped or not self._waiting:
            return Unread.NONE
        side = self._speaker()
        starts = self._start(side), self._start(1 - side)
        return preambles.read(*starts, from_start=not self.connection.midstream)

    def _leave_out(self, found: Preamble) -> int:
        """Take a preamble out of the bytes so far; returns the client's side."""
        side = self._speaker()
        self._preambles += 1
        self.source = found.source or self.source
        self.recorder.into.anomalies.count(found.name)
        left = [found.of_client, found.of_server]
        waiting, self._waiting = self._waiting, []
        for of, piece, frame, time, seq, ack in waiting:
            size = min(len(piece), left[of != side])
            left[of != side] -= size
            self._kept -= size
            if size < len(piece):
                self._waiting.append((of, piece[size:], frame, time, advance(seq, size), ack))
        return side

    def _begin(self, client: int) -> HttpConnection:
        """It carries HTTP, and this side is the client's."""
        recorder, midstream = self.recorder, self.connection.midstream
        if midstream:
            recorder.into.anomalies.count("starts-midstream")
        self.client = client
        self._carries = Carries.HTTP
        self._number = recorder.next_number()
        self.http = HttpConnection(
            self._number,
            recorder,
            recorder.into.anomalies,
            midstream=midstream,
            gapped=self._gapped,
            whole=recorder.whole,
        )
        return self.http

    def gap(self, side: int, size: int) -> None:
        """Bytes are missing here."""
        if self.http is not None:
            self.http.gap(side ^ self.client, size)
        else:
            self._forget()
            self._gapped = True

    def close(self, side: int, frame: int, time: int) -> None:
        """A side's FIN."""
        if self.http is not None:
            self.http.close(side ^ self.client, frame, time)

    def finish(self, *, open_at_end: bool) -> None:
        """Nothing more will come."""
        if self.http is None:
            return
        one_way = not all(flow.seen for flow in self.connection.flows)
        if one_way:
            self.recorder.into.anomalies.count("direction-not-captured")
        self.http.finish(open_at_end=open_at_end, flags=int(Flag.ONE_WAY) if one_way else 0)
        self.recorder.finished(self)
        self.http = None
