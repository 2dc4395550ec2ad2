"""Captures of the kinds of traffic that people have, made without a network.

Law: a kind and a seed give the same bytes, every exchange in it is whole and its own request's,
and bodies and header values differ from one exchange to the next, as real ones do. Packets are
Ethernet, IPv4 and TCP (checksums left to the card, as on a sending host).
"""

from __future__ import annotations

import gzip
import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import flux

EXCHANGES_A_CONNECTION = 500
CONNECTIONS_AT_ONCE = 20
FLUX_BYTES = 1_500  # of an exchange of kind `flux`, at least
_WORDS = ["alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine"]
_WORDS += ["rowan", "spruce", "willow", "yew"]
_OPTIONAL = [f"X-{word.title()}-Info" for word in _WORDS]  # each is there or not


@dataclass(frozen=True)
class Kind:
    """One kind of traffic: how it is sent, and what is said.

    `mss` in bytes; `apart`: head and body in segments of their own; `optional`: 4 to 13 varying
    fields in each head; `alone`: a connection for each exchange; `flux`: fields of bodies that come
    and go, by the generator of that name.
    """

    what: str
    mss: int = 65000
    post: bool = False
    apart: bool = False
    optional: bool = False
    body: str = "json"
    items: int = 8
    alone: bool = False
    pcapng: bool = False
    flux: bool = False


KINDS: dict[str, Kind] = {
    "one-segment": Kind("one segment per message"),
    "mss-1448": Kind("MSS 1448", mss=1448, items=20),
    "mss-8948": Kind("MSS 8948", mss=8948, items=80),
    "posts-apart": Kind("POSTs, head and body apart, MSS 1448", mss=1448, post=True, apart=True),
    "x-fields": Kind("4 to 13 varying X- fields in each head", optional=True),
    "chunked": Kind("chunked", body="chunked"),
    "gzip": Kind("gzip", body="gzip"),
    "html": Kind("HTML pages", body="html"),
    "alone": Kind("a connection for each exchange", alone=True),
    "pcapng": Kind("pcapng", pcapng=True),
    "long": Kind("1 MB bodies, MSS 1448", mss=1448, items=8000),
    "flux": Kind("many endpoints × many optional fields", flux=True),
}


