"""The tables as judging looks at them: rows picked by what is odd, names looked up.

Law: a few passes over the exchange table, however many rows are odd, and nothing else that grows
with it. What is kept is counts, and the few rows that are odd.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from analyzer import limits
from analyzer.correlate.clocks import Clocks
from analyzer.correlate.forwarded import Forwarded
from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request, Response
from analyzer.correlate.vantages import Joined
from analyzer.features.echoes import Position, Rules
from analyzer.features.endpoints import Endpoint
from analyzer.features.shapes import Form, may_be_json, text
from analyzer.intervals import MASK, covers
from analyzer.tables import EXCHANGES, Array, Flag, Outcome, Refusal, Store, Texts

_MAPPED = 0xFFFF00000000
_SURPLUS = int(Flag.SURPLUS)
_ANSWERED = int(Outcome.ANSWERED)
_AFTER_CLIENT_CLOSE = int(Flag.AFTER_CLIENT_CLOSE)
_DEMAND_KEPT, _DEMAND_BROKEN = int(Flag.DEMAND_KEPT), int(Flag.DEMAND_BROKEN)
_NOTABLE = 0xFFFFFFFF & ~int(Flag.HAS_TOKEN | Flag.ECHOES | Flag.INTERIM | Flag.DEMAND_KEPT)


# What tells exchanges apart: connection, frame id and seq of the request, frame of the response.
Id = tuple[int, int, int, int]


_COLUMN = {column.name: place for place, column in enumerate(EXCHANGES)}


class Row:
    """One row of EXCHANGES with its request target; columns are looked up by name.

    The numbers are its own: a view of the table would keep all of its chunk in memory.
    """

    __slots__ = ("_table", "_values", "id", "position", "target")

    def __init__(self, at: np.void, target: bytes) -> None:
        """Of a row `at` of the table."""
        values: Any = at.item()  # a tuple, as `at` has columns
        self._table: tuple[int, ...] = values  # as the table has it, whatever is changed here
        self._set(values, target)

    def _set(self, values: tuple[int, ...], target: bytes) -> None:
        self._values, self.target = values, target
        connection, capture, first, seq, response = _identifying(values)
        # Where the exchange is: its connection, and its request's frame id and seq.
        self.position: Position = (connection, capture << 32 | first, seq)
        # What tells it from all others.
        self.id: Id = (*self.position, response)

    def __getitem__(self, column: str) -> int:
        return self._values[_COLUMN[column]]

    def changed(self, columns: Mapping[str, int], target: bytes | None = None) -> "Row":
        """The same row but for some columns (and the target)."""
        values = list(self._values)
        for column, value in columns.items():
            values[_COLUMN[column]] = value
        row = Row.__new__(Row)
        row._table = self._table
        row._set(tuple(values), self.target if target is None else target)
        return row

    @property
    def exchange(self) -> str:
        """What the exchange is called, the same from run to run: `capture:frame:seq`.

        That is where the first byte of its request is, or of its response where that is alone: the
        index of the file, the frame, and the TCP sequence number, as a frame may hold several.
        """
        of = "request" if self._table[_COLUMN["request_frame"]] else "response"
        return ":".join(str(self._table[_COLUMN[f"{of}_{name}"]]) for name in WHERE)

    def acknowledged(self, connection: np.void) -> bool:
        """Whether the server's host acknowledged the request as far as its length is known."""
        end = self["request_seq"] + self["request_length"] & MASK
        return covers(int(connection["client_acked"]), end)


class Located(Protocol):
    """What begins in a frame: a packet, a message, a request, a response."""

    @property
    def capture(self) -> int: ...
    @property
    def frame(self) -> int: ...


