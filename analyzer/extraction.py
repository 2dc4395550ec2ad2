"""What the stages put out while a capture is read: the EXCHANGES and CONNECTIONS tables.

Law: extraction is pure per connection, so it may be split by connection over processes and joined
(`Extraction.join`); what is judged later is in the tables alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from zlib import adler32

import numpy as np

from analyzer import echoes
from analyzer.anomalies import Anomalies
from analyzer.echoes import SHORTEST_TOKEN, Echoes, Position, Rules, repeats, token_of
from analyzer.endpoints import Route, Routes
from analyzer.http import content
from analyzer.http.exchanges import Carries, HttpConnection, roles
from analyzer.http.grammar import Fields
from analyzer.http.messages import Message
from analyzer.http.ordinary import Glance
from analyzer.shapes import NO_FORM, REFUSALS, UNKNOWN_FORM, Form, Forms, may_be_json
from analyzer.streams import Arranged, Connection, Ints
from analyzer.tables import CONNECTIONS, EXCHANGES, Array, Flag, Outcome, Store, packer_of

_MOST_UNDECIDED = 256  # pieces kept while it is not known what a connection carries
_SLASH = ord("/")
_HAS_TOKEN, _ECHOES = int(Flag.HAS_TOKEN), int(Flag.ECHOES)

_pack_exchange = packer_of(EXCHANGES).pack
_pack_connection = packer_of(CONNECTIONS).pack

_COUNTED = {Carries.TLS: "tls", Carries.HTTP2: "http2", Carries.OTHER: "not-http"}
Address = tuple[int, int]
# What a body says: the number of its form, flags on what it repeats, its checksum.
Look = tuple[int, int, int]


@dataclass(slots=True)
class Extraction:
    """All that was read out of the captures, before anything is judged."""

    anomalies: Anomalies = field(default_factory=Anomalies)
    exchanges: Store = field(default_factory=lambda: Store(EXCHANGES, text=True))
    connections: Store = field(default_factory=lambda: Store(CONNECTIONS))
    addresses: list[Address] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    echoes: Rules = field(default_factory=dict)
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
        for rows, texts in part.exchanges.chunks():
            rows["route"], rows["form"] = route[rows["route"]], form[rows["form"]]
            rows["connection"] += offset
            first.exchanges.append_many(rows, texts)
        for rows, texts in part.connections.chunks():
            rows["connection"] += offset
            rows["client"], rows["server"] = address[rows["client"]], address[rows["server"]]
            first.connections.append_many(rows, texts)
        first.anomalies.update(part.anomalies)
    first.routes, first.forms, first.addresses = list(routes), list(forms), list(addresses)
    first.begun = np.concatenate([part.begun for part in parts])
    return first


class Recorder:
    """Packs what the http stage puts out into the tables of an `Extraction`."""

    whole = False  # whether requests are kept with bodies as long as those of responses

    def __init__(self, into: Extraction) -> None:
        self.into = into
        self.routes = Routes(into.anomalies)
        self.forms = Forms(into.anomalies)
        into.routes = self.routes.routes
        into.forms = self.forms.forms
        self.echoes = Echoes(into.echoes)
        self._addresses: dict[Address, int] = {}
        self._connections = 0
        # The block's ordinary exchanges: what their heads say, and which were taken (connection,
        # first row, how many).
        self._taken: list[tuple[int, int, int]] = []

    # --- the http stage's Recorder -------------------------------------------------------------

    def route(self, request: Message) -> int:
        """The number of the request's route."""
        return self.routes.number(request.method, request.fields.host, request.target)

    def exchange(
        self,
        connection: int,
        request: Message | None,
        response: Message | None,
        outcome: int,
        flags: int,
    ) -> None:
        """Add a row to EXCHANGES."""
        route = form = checksum = 0
        target = b""
        if request is not None:
            route = request.route
            target = request.target
            asked = request.frame, request.time, request.seq, request.ack, request.length
        else:
            asked = _NOTHING
        if response is not None:
            if response.complete and not response.tunnel:
                position = (connection, request.frame, request.seq) if request else None
                form, echoed, checksum = self._form(response, route, request, position)
                flags |= echoed
            elif not response.complete:
                form = UNKNOWN_FORM
            frame, time, seq, ack = response.frame, response.time, response.seq, response.ack
            end_frame, end_time = response.end_frame, response.end_time
            length, status = response.length, response.status
        else:
            frame = time = seq = ack = end_frame = end_time = length = status = 0
        self.into.exchanges.append(
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
                frame >> 32,
                frame & 0xFFFFFFFF,
                time,
                seq,
                ack,
                end_frame & 0xFFFFFFFF,
                end_time,
                length,
                checksum,
                status,
                route,
                form,
            ),
            target,
        )

    def _form(
        self, response: Message, route: int, request: Message | None, position: Position | None
    ) -> Look:
        """A complete response's form and what else its body says."""
        parts = response.body
        if parts is not None:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            form, checksum, plain = self._form_of(response.fields, body, route)
            if plain is None or request is None or position is None:
                return form, 0, checksum
            if response.status < 400 and self.echoes.wants(route):
                asked = b"".join(request.body or ())
                places = self.echoes.places(route)
                found = echoes.tokens(request.target, request.head, asked, places)
                self.echoes.see(route, found, response.head, plain, lambda: position)
            return form, _echo(token_of(request.target), plain), checksum
        if not response.length:
            return NO_FORM, 0, 0
        # Too long to look into, or broken by a gap.
        media_type = response.fields.media_type
        if may_be_json(media_type):
            if not response.gap:
                self.into.anomalies.count("body-too-long")
            return UNKNOWN_FORM, 0, 0
        return self.forms.number(Form(media_type, None)), 0, 0

    def _form_of(self, fields: Fields, body: bytes, route: int) -> tuple[int, int, bytes | None]:
        """The form and the checksum of a body, and the JSON text that it holds, if any."""
        media_type = fields.media_type
        if not body:
            return NO_FORM, 0, None
        if len(body) > content.LONGEST_BODY and may_be_json(media_type):
            self.into.anomalies.count("body-too-long")
            return UNKNOWN_FORM, 0, None
        checksum = adler32(body)
        if not may_be_json(media_type):
            return self.forms.number(Form(media_type, None)), checksum, None
        if fields.content_coding:
            plain = content.decoded(body, fields.content_coding)
            if plain is None:
                self.into.anomalies.count("body-undecodable")
                return UNKNOWN_FORM, checksum, None
            body = plain
        return self.forms.of(media_type, body, route), checksum, body

    # --- ordinary exchanges --------------------------------------------------------------------

    def take_ordinary(self, connection: int, row: int, count: int) -> None:
        """Take ordinary exchanges of a connection, two rows of the block each, from `row` on."""
        self._taken.append((connection, row, count))

    def flush(self, block: Arranged, glance: Glance) -> None:
        """The end of a block: write the ordinary exchanges taken from it."""
        if self._taken:
            self._flush_ordinary(block, glance)

    def _flush_ordinary(self, block: Arranged, glance: Glance) -> None:
        runs = np.array(self._taken, dtype=np.int64)
        self._taken.clear()
        counts = runs[:, 2]
        # Row numbers of the requests: from each run's first row on, every second one.
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        row = np.repeat(runs[:, 1], counts) + 2 * within
        data, columns = block.walk.data, block.columns
        targets = [
            data[start:end]
            for start, end in zip(
                glance.target[row].tolist(), glance.target_end[row].tolist(), strict=True
            )
        ]
        digits = (glance.target_end[row] - glance.trailing[row]).tolist()
        routes = self._routes_of(glance, row, targets, digits)
        place = self._places(block, runs, counts, row)
        looks = self._forms_of(block, glance, row, targets, digits, routes, place)
        statuses = np.array([t.status for t in glance.templates], dtype=np.int64)
        forms = np.array(looks, dtype=np.int64)
        rows = np.zeros(len(row), dtype=self.into.exchanges.dtype)
        for name, value in (
            ("connection", np.repeat(runs[:, 0], counts)),
            ("outcome", int(Outcome.ANSWERED)),
            ("flags", forms[:, 1]),
            ("request_length", glance.request_length[row]),
            ("response_length", glance.length[row]),
            ("status", statuses[glance.answered[row]]),
            ("route", np.array(routes)),
            ("form", forms[:, 0]),
            ("response_sum", forms[:, 2]),
        ):
            rows[name] = value
        for side, at in (("request", row), ("response", row + 1)):
            frame = columns["frame"][at]
            rows[f"{side}_capture"] = frame >> 32
            rows[f"{side}_frame"] = frame & 0xFFFFFFFF
            rows[f"{side}_time"] = columns["time"][at]
            rows[f"{side}_seq"] = columns["seq"][at]
            rows[f"{side}_ack"] = columns["ack"][at]
        rows["response_end_frame"] = rows["response_frame"]
        rows["response_end_time"] = rows["response_time"]
        self.into.exchanges.append_many(rows, targets)

    def _places(
        self, block: Arranged, runs: Ints, counts: Ints, row: Ints
    ) -> Callable[[int], Position]:
        """Where the n-th of the ordinary exchanges taken is."""
        starts = np.cumsum(counts) - counts
        frame, seq = block.columns["frame"], block.columns["seq"]

        def place(at: int) -> Position:
            run = int(np.searchsorted(starts, at, "right")) - 1
            return int(runs[run, 0]), int(frame[row[at]]), int(seq[row[at]])

        return place

    def _routes_of(
        self, glance: Glance, row: Ints, targets: list[bytes], digits: list[int]
    ) -> list[int]:
        """The routes of ordinary requests; `digits`: how long a number each target ends with."""
        asked = [(t.method, t.fields.host) for t in glance.templates]
        number, number_of_prefix = self.routes.number, self.routes.number_of_prefix
        kinds = [asked[which] for which in glance.asked[row].tolist()]
        return [
            number_of_prefix(method, host, target[:-size]) if size else number(method, host, target)
            for (method, host), target, size in zip(kinds, targets, digits, strict=True)
        ]

    def _forms_of(
        self,
        block: Arranged,
        glance: Glance,
        row: Ints,
        targets: list[bytes],
        digits: list[int],
        routes: list[int],
        place: Callable[[int], Position],
    ) -> list[Look]:
        """For ordinary exchanges what `_form` says; the most usual bodies without a detour.

        `place` tells where the n-th of them is.
        """
        data = block.walk.data
        answered = [(t.fields, t.status < 400) for t in glance.templates]
        usual = [may_be_json(f.media_type) and not f.content_coding for f, _ in answered]
        # Where no other token than a number at the path's end is repeated.
        plain_routes = {r for r in set(routes) if not self.echoes.wants(r, but=echoes.LAST)}
        checks = self.forms.checks
        out: list[Look] = []
        add = out.append
        rows = row.tolist()
        starts = block.columns["payload"][row + 1].tolist()
        seen: dict[int, list[int]] = {}
        for at, (which, start, length, route, target, size) in enumerate(
            zip(
                glance.answered[row].tolist(),
                glance.body[row].tolist(),
                glance.length[row].tolist(),
                routes,
                targets,
                digits,
                strict=True,
            )
        ):
            body = data[start : start + length]
            fields, good = answered[which]
            if route in plain_routes and usual[which] and size >= SHORTEST_TOKEN and good:
                check = checks.get((route, fields.media_type))
                if check and target[-size - 1] == _SLASH and b"?" not in target:
                    try:
                        check[0][0](body)
                    except REFUSALS:
                        pass
                    else:
                        echo = _ECHOES if repeats(target[-size:], body) else 0
                        add((check[0][1], _HAS_TOKEN | echo, adler32(body)))
                        seen.setdefault(route, []).append(at)
                        continue
            form, checksum, plain = self._form_of(fields, body, route)
            if plain is None:
                add((form, 0, checksum))
                continue
            if good and self.echoes.wants(route):
                request, begin = rows[at], starts[at]
                found = echoes.tokens(
                    target, *_asked(block, glance, request), self.echoes.places(route)
                )
                self.echoes.see(route, found, data[begin:start], plain, partial(place, at))
            add((form, _echo(token_of(target), plain), checksum))
        for route, those in seen.items():
            mute = [place(at) for at in those if not out[at][1] & _ECHOES]
            values = (targets[at][-digits[at] :] for at in those)
            self.echoes.count(route, len(those) - len(mute), values, mute)
        return out

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
        join = http.first_request or (0, 0)
        self.into.connections.append(
            _pack_connection(
                http.number,
                0,  # ranked when all are known
                connection.interface,
                self._address(one.high, one.low),
                self._address(two.high, two.low),
                one.port,
                two.port,
                int(connection.flags(client)),
                int(connection.closed_first(client)),
                connection.first_time,
                connection.last_time,
                connection.first_frame >> 32,
                connection.first_frame & 0xFFFFFFFF,
                join[0],
                join[1],
                ours.acked or 0,
                theirs.acked or 0,
                ours.fin_frame & 0xFFFFFFFF,
                ours.fin_time,
                theirs.fin_frame & 0xFFFFFFFF,
                theirs.fin_time,
                connection.reset_frame & 0xFFFFFFFF,
                connection.reset_time,
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


def _echo(token: bytes, body: bytes) -> int:
    """The flags of a response whose request has `token`."""
    if not token:
        return 0
    return _HAS_TOKEN | _ECHOES if repeats(token, body) else _HAS_TOKEN


def _asked(block: Arranged, glance: Glance, row: int) -> tuple[bytes, bytes]:
    """The field lines and the body of an ordinary request."""
    columns = block.columns
    start, wire = int(columns["payload"][row]), int(columns["wire"][row])
    length = int(glance.request_length[row])
    text = block.walk.data[start : start + wire]
    kept = length if length <= content.LONGEST_REQUEST_BODY else 0
    return text[: wire - length], text[wire - length :][:kept]


class HttpSink:
    """Reads a connection's bytes: finds out what it carries and which side is the client's.

    Until that is known the pieces are kept, then replayed to an `HttpConnection`.
    """

    __slots__ = (
        "_carries",
        "_gapped",
        "_number",
        "_waiting",
        "client",
        "connection",
        "http",
        "recorder",
    )

    def __init__(self, recorder: Recorder, connection: Connection) -> None:
        self.recorder = recorder
        self.connection = connection
        self.client = 0
        self._number = -1
        self.http: HttpConnection | None = None
        self._carries = Carries.UNKNOWN
        self._waiting: list[tuple[int, bytes, int, int, int, int]] = []
        self._gapped = False  # bytes were missing before it was known what the connection carries

    @property
    def wants_data(self) -> bool:
        """Whether any further bytes matter."""
        http = self.http
        if http is not None:
            return http.carries is Carries.HTTP
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
        self.http.took_ordinary(count, seq, ack)
        self.recorder.take_ordinary(self._number, row, count)

    def data(self, side: int, piece: bytes, frame: int, time: int, seq: int, ack: int) -> None:
        """The next bytes of a side."""
        http = self.http
        if http is not None:
            http.data(side ^ self.client, piece, frame, time, seq, ack)
        else:
            self._waiting.append((side, piece, frame, time, seq, ack))
            self._decide(side)

    def _decide(self, side: int) -> None:
        """Look at what has come from `side` so far."""
        midstream = self.connection.midstream
        start = b"".join(piece for s, piece, *_ in self._waiting if s == side)[:16_384]
        client, carries = roles(side, start)
        if carries is Carries.OTHER and (midstream or self._gapped):
            # The middle of a message, most likely. The next piece may begin one.
            self._waiting.clear()
            return
        if carries is Carries.UNKNOWN and len(self._waiting) >= _MOST_UNDECIDED:
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
            self._waiting.clear()
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
