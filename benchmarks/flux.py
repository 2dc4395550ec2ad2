"""An honest service whose answers are never alike: a capture of it, as large as one likes.

    python -m benchmarks.flux OUT.pcap --exchanges 50000 --endpoints 60 --optional 24 --seed 1

Law: every response is its own request's, and the same arguments give the same bytes. What varies is
what varies in real services: optional fields that come and go (in groups, absent or null), lists of
any length, maps whose keys are data, errors, slow answers, clients that give up. Nothing of it is a
fault, so whatever a scan says of a misdelivered response is wrong.

The traffic is simulated, not recorded: so many clients at once, each asking one request at a time
over a keep-alive connection or a short one, with handshakes, segments of 1448 bytes, ACKs and FINs.
TCP checksums are left to be filled in, as checksum offloading leaves them.
"""

from __future__ import annotations

import heapq
import random
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import click
import orjson

MSS = 1448
PORT = 8080
BEGIN = 1_750_000_000_000_000_000  # ns since 1970
TRIP, GAP = 120_000, 9_000  # ns: half a round trip, and between two segments of one message
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
PAUSE = 2_000_000  # ns that a client waits, on average, before it asks again
REQUESTS = 300  # on a keep-alive connection, on average
SHORT = 0.02  # share of exchanges with a connection of their own
PATIENCE = 5_000_000, 400_000_000  # ns after which a client gives up: at least and at most
_GLOBAL = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65_535, 1)  # ns, Ethernet
_RECORD = struct.Struct("<IIII")
_ETHERNET = bytes.fromhex("02420a00000202420a0000010800")
_IP, _TCP = struct.Struct(">BBHHHBBHII"), struct.Struct(">HHIIBBHHHBBBBII")
_NOUNS = [
    "order", "user", "product", "cart", "invoice", "payment", "shipment", "account",
    "session", "event", "report", "message", "ticket", "device", "sensor", "address",
    "review", "coupon", "refund", "stock", "price", "offer", "contract", "customer",
]  # fmt: skip
_WORDS = [
    "amber", "north", "river", "quiet", "silver", "maple", "harbor", "stone",
    "winter", "orchard", "copper", "meadow", "lantern", "summit", "velvet", "canyon",
    "ember", "willow", "cobalt", "prairie",
]  # fmt: skip
_FIELDS = [
    "name", "status", "kind", "label", "note", "source", "target", "region",
    "currency", "amount", "quantity", "weight", "total", "limit", "owner", "color",
    "size", "rank", "score", "channel", "version", "expires", "updated", "begins",
    "ends", "phase", "reason",
]  # fmt: skip
_ERRORS = {400: "invalid argument", 404: "not found", 409: "conflict", 500: "internal error"}
_REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 409: "Conflict",
            500: "Internal Server Error"}  # fmt: skip

Value = Callable[[random.Random], object]
Packet = tuple[int, int, bytes]  # time in ns, a number that breaks ties, the record's bytes


# --- what the service answers --------------------------------------------------------------


def _word(rng: random.Random) -> str:
    return _WORDS[int(rng.random() * len(_WORDS))]


def _value(rng: random.Random, depth: int = 0) -> Value:
    """A kind of value, chosen at random: a function that makes such values."""
    kinds = ["int", "word", "word", "float", "bool", "text", "time", "words", "numbers", "union"]
    kinds += ["object", "objects", "map"] if depth < 2 else []
    kind = rng.choice(kinds)
    if kind in ("object", "objects"):
        inner = _Schema.make(rng, rng.randint(2, 5), rng.randint(0, 3), depth + 1)
        if kind == "object":
            return lambda r: inner.fill(r)
        return lambda r: [inner.fill(r) for _ in range(_few(r))]
    if kind == "map":
        values = _value(rng, 2)
        return lambda r: {f"{r.getrandbits(32):08x}": values(r) for _ in range(_few(r))}
    simple: dict[str, Value] = {
        "int": lambda r: int(r.random() * 100_000),
        "word": _word,
        "float": lambda r: int(r.random() * 1e6) / 128,
        "bool": lambda r: r.random() < 0.5,
        "text": lambda r: " ".join(_word(r) for _ in range(3 + _few(r))),
        "time": lambda r: f"2026-0{1 + int(r.random() * 9)}-{10 + int(r.random() * 18)}T08:30:00Z",
        "words": lambda r: [_word(r) for _ in range(_few(r))],
        "numbers": lambda r: [int(r.random() * 500) for _ in range(_few(r))],
        "union": lambda r: int(r.random() * 99) if r.random() < 0.7 else _word(r),
    }
    return simple[kind]