_identifying = itemgetter(
    *(_COLUMN[f"{name}"] for name in (
        "connection", "request_capture", "request_frame", "request_seq", "response_frame"
    ))
)  # fmt: skip
Key = tuple[int, int, int]  # variant, status, form
WHERE = ("capture", "frame", "seq")  # of a first byte: what the id of an exchange is made of
_ENDS = ("client_fin_time", "server_fin_time", "reset_time")
ERROR = 400  # the least status that tells of one (RFC 9110 §15)
PARTIAL = 206  # a part of what the target names (RFC 9110 §15.3.7)
SERVER_ERROR = 500  # of the server (RFC 9110 §15.6)
# What is said to a client in place of a response that was not waited for, or not to be had: Bad
# Gateway, Service Unavailable, Gateway Timeout (RFC 9110 §15.6.3 to §15.6.5).
GIVEN_UP = (502, 503, 504)
NOT_MODIFIED = (
    304  # the client has it already: without content, whatever the endpoint (RFC 9110 §15.4.5)
)


@dataclass(frozen=True, slots=True)
class Variants:
    """Every endpoint at every server under every Host name that it was asked by.

    A server is a process, whatever names lead to it: a Host name makes no endpoint of its own. But
    two that share a path may answer it in two ways, so what is learned is counted for each.
    """

    codes: npt.NDArray[np.int64]  # server * names + name, sorted: each is a variant
    named: npt.NDArray[np.int64]  # of every route: a number for its endpoint under its Host name
    names: int  # how many such numbers there are
    endpoint: npt.NDArray[np.int64]  # of every variant
    neighbours: npt.NDArray[np.int64]  # of every variant: those that differ in the last segment
    server: npt.NDArray[np.int64]  # of every variant

    def of(
        self, server: npt.NDArray[np.int64], route: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """The variants of requests."""
        return np.searchsorted(self.codes, server * self.names + self.named[route])


@dataclass(slots=True)
class Counts:
    """How many exchanges there are of each kind.

    `keys`: answered ones, `served` of them each once, however many sides of proxies saw it, without
    those sent before their requests had come: these cannot be their own. `asked`: requests by
    endpoint. `outcomes`: all. `late`: responses that began when their clients had closed, by server
    (`Tables.server`). `kept` and `broken`: the responses of an endpoint that repeat what the
    protocol demands, and those that don't, each once.
    """

    keys: Counter[Key] = field(default_factory=Counter)
    served: Counter[Key] = field(default_factory=Counter)
    asked: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)
    kept: Counter[int] = field(default_factory=Counter)
    broken: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Tables:
    """All that judging sees. Its times are by the reference clock, those in `exchanges` not yet."""

    exchanges: Store
    connections: Array  # in the order of their numbers
    joined: Joined
    clocks: Clocks
    endpoints: list[Endpoint]  # of every route
    endpoint_of: npt.NDArray[np.int64]  # route -> number of its endpoint
    names: list[Endpoint]  # of every endpoint number
    variants: Variants
    forms: list[Form]
    addresses: list[tuple[int, int]]
    interfaces: list[str]
    echoes: Rules  # what tokens of its requests each route's responses repeat
    vantages: list[str]  # for every interface what to call it
    sources: list[tuple[int, ...]]  # for every interface the indices of its files
    ends: list[int]  # for every interface the time of its last frame, in ns since 1970
    forwarded: Forwarded = field(default_factory=Forwarded)
    # Connections that a server's host refused, in the order of time (not corrected by clocks).
    refusals: Sequence[Refusal] = ()
    files: Sequence[str] = ()  # what to call each capture; empty where that need not be said
    left_out: int = 0  # exchanges beyond the limit, which were not picked when most were odd
    _variant: dict[Position, int] = field(default_factory=dict)
    _families: dict[str, list[int]] = field(default_factory=dict)

    def judged(self) -> Iterator[tuple[Array, Texts]]:
        """The exchanges that count, a chunk at a time: each once, however many places saw it."""
        for rows, targets in self.exchanges.chunks():
            chosen = self.joined.judged[rows["connection"]]
            if not chosen.all():
                at = np.flatnonzero(chosen)
                rows, targets = rows[at], targets.of(at)
            yield self.clocks.corrected(rows, self._interface(rows)), targets

    def served(self) -> Iterator[tuple[Array, Texts]]:
        """The exchanges that teach what is usual, a chunk at a time: each once as it was served.

        Those that a proxy only handed on are left out.
        """
        for rows, targets in self.judged():
            forwarded = self.forwarded.among(rows)
            if forwarded.any():
                at = np.flatnonzero(~forwarded)
                rows, targets = rows[at], targets.of(at)
            yield rows, targets

    def teaches(self, position: Position) -> bool:
        """Whether the exchange at a position is one of those that were `served`."""
        connection, _, seq = position
        return bool(self.joined.judged[connection]) and not self.forwarded.has(connection, seq)

    def shares(self) -> npt.NDArray[np.float64]:
        """Of every route the share of its requests, at all vantages, that were `served`."""
        many = len(self.endpoint_of)
        every, served = np.zeros(many), np.zeros(many)
        for counts, chunks in ((every, self.exchanges.chunks()), (served, self.served())):
            for rows, _ in chunks:
                counts += np.bincount(rows["route"][rows["request_frame"] > 0], minlength=many)
        return np.divide(served, every, out=np.zeros(many), where=every > 0)

    def _interface(self, rows: Array) -> npt.NDArray[np.int64]:
        return np.asarray(self.connections["interface"][rows["connection"]], dtype=np.int64)

    def sightings(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Array]:
        """The exchanges of the `wanted` connections (by number), judged or not, in chunks."""
        for rows, _ in self.exchanges.chunks():
            chosen = rows[wanted[rows["connection"]]]
            if len(chosen):
                yield self.clocks.corrected(chosen, self._interface(chosen))

    def pick(self, wanted: Callable[[Array], npt.NDArray[np.bool_]]) -> list[Row]:
        """The judged exchanges for which `wanted` holds, in the order of their frames.

        Of more than the limit the first ones of every service and of every connection, so that one
        with very many does not hide the others.
        """
        found: list[Row] = []
        places: list[npt.NDArray[np.int64]] = []
        order: list[npt.NDArray[np.int64]] = []
        total = 0
        for rows, targets in self.judged():
            at = np.flatnonzero(wanted(rows))
            places.append(at)
            order.append(_order(rows[at], self.joined.service))
            total += len(at)
            if total <= limits.ODD:
                found += [Row(rows[i], targets[i]) for i in at.tolist()]
        if total > limits.ODD:
            self.left_out = max(self.left_out, total - limits.ODD)
            found.clear()
            chosen = _first_of_each(np.concatenate(order, axis=1), limits.ODD)
            for (rows, targets), at in zip(self.judged(), places, strict=True):
                mine, chosen = chosen[: len(at)], chosen[len(at) :]
                found += [Row(rows[i], targets[i]) for i in at[mine].tolist()]
        found.sort(key=in_order)
        return found

    def meanwhile(
        self, wanted: Sequence[Row], alike: Callable[[Any, Row], Any]
    ) -> dict[Id, list[Row]]:
        """By each row the other exchanges that were under way with it at its server.

        Those that are `alike`, which is asked of arrays of rows and of single ones.
        """

        def fits(rows: Any, row: Row) -> Any:
            here = self.joined.service[rows["connection"]] == self.server(row)
            return here & asked_meanwhile(rows, row)

        def fits_any(rows: Array) -> npt.NDArray[np.bool_]:
            found = np.zeros(len(rows), dtype=np.bool_)
            for row in wanted:
                at = np.flatnonzero(fits(rows, row))  # few, and the dearest question comes last
                found[at] |= alike(rows[at], row)
            return found

        picked = self.pick(fits_any) if wanted else []
        return {
            row.id: [
                one for one in picked if one.id != row.id and fits(one, row) and alike(one, row)
            ]
            for row in wanted
        }

    def counts(self) -> Counts:
        """Count all exchanges."""
        out = Counts()
        for rows, _ in self.judged():
            endpoint = self.endpoint_of[rows["route"]]
            requests = rows["request_frame"] > 0
            _add(out.asked, endpoint[requests])
            _add(out.outcomes, rows["outcome"])
            late = rows["connection"][rows["flags"] & _AFTER_CLIENT_CLOSE != 0]
            _add(out.late, self.joined.service[late])
            teaches = ~self.forwarded.among(rows)
            for counter, bit in ((out.kept, _DEMAND_KEPT), (out.broken, _DEMAND_BROKEN)):
                _add(counter, endpoint[teaches & (rows["flags"] & bit != 0)])
            answered = rows["outcome"] == Outcome.ANSWERED
            keys = self.keys(rows)
            _add_keys(out.keys, keys[answered])
            teaches &= answered & (rows["flags"] & _SURPLUS == 0)
            _add_keys(out.served, keys[teaches])
        return out

    def keys(self, rows: Array) -> npt.NDArray[np.int64]:
        """(variant, status, form) of rows as one number each: variant << 40 | status << 24.

        What was forwarded is of its origin's variant.
        """
        connection, route = self.forwarded.origins(rows)
        variant = self.variants.of(self.joined.service[connection], route)
        return np.asarray(variant << 40 | rows["status"].astype(np.int64) << 24 | rows["form"])

    def examples(
        self, endpoints: set[int], *, but: Container[Position], most: int = 4
    ) -> dict[int, list[Row]]:
        """Some ordinary exchanges of each endpoint, from the connections with fewest requests.

        None of those at the positions `but`.
        """
        found: dict[int, list[tuple[int, int, int, Row]]] = {e: [] for e in endpoints}
        wanted = np.array(sorted(endpoints), dtype=np.int64)
        for rows, targets in self.served():
            endpoint = self.endpoint_of[rows["route"]]
            usable = np.isin(endpoint, wanted) & (rows["outcome"] == Outcome.ANSWERED)
            usable &= (rows["status"] < 400) & (rows["response_sum"] != 0)
            usable &= rows["flags"] & _NOTABLE == 0
            for number in np.unique(endpoint[usable]).tolist():
                at = np.flatnonzero(usable & (endpoint == number))
                busy = self.connections["requests"][rows["connection"][at]].astype(np.int64)
                order = np.lexsort((rows["request_frame"][at], rows["request_capture"][at], busy))
                for i in at[order[: 2 * most]].tolist():
                    row = Row(rows[i], targets[i])
                    if row.position in but:
                        continue
                    load = int(self.connections["requests"][row["connection"]])
                    found[number].append((load, row["request_capture"], row["request_frame"], row))
                found[number] = sorted(found[number], key=lambda f: f[:3])[:most]
        return {number: [f[3] for f in rows] for number, rows in found.items()}

    # --- names -----------------------------------------------------------------------------

    def endpoint(self, row: Row) -> int:
        """The number of a row's endpoint."""
        return int(self.endpoint_of[row["route"]])

    def is_beside(self, one: Row, other: Row) -> bool:
        """Whether two are of one endpoint, or of two that differ in one name of the path only."""
        return self.names[self.endpoint(one)].is_beside(self.names[self.endpoint(other)])

    def beside(self, endpoint: int) -> list[int]:
        """An endpoint, and those that differ from it in one name of the path only."""
        if not self._families:
            for number, name in enumerate(self.names):
                for family in name.families:
                    self._families.setdefault(family, []).append(number)
        some = (self._families[family] for family in self.names[endpoint].families)
        return sorted({endpoint}.union(*some))

    def is_fixed(self, endpoint: int, place: str) -> bool:
        """Whether a place of requests is a segment of the path that the endpoint's all share."""
        if not place.startswith("path["):
            return False
        segments = self.names[endpoint].template.split("/")
        back = int(place[len("path[") : -1])
        return -len(segments) <= back and not segments[back].startswith("{")

    def is_unreadable(self, row: Row) -> bool:
        """Whether a body is said to be JSON and is not: another response may be in it."""
        form = self.forms[row["form"]]
        return form.shape is None and bool(form.media_type) and may_be_json(form.media_type)

    def variant(self, row: Row) -> int:
        """The number of a row's variant: its endpoint, at its server, under its Host name.

        That of its origin, where it was forwarded.
        """
        found = self._variant.get(row.position)
        if found is None:
            at = self.forwarded.origin(row["connection"], row["route"], row["request_seq"])
            server = self.joined.service[[at[0]]]
            route = np.array([at[1]], dtype=np.int64)
            found = self._variant[row.position] = int(self.variants.of(server, route)[0])
        return found

    def key(self, row: Row) -> Key:
        """(variant, status, form) of a row."""
        return self.variant(row), row["status"], row["form"]

    def endpoint_name(self, row: Row) -> str:
        """Method and path template of a row's endpoint."""
        return self.names[self.endpoint(row)].name

    def connection(self, row: Row) -> np.void:
        """The row of CONNECTIONS that an exchange belongs to."""
        found: np.void = self.connections[row["connection"]]
        return found

    def ended(self, row: Row, since: int) -> int:
        """When a row's connection first ended, at either side, after `since`; 0: not seen (ns)."""
        connection = self.connection(row)
        return min((t for name in _ENDS if (t := int(connection[name])) > since), default=0)

    def watched_until(self, row: Row) -> int:
        """When the last of the captures that saw the row's connection ends, in ns since 1970."""
        members = self.joined.members(row["connection"])
        return max(self.ends[int(self.connections["interface"][n])] for n in members)

    def _source(self, members: Sequence[int]) -> str:
        """The client that a PROXY header names at any of the sightings of a connection."""
        rows = (self.connections[number] for number in members)
        named = (
            self.place(int(r["source"]), int(r["source_port"])) for r in rows if r["source_port"]
        )
        return next(named, "")

    def request(self, row: Row) -> Request:
        """The request of a row, as the report names it."""
        connection = self.connection(row)
        members = self.joined.members(row["connection"])
        members = sorted(members, key=lambda n: int(self.connections["first_time"][n]))
        client, last = self.connections[members[0]], self.connections[members[-1]]
        server, inside = (
            self.place(int(one["server"]), int(one["server_port"])) for one in (connection, last)
        )
        endpoint = self.names[int(self.endpoint_of[row["route"]])]
        return Request(
            method=endpoint.method,
            target=row.target.decode("latin-1"),
            endpoint=endpoint.name,
            client=self.place(int(client["client"]), int(client["client_port"])),
            server=server,
            inside=inside if inside != server else "",
            source=self._source(members),
            time=row["request_time"],
            frame=row["request_frame"],
            connection=int(connection["stream"]),
            capture=row["request_capture"],
            interfaces=tuple(
                dict.fromkeys(
                    name
                    for n in members
                    if (name := self.interfaces[int(self.connections["interface"][n])])
                )
            ),
            exchange=row.exchange,
        )

    def response(self, row: Row) -> Response | None:
        """The response of a row, as the report names it."""
        if not row["response_frame"]:
            return None
        return Response(
            status=row["status"],
            time=row["response_time"],
            frame=row["response_frame"],
            length=row["response_length"],
            shape=form_text(self.forms[row["form"]]),
            connection=int(self.connection(row)["stream"]),
            capture=row["response_capture"],
            announced=row["response_announced"],
            extra=row["response_extra"],
            exchange=row.exchange,
        )

    def frame(self, what: Located) -> Frame:
        """The frame in which something begins."""
        return self.frame_at(what.capture, what.frame)

    def frame_of(self, record: "Row | np.void", name: str) -> Frame:
        """The frame in a table's columns `NAME_capture` and `NAME_frame`."""
        return self.frame_at(int(record[f"{name}_capture"]), int(record[f"{name}_frame"]))

    def asked(self, row: Row) -> Frame:
        """The frame with the first byte of a row's request."""
        return self.frame_at(row["request_capture"], row["request_frame"])

    def came(self, row: Row) -> Frame:
        """The frame with the first byte of a row's response."""
        return self.frame_at(row["response_capture"], row["response_frame"])

    def framed(self, id: int) -> Frame:
        """The frame of an id (capture << 32 | number)."""
        return self.frame_at(id >> 32, id & 0xFFFFFFFF)

    def frame_at(self, capture: int, number: int) -> Frame:
        """A frame by its capture and its number there."""
        return Frame(capture, number, self.files[capture] if self.files else "")

    def place(self, address: int, port: int) -> str:
        """`ip:port`, an IPv6 address in brackets."""
        return place_of(*self.addresses[address], port)

    def server(self, row: Row) -> int:
        """What tells servers apart: a number for all addresses and ports that are one server."""
        return int(self.joined.service[row["connection"]])

    def exchanges_of(self, server: int) -> int:
        """How many requests a server was sent, each counted once."""
        here = self.joined.judged & (self.joined.service == server)
        return int(self.connections["requests"][here].sum())