def _object(random_: random.Random, items: int) -> bytes:
    """A JSON body of an order with so many lines, 90 bytes each or so."""
    lines = [
        {
            "sku": f"{random_.choice(_WORDS)}-{random_.randrange(10**6)}",
            "quantity": random_.randrange(1, 40),
            "price": random_.randrange(10**5) / 100,
            "note": " ".join(random_.choices(_WORDS, k=3)),
        }
        for _ in range(random_.randrange(items // 2, items + items // 2 + 1))
    ]
    return json.dumps({"id": random_.randrange(10**9), "paid": random_.random() < 0.5,
                       "lines": lines}).encode()  # fmt: skip


def _page(random_: random.Random, items: int) -> bytes:
    """An HTML page with a table of so many rows."""
    rows = "".join(
        f'<tr class="{random_.choice(_WORDS)}"><td>{random_.randrange(10**6)}</td>'
        f"<td>{' '.join(random_.choices(_WORDS, k=5))}</td></tr>\n"
        for _ in range(items)
    )
    return f"<!doctype html><html><body><table>\n{rows}</table></body></html>".encode()


def _optional(random_: random.Random) -> str:
    chosen = random_.sample(_OPTIONAL, random_.randrange(4, 14))
    return "".join(f"{name}: {random_.getrandbits(48):x}\r\n" for name in sorted(chosen))


def messages(kind: Kind, random_: random.Random) -> tuple[list[bytes], list[bytes]]:
    """A request and its response, each in the parts in which it is written."""
    number, name = random_.randrange(10**6), random_.choice(["orders", "users", "parts", "lots"])
    extra = _optional(random_) if kind.optional else ""
    sent = _object(random_, kind.items) if kind.post else b""
    length = f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n" if sent else ""
    request = (
        f"{'POST' if sent else 'GET'} /api/v1/{name}/{number} HTTP/1.1\r\nHost: shop.example\r\n"
        f"User-Agent: client/1.{random_.randrange(9)}\r\nAccept: */*\r\n{extra}{length}\r\n"
    ).encode()
    said = _page(random_, kind.items) if kind.body == "html" else _object(random_, kind.items)
    media_type = "text/html; charset=utf-8" if kind.body == "html" else "application/json"
    framing = f"Content-Length: {len(said)}\r\n"
    if kind.body == "gzip":
        said = gzip.compress(said, 6, mtime=0)
        framing = f"Content-Encoding: gzip\r\nContent-Length: {len(said)}\r\n"
    elif kind.body == "chunked":
        size = random_.randrange(200, 600)
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        said = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        framing = "Transfer-Encoding: chunked\r\n"
    extra = _optional(random_) if kind.optional else ""
    response = (
        f'HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nETag: W/"{random_.getrandbits(64):x}"'
        f"\r\n{extra}{framing}Date: Wed, 04 Feb 2026 10:{random_.randrange(60):02}:07 GMT\r\n\r\n"
    ).encode()
    if kind.apart:
        return [request, sent], [response, said]
    return [request + sent], [response + said]


class _Connection:
    """The numbers of one connection, and its packets as they are sent."""

    def __init__(self, number: int, random_: random.Random) -> None:
        self.port = 10000 + number % 50000
        self.client = 0x0A000001 + number // 50000
        self.next = [random_.getrandbits(32), random_.getrandbits(32)]

    def packet(self, side: int, flags: int, text: bytes = b"") -> bytes:
        """A segment with the ack of all that the other side has sent."""
        ends = [(self.client, self.port), (0x0A010001, 8080)]
        (source, out), (target, into) = ends[side], ends[1 - side]
        seq, ack = self.next[side], self.next[1 - side] if flags & 16 else 0
        self.next[side] = seq + len(text) + (flags & 3 != 0) & 0xFFFFFFFF
        return (
            b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0"
            + struct.pack(">BBHHHBBHII", 69, 0, 40 + len(text), 0, 0, 64, 6, 0, source, target)
            + struct.pack(">HHIIBBHHH", out, into, seq, ack, 80, flags, 60000, 0, 0)
            + text
        )

    def written(self, side: int, parts: list[bytes], mss: int) -> Iterator[bytes]:
        """The segments of what is written part by part, and the other side's acks."""
        for part in parts:
            for at in range(0, len(part), mss):
                yield self.packet(side, 24, part[at : at + mss])
                if at + mss < len(part) and at // mss % 2:
                    yield self.packet(1 - side, 16)


def packets(kind: Kind, random_: random.Random) -> Iterator[tuple[bytes, int]]:
    """Packets without end, and how many exchanges are whole after each."""
    count = connections = 0
    open_: list[tuple[_Connection, int]] = []
    while True:
        if len(open_) < (1 if kind.alone else CONNECTIONS_AT_ONCE):
            new = _Connection(connections, random_)
            connections += 1
            yield new.packet(0, 2), count
            yield new.packet(1, 18), count
            yield new.packet(0, 16), count
            open_.append((new, 0))
        at = random_.randrange(len(open_))
        connection, done = open_.pop(at)
        request, response = messages(kind, random_)
        for packet in connection.written(0, request, kind.mss):
            yield packet, count
        *most, last = connection.written(1, response, kind.mss)
        for packet in most:
            yield packet, count
        count += 1
        yield last, count
        if kind.alone or done == EXCHANGES_A_CONNECTION:
            for side, flags in ((0, 17), (1, 17), (0, 16)):
                yield connection.packet(side, flags), count
        else:
            open_.append((connection, done + 1))


def _pcap(packet: bytes, time: int) -> bytes:
    seconds, rest = divmod(time, 10**6)
    return struct.pack("<IIII", seconds, rest, len(packet), len(packet)) + packet


def _pcapng(packet: bytes, time: int) -> bytes:
    size = len(packet)
    whole = 32 + size + -size % 4
    head = struct.pack("<IIIIIII", 6, whole, 0, time >> 32, time & 0xFFFFFFFF, size, size)
    return head + packet + bytes(-size % 4) + struct.pack("<I", whole)


def make(kind: Kind, path: Path, size: int, seed: int = 1) -> int:
    """Write a capture of at least `size` bytes, ending behind a response; how many exchanges."""
    if kind.flux:
        count = -(-size // FLUX_BYTES)
        with path.open("wb") as file:
            flux.write(file, exchanges=count, seed=seed)
        return count
    random_ = random.Random(seed)
    wrap: Callable[[bytes, int], bytes] = _pcapng if kind.pcapng else _pcap
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    if kind.pcapng:
        head = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
        head += struct.pack("<IIHHII", 1, 20, 1, 0, 262144, 20)
    with path.open("wb") as file:
        written, before, time = file.write(head), 0, 1_770_000_000_000_000
        for packet, count in packets(kind, random_):
            written += file.write(wrap(packet, time))
            time += 40
            if count > before and written >= size:
                return count
            before = count
    raise AssertionError("packets go on without end")