def _few(rng: random.Random) -> int:
    """A small number, often 0."""
    chance = rng.random()
    return 0 if chance < 0.25 else int((chance - 0.25) * 8)


@dataclass(slots=True)
class _Optional:
    """A field that comes and goes: with this chance, where its group is there at all."""

    name: str
    value: Value
    chance: float
    null: bool  # null where there is nothing, or left out as Go's `omitempty` does


@dataclass(slots=True)
class _Schema:
    """An object: fields that are always there, and groups of fields that are there together."""

    always: list[tuple[str, Value]]
    groups: list[tuple[float, list[_Optional]]]

    @classmethod
    def make(cls, rng: random.Random, always: int, optional: int, depth: int = 0) -> _Schema:
        """A schema of so many fields, at random."""
        names = [f"{a}{b.title()}" for a in _FIELDS for b in ("", "id", "code", "date", "list")]
        rng.shuffle(names)
        fixed = [(names.pop(), _value(rng, depth)) for _ in range(always)]
        groups: list[tuple[float, list[_Optional]]] = []
        left = min(optional, len(names))
        while left > 0:
            size = min(left, rng.choice((1, 1, 2, 4)))
            left -= size
            some = [
                _Optional(
                    names.pop(),
                    _value(rng, depth),
                    rng.choice((1.0, 1.0, 0.9, 0.5, 0.05)),
                    rng.random() < 0.3,
                )
                for _ in range(size)
            ]
            groups.append((rng.choice((0.98, 0.8, 0.5, 0.3, 0.1, 0.02, 0.003)), some))
        return cls(fixed, groups)

    def fill(self, rng: random.Random) -> dict[str, object]:
        """One such object."""
        out: dict[str, object] = {name: value(rng) for name, value in self.always}
        for chance, some in self.groups:
            there = rng.random() < chance
            for one in some:
                if there and (one.chance == 1.0 or rng.random() < one.chance):
                    out[one.name] = one.value(rng)
                elif one.null:
                    out[one.name] = None
        return out


@dataclass(slots=True)
class _Endpoint:
    """A method and a path with an id or none, and what it answers."""

    method: str
    path: str  # `{}` stands for the id
    schema: _Schema
    asked: _Schema | None  # of the request's body
    many: bool  # a list of objects
    typical: float  # ns that it takes
    repeats: bool  # what it names is in its answer

    def exchange(self, rng: random.Random) -> tuple[bytes, bytes, int]:
        """A request, its response, and the time in ns that it takes."""
        number = str(100_000 + rng.getrandbits(30))
        target = self.path.format(number)
        if self.many:
            target += f"?page={1 + int(rng.random() * 40)}&owner={number}"
        token = f"{rng.getrandbits(64):016x}"
        sent = b""
        if self.asked is not None:
            sent = orjson.dumps({"reference": token, **self.asked.fill(rng)})
        status = 201 if self.method == "POST" else 200
        chance = rng.random()
        if chance < 0.012:
            status = (400, 404, 404, 409, 500)[int(chance / 0.012 * 5)]
        if status >= 400:
            told: dict[str, object] = {"code": status, "message": _ERRORS[status]}
            if rng.random() < 0.3:
                told["details"] = [_word(rng) for _ in range(_few(rng))]
            body = orjson.dumps({"error": told})
        elif self.many:
            items = [{"id": rng.getrandbits(30), **self.schema.fill(rng)} for _ in range(_few(rng))]
            body = orjson.dumps({"owner": int(number), "items": items, "next": None})
        else:
            name = {"id": int(number)} if self.repeats and "{}" in self.path else {}
            if self.asked is not None:
                name["reference"] = token  # type: ignore[assignment]
            body = orjson.dumps({**name, **self.schema.fill(rng)})
        wait = int(self.typical * rng.lognormvariate(0.0, 0.6))
        if rng.random() < 0.005:
            wait *= 30
        return _request(self.method, target, token, sent), _response(status, body), wait


def _request(method: str, target: str, token: str, body: bytes) -> bytes:
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: api.internal:{PORT}\r\n"
        f"User-Agent: Go-http-client/1.1\r\nX-Request-Id: {token}\r\n"
    )
    if body:
        head += f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Accept-Encoding: identity\r\n\r\n" + body