def failed(rows: Any) -> Any:
    """Which were told that they failed (5xx): what they asked for may yet have gone elsewhere.

    Of an array of rows an array of bool, of one row a bool.
    """
    return (rows["status"] >= SERVER_ERROR) & (rows["outcome"] == _ANSWERED)


def given_up(rows: Any) -> Any:
    """Which were told that they were given up on: the response proper may yet have come.

    Of an array of rows an array of bool, of one row a bool.
    """
    first, *others = GIVEN_UP
    found = rows["status"] == first
    for status in others:
        found = found | (rows["status"] == status)
    return found & (rows["outcome"] == _ANSWERED)


def asked_meanwhile(rows: Any, row: Row) -> Any:
    """Which were asked before a row's response came, and not over before it was asked.

    Of an array of rows an array of bool, of one row a bool.
    """
    ended = rows["response_end_time"]
    return (rows["request_time"] < row["response_time"]) & (
        (ended == 0) | (ended > row["request_time"])
    )


def place_of(high: int, low: int, port: int) -> str:
    """`ip:port` of an address in two words, an IPv6 address in brackets."""
    if high == 0 and low >> 32 == _MAPPED >> 32:
        return f"{IPv4Address(low & 0xFFFFFFFF)}:{port}"
    return f"[{IPv6Address(high << 64 | low)}]:{port}"


