"""Crafts TCP conversations packet by packet, and writes packets as captures.

A conversation keeps the sequence numbers; what is sent with `captured=False` happened on the wire
and is missing in the capture. Frames are IP packets: the link header comes with the file.
"""

import json
import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = 0, 1
ETHERNET, NULL, LOOP, RAW, IPV4_ONLY, COOKED, COOKED2 = 1, 0, 108, 101, 228, 113, 276
MILLISECOND, SECOND = 1_000_000, 1_000_000_000
START = 1_700_000_000 * SECOND

Place = tuple[str, int]


class Frame(NamedTuple):
    """An IP packet and when it passed; `wire` is its length on the wire where it was cut."""

    time: int
    packet: bytes
    wire: int = 0


def packet(
    source: Place,
    target: Place,
    seq: int,
    ack: int = 0,
    flags: int = ACK,
    payload: bytes = b"",
    *,
    window: int = 64_000,
    ip_options: bytes = b"",
    tcp_options: bytes = b"",
    extensions: Sequence[tuple[int, bytes]] = (),
    length_zero: bool = False,
    fragment: int = 0,
) -> bytes:
    """An IP packet with a TCP segment.

    `extensions` are IPv6 headers as (kind, bytes after the next header's), `fragment` is the flags
    and offset word of IPv4.
    """
    offset = (20 + len(tcp_options)) // 4 << 4
    numbers = seq & 0xFFFFFFFF, ack & 0xFFFFFFFF
    segment = struct.pack(">HHIIBBHHH", source[1], target[1], *numbers, offset, flags, window, 0, 0)
    segment += tcp_options + payload
    one, two = ip_address(source[0]), ip_address(target[0])
    if one.version == 4:
        size = 20 + len(ip_options)
        total = 0 if length_zero else size + len(segment)
        head = struct.pack(">BBHHHBBH", 0x40 | size // 4, 0, total, 1, fragment, 64, 6, 0)
        return head + one.packed + two.packed + ip_options + segment
    kinds = [kind for kind, _ in extensions] + [6]
    chain = b"".join(
        bytes([following]) + rest
        for (_, rest), following in zip(extensions, kinds[1:], strict=True)
    )
    total = 0 if length_zero else len(chain) + len(segment)
    head = struct.pack(">IHBB", 6 << 28, total, kinds[0], 64)
    return head + one.packed + two.packed + chain + segment


class Conversation:
    """One TCP connection as it happens; `frames` is what the capture has of it."""

    def __init__(
        self,
        client: Place = ("10.0.0.1", 40_000),
        server: Place = ("10.0.0.2", 8080),
        *,
        isns: tuple[int, int] = (1_000, 500_000),
        start: int = START,
        step: int = MILLISECOND,
    ) -> None:
        self.ends = (client, server)
        self.next = [isns[0], isns[1]]
        self.time = start
        self.step = step
        self.frames: list[Frame] = []

    def send(
        self,
        side: int,
        payload: bytes = b"",
        flags: int = ACK,
        *,
        seq: int | None = None,
        ack: int | None = None,
        captured: bool = True,
        **header: Any,
    ) -> Frame:
        """One segment of `side`, in sequence unless `seq` says otherwise."""
        self.time += self.step
        begins = self.next[side] if seq is None else seq
        acks = self.next[1 - side] if ack is None else ack
        whole = packet(
            self.ends[side],
            self.ends[1 - side],
            begins,
            acks if flags & ACK else 0,
            flags,
            payload,
            **header,
        )
        if seq is None:
            self.next[side] += len(payload) + bool(flags & SYN) + bool(flags & FIN)
        frame = Frame(self.time, whole)
        if captured:
            self.frames.append(frame)
        return frame

    def open(self, *, captured: bool = True) -> "Conversation":
        """The handshake."""
        self.send(CLIENT, flags=SYN, captured=captured)
        self.send(SERVER, flags=SYN | ACK, captured=captured)
        self.send(CLIENT, captured=captured)
        return self

    def say(
        self, side: int, data: bytes, size: int = 0, *, captured: bool = True
    ) -> "Conversation":
        """`data` in segments of `size` bytes (0: one), acknowledged at the end."""
        size = size or len(data) or 1
        for at in range(0, len(data), size):
            self.send(side, data[at : at + size], ACK | PSH, captured=captured)
        self.send(1 - side)
        return self

    def ask(self, data: bytes, size: int = 0) -> "Conversation":
        """The client sends `data`."""
        return self.say(CLIENT, data, size)

    def answer(self, data: bytes, size: int = 0) -> "Conversation":
        """The server sends `data`."""
        return self.say(SERVER, data, size)

    def wait(self, duration: int) -> "Conversation":
        """Nothing happens for `duration` ns."""
        self.time += duration
        return self

    def fin(self, side: int) -> "Conversation":
        """A side closes its half, and the other host acknowledges that."""
        self.send(side, flags=FIN | ACK)
        self.send(1 - side)
        return self

    def close(self, first: int = CLIENT) -> "Conversation":
        """Both sides close."""
        self.fin(first)
        return self.fin(1 - first)

    def reset(self, side: int) -> "Conversation":
        """A side resets the connection."""
        self.send(side, flags=RST | ACK)
        return self


def in_time(*parts: Iterable[Frame]) -> list[Frame]:
    """The frames of several conversations as one capture would have them."""
    return sorted((frame for part in parts for frame in part), key=lambda f: f.time)


# --- HTTP --------------------------------------------------------------------------------------


def request(
    target: str, method: str = "GET", *, body: bytes = b"", fields: str = "", version: str = "1.1"
) -> bytes:
    """A request; a body brings its Content-Length, `fields` are further lines with CRLF."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} {target} HTTP/{version}\r\nHost: api.example\r\n{length}{fields}\r\n"
    return head.encode("latin-1") + body


def response(
    body: bytes = b"",
    status: int = 200,
    *,
    fields: str = "Content-Type: application/json\r\n",
    length: int | None = None,
    version: str = "1.1",
) -> bytes:
    """A response with a Content-Length (`length` says another than the body's)."""
    size = len(body) if length is None else length
    head = f"HTTP/{version} {status} Said\r\n{fields}Content-Length: {size}\r\n\r\n"
    return head.encode("latin-1") + body


def as_json(value: object) -> bytes:
    """A JSON body."""
    return json.dumps(value).encode()


# --- files -------------------------------------------------------------------------------------


def linked(
    packet_bytes: bytes, link_type: int, *, vlans: Sequence[int] = (), scope: int = 1
) -> bytes:
    """The packet behind a link header, with VLAN tags of these types."""
    family = 0x86DD if packet_bytes[:1] >= b"\x60" else 0x0800
    kinds = [*vlans, family]
    tags = b"".join(struct.pack(">HH", 7, following) for following in kinds[1:])
    first = struct.pack(">H", kinds[0])
    if link_type == ETHERNET:
        return bytes(range(12)) + first + tags + packet_bytes
    if link_type == COOKED:
        return struct.pack(">HHH8s", 0, 1, 6, bytes(8)) + first + tags + packet_bytes
    if link_type == COOKED2:
        return first + struct.pack(">HIHBB8s", 0, scope, 1, 0, 6, bytes(8)) + tags + packet_bytes
    if link_type in (NULL, LOOP):
        number = 2 if family == 0x0800 else 30
        return struct.pack("<I" if link_type == NULL else ">I", number) + packet_bytes
    return packet_bytes


def pcap(
    frames: Iterable[Frame],
    *,
    link_type: int = ETHERNET,
    order: str = "<",
    nanoseconds: bool = False,
    snaplen: int = 262_144,
    vlans: Sequence[int] = (),
) -> bytes:
    """A classic pcap file."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1_000)
    parts = [struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, snaplen, link_type)]
    for frame in frames:
        data = linked(frame.packet, link_type, vlans=vlans)
        wire = len(data) - len(frame.packet) + (frame.wire or len(frame.packet))
        seconds, rest = divmod(frame.time, SECOND)
        data = data[:snaplen]
        parts.append(struct.pack(f"{order}IIII", seconds, rest // unit, len(data), wire) + data)
    return b"".join(parts)


class Pcapng:
    """A pcapng file, block by block; `data` is the file so far."""

    def __init__(self, order: str = "<", *, options: dict[int, bytes] | None = None) -> None:
        self.data = b""
        self.section(order, options=options)

    def block(self, kind: int, body: bytes) -> "Pcapng":
        """Any block."""
        body += bytes(-len(body) % 4)
        length = len(body) + 12
        self.data += struct.pack(f"{self.order}II", kind, length) + body
        self.data += struct.pack(f"{self.order}I", length)
        return self

    def section(self, order: str = "<", *, options: dict[int, bytes] | None = None) -> "Pcapng":
        """A section header; option 1 is a comment."""
        self.order = order
        body = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)
        return self.block(0x0A0D0D0A, body + self._options((options or {}).items()))

    def _options(self, options: Iterable[tuple[int, bytes]]) -> bytes:
        parts = [
            struct.pack(f"{self.order}HH", code, len(value)) + value + bytes(-len(value) % 4)
            for code, value in options
        ]
        if not parts:
            return b""
        return b"".join(parts) + bytes(4)

    def interface(
        self,
        link_type: int = ETHERNET,
        *,
        snaplen: int = 0,
        options: dict[int, bytes] | None = None,
    ) -> "Pcapng":
        """An interface description; options 1 comment, 2 name, 9 if_tsresol, 14 if_tsoffset."""
        body = struct.pack(f"{self.order}HHI", link_type, 0, snaplen)
        return self.block(1, body + self._options((options or {}).items()))

    def enhanced(
        self,
        data: bytes,
        *,
        interface: int = 0,
        ticks: int = 0,
        wire: int | None = None,
        comments: Sequence[bytes] = (),
    ) -> "Pcapng":
        """An enhanced packet block."""
        size = len(data) if wire is None else wire
        head = struct.pack(
            f"{self.order}IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), size
        )
        options = self._options((1, comment) for comment in comments)
        return self.block(6, head + data + (bytes(-len(data) % 4) + options if options else b""))

    def obsolete(self, data: bytes, *, interface: int = 0, ticks: int = 0) -> "Pcapng":
        """The packet block of old."""
        head = struct.pack(
            f"{self.order}HHIIII",
            interface,
            0,
            ticks >> 32,
            ticks & 0xFFFFFFFF,
            len(data),
            len(data),
        )
        return self.block(2, head + data)

    def simple(self, data: bytes, *, wire: int | None = None) -> "Pcapng":
        """A simple packet block, which has no time."""
        size = len(data) if wire is None else wire
        return self.block(3, struct.pack(f"{self.order}I", size) + data)

    def statistics(self, *, interface: int = 0, dropped: int = 0, by_system: int = 0) -> "Pcapng":
        """Interface statistics with drop counters."""
        head = struct.pack(f"{self.order}III", interface, 0, 0)
        counters = {5: dropped, 7: by_system}
        options = {code: struct.pack(f"{self.order}Q", n) for code, n in counters.items()}
        return self.block(5, head + self._options(options.items()))


def pcapng(frames: Iterable[Frame], *, order: str = "<", link_type: int = ETHERNET) -> bytes:
    """A pcapng file with one interface and times in ns."""
    file = Pcapng(order).interface(link_type, options={9: b"\x09"})
    for frame in frames:
        file.enhanced(linked(frame.packet, link_type), ticks=frame.time)
    return file.data