def _response(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
    head += "Date: Sun, 15 Jun 2025 15:06:40 GMT\r\n"
    if len(body) <= 2_048:
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    parts = (body[:2_048], body[2_048:])  # as Go does with what is longer than its buffer
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


def service(rng: random.Random, endpoints: int, optional: int) -> list[_Endpoint]:
    """So many endpoints, each with at most so many optional fields."""
    found = []
    for n in range(endpoints):
        round_, noun = divmod(n, len(_NOUNS))
        base = f"/v1/{_NOUNS[noun]}s" + (f"/{_FIELDS[round_ % len(_FIELDS)]}" if round_ else "")
        kind = rng.choice(("one", "one", "many", "post", "sub"))
        path = {"one": f"{base}/{{}}", "sub": f"{base}/{{}}/{rng.choice(_FIELDS)}"}.get(kind, base)
        found.append(
            _Endpoint(
                method="POST" if kind == "post" else "GET",
                path=path,
                schema=_Schema.make(rng, rng.randint(2, 8), rng.randint(optional // 2, optional)),
                asked=_Schema.make(rng, 3, 4, 1) if kind == "post" else None,
                many=kind == "many",
                typical=10 ** rng.uniform(6.0, 7.6),
                repeats=rng.random() < 0.8,
            )
        )
    return found


# --- how it goes over the wire -------------------------------------------------------------


@dataclass(slots=True)
class _Connection:
    """One end-to-end connection, and the records of its packets."""

    client: tuple[int, int]  # address, port
    server: tuple[int, int]
    seq: list[int]  # the next of the client, of the server
    packets: list[Packet] = field(default_factory=list)
    left: int = 0  # requests that it is kept for
    number: int = 0  # of its packets so far, over all connections apart

    def send(self, time: int, side: int, flags: int, payload: bytes = b"") -> None:
        """One packet of the client (0) or the server (1)."""
        source, target = (self.server, self.client) if side else (self.client, self.server)
        stamp = time // 1_000_000 & 0xFFFFFFFF
        tcp = _TCP.pack(
            source[1], target[1], self.seq[side], self.seq[1 - side] if flags & ACK else 0,
            8 << 4, flags, 502, 0, 0, 1, 1, 8, 10, stamp, 0,
        )  # fmt: skip
        length = 20 + len(tcp) + len(payload)
        words = (0x4500 + length + 0x4000 + 0x4006 + (source[0] >> 16) + (source[0] & 0xFFFF)
                 + (target[0] >> 16) + (target[0] & 0xFFFF))  # fmt: skip
        words = (words & 0xFFFF) + (words >> 16)
        words = (words & 0xFFFF) + (words >> 16)
        ip = _IP.pack(0x45, 0, length, 0, 0x4000, 64, 6, ~words & 0xFFFF, source[0], target[0])
        size = 14 + length
        seconds, rest = divmod(time, 1_000_000_000)
        record = _RECORD.pack(seconds, rest, size, size)
        self.packets.append((time, self.number, b"".join((record, _ETHERNET, ip, tcp, payload))))
        self.number += 1
        self.seq[side] = self.seq[side] + len(payload) + bool(flags & (SYN | FIN)) & 0xFFFFFFFF

    def message(self, time: int, side: int, data: bytes) -> int:
        """A message in segments; returns the time of the last."""
        for at in range(0, len(data), MSS):
            last = at + MSS >= len(data)
            self.send(time, side, ACK | PSH if last else ACK, data[at : at + MSS])
            time += 0 if last else GAP
        return time

    def open(self, time: int) -> int:
        """The handshake; returns when the client may ask."""
        self.send(time, 0, SYN)
        self.send(time + 2 * TRIP, 1, SYN | ACK)
        self.send(time + 2 * TRIP + GAP, 0, ACK)
        return time + 2 * TRIP + 2 * GAP

    def close(self, time: int) -> None:
        """The client closes, then the server."""
        self.send(time, 0, FIN | ACK)
        self.send(time + 2 * TRIP, 1, FIN | ACK)
        self.send(time + 2 * TRIP + GAP, 0, ACK)


@dataclass(slots=True)
class _Traffic:
    """All clients; each asks one request at a time."""

    rng: random.Random
    endpoints: list[_Endpoint]
    often: list[float]  # how often each is asked, cumulated
    servers: int
    gave_up: float
    opened: int = 0
    serial: int = 0
    idle: dict[int, _Connection] = field(default_factory=dict)  # by client

    def exchange(self, client: int, time: int) -> tuple[list[Packet], int]:
        """The packets of a client's next exchange, and when it may ask again."""
        rng = self.rng
        connection = self.idle.pop(client, None)
        if connection is None:
            connection = self._connection(client)
            time = connection.open(time)
        which = bisect_left(self.often, rng.random() * self.often[-1])
        request, response, wait = self.endpoints[which].exchange(rng)
        sent = connection.message(time, 0, request)
        connection.left -= 1
        begun = sent + 2 * TRIP + wait
        if rng.random() < self.gave_up:
            end = self._left(connection, sent, begun, response)
        else:
            end = connection.message(begun, 1, response) + GAP
            if len(response) > MSS or rng.random() < 0.5:
                connection.send(end, 0, ACK)
            if connection.left > 0:
                self.idle[client] = connection
            else:
                connection.close(end + GAP)
        packets, connection.packets = connection.packets, []
        return packets, end + TRIP + int(rng.expovariate(1.0 / PAUSE))

    def _left(self, connection: _Connection, sent: int, begun: int, response: bytes) -> int:
        """The client leaves before the response; the server notices, or answers and is reset."""
        left = sent + self.rng.randint(*PATIENCE)
        connection.send(left, 0, FIN | ACK)
        if self.rng.random() < 0.5:
            connection.send(left + 2 * TRIP, 1, FIN | ACK)
            connection.send(left + 2 * TRIP + GAP, 0, ACK)
        else:
            connection.send(left + 2 * TRIP, 1, ACK)
            end = connection.message(max(begun, left + 3 * TRIP), 1, response)
            connection.send(end + GAP, 0, RST)
        return left

    def _connection(self, client: int) -> _Connection:
        rng = self.rng
        self.opened += 1
        server = 0x0A010001 + int(rng.random() * self.servers)
        kept = 1 if rng.random() < SHORT * REQUESTS / 2 / (1 + SHORT * REQUESTS / 2) else 0
        made = _Connection(
            client=(0x0A000010 + client % 20, 20_000 + self.opened % 40_000),
            server=(server, PORT),
            seq=[rng.getrandbits(32), rng.getrandbits(32)],
            left=kept or 1 + int(rng.expovariate(1.0 / REQUESTS)),
        )
        made.number = self.opened << 32
        return made


def packets(traffic: _Traffic, exchanges: int, clients: int) -> Iterator[bytes]:
    """The records of so many exchanges, in the order of time."""
    due = [(BEGIN + traffic.rng.randrange(50_000_000), n) for n in range(clients)]
    heapq.heapify(due)
    waiting: list[Packet] = []
    for n in range(exchanges):
        time, client = heapq.heappop(due)
        found, again = traffic.exchange(client, time)
        waiting += found
        heapq.heappush(due, (again, client))
        if n % 4_096 == 4_095:
            # No packet to come is earlier than the next exchange.
            waiting.sort()
            until = bisect_left(waiting, (due[0][0],))
            yield b"".join(packet[2] for packet in waiting[:until])
            del waiting[:until]
    end = due[-1][0] if due else BEGIN
    for connection in traffic.idle.values():
        connection.close(max(end, max(time for time, _ in due)) + TRIP)
        waiting += connection.packets
    waiting.sort()
    yield b"".join(packet[2] for packet in waiting)


def write(
    out: BinaryIO,
    *,
    exchanges: int,
    endpoints: int = 60,
    optional: int = 24,
    seed: int = 1,
    servers: int = 2,
    clients: int = 48,
    skew: float = 0.5,
    gave_up: float = 0.0,
) -> None:
    """Write a capture (pcap, ns) of an honest service; `skew` is the exponent of Zipf's law."""
    rng = random.Random(seed)
    made = service(rng, endpoints, optional)
    often = list(accumulate(1.0 / (n + 1) ** skew for n in range(endpoints)))
    traffic = _Traffic(rng, made, often, servers, gave_up)
    out.write(_GLOBAL)
    for some in packets(traffic, exchanges, clients):
        out.write(some)


@click.command(help=__doc__)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--exchanges", default=50_000, show_default=True, type=click.IntRange(1))
@click.option("--endpoints", default=60, show_default=True, type=click.IntRange(1, 600))
@click.option("--optional", default=24, show_default=True, help="Optional fields of an endpoint.")
@click.option("--seed", default=1, show_default=True)
@click.option("--servers", default=2, show_default=True, type=click.IntRange(1, 200))
@click.option("--clients", default=48, show_default=True, help="That ask at the same time.")
@click.option("--skew", default=0.5, show_default=True, help="1.5: a few endpoints are hot.")
@click.option("--gave-up", default=0.0, show_default=True, help="Share of requests given up.")
def main(
    out: Path, exchanges: int, endpoints: int, optional: int, seed: int, servers: int,
    clients: int, skew: float, gave_up: float,
) -> None:  # fmt: skip
    """Write the capture."""
    with out.open("wb") as file:
        write(
            file, exchanges=exchanges, endpoints=endpoints, optional=optional, seed=seed,
            servers=servers, clients=clients, skew=skew, gave_up=gave_up,
        )  # fmt: skip


if __name__ == "__main__":
    main()