def form_text(form: Form) -> str:
    """A form as a person reads it: the shape of JSON, else the media type."""
    if form.shape is not None:
        return text(form.shape)
    return f"({form.media_type or 'no body'})"


def frame_ids(rows: Array, which: str) -> npt.NDArray[np.int64]:
    """The capture and frame of each row's "request" or "response" in one number."""
    capture = rows[f"{which}_capture"].astype(np.int64)
    return np.asarray(capture << 32 | rows[f"{which}_frame"], dtype=np.int64)


def in_order(row: Row) -> tuple[int, int, int]:
    """A key by which rows come in the order of time, and of frames."""
    if row["request_frame"]:
        return row["request_time"], row["request_capture"], row["request_frame"]
    return row["response_time"], row["response_capture"], row["response_frame"]


def _order(rows: Array, service: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Service, connection, time and frame id of rows, shape (4, n); `service` by connection."""
    asked = rows["request_frame"] > 0
    columns = [
        np.where(asked, rows[f"request_{name}"], rows[f"response_{name}"]).astype(np.int64)
        for name in ("time", "capture", "frame")
    ]
    number = rows["connection"].astype(np.int64)
    return np.stack([service[number], number, columns[0], columns[1] << 32 | columns[2]])


def _first_of_each(order: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.bool_]:
    """Which `most` rows to keep: the first of every service, then the second of every one.

    Of a service first the first of every connection, then the second of every one.
    """
    service, connection, time, frame = order
    rank = _rank(connection, np.lexsort((frame, time, connection)))
    rank = _rank(service, np.lexsort((frame, time, rank, service)))
    kept = np.zeros(len(rank), dtype=np.bool_)
    kept[np.lexsort((frame, time, rank))[:most]] = True
    return kept


def _rank(group: npt.NDArray[np.int64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The place from 0 of every row in its group, in an order that has groups together."""
    ordered = group[order]
    begun = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(begun, np.diff(np.r_[begun, len(order)]))
    return rank


def _add_keys(counter: Counter[Key], keys: npt.NDArray[np.int64]) -> None:
    for value, count in zip(*np.unique(keys, return_counts=True), strict=True):
        number = int(value)
        counter[(number >> 40, number >> 24 & 0xFFFF, number & 0xFFFFFF)] += int(count)


def _add(counter: Counter[int], values: npt.NDArray[Any]) -> None:
    for value, count in zip(*np.unique(values, return_counts=True), strict=True):
        counter[int(value)] += int(count)
