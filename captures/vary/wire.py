"""Changes below HTTP: sizes of segments, addresses and ports, and the pace of it all.

Law: every octet of every stream stays, and so does the order of what was seen.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from captures.vary.packets import FIN, PSH, RST, SYN, Capture, End, Packet, cut, options, room

MSS = 2  # the option's kind (RFC 9293, section 3.7.1)
EPHEMERAL = range(32768, 61000)  # Linux's ports for clients


def fitted(capture: Capture) -> None:
    """Cut the segments that no IPv4 packet could carry any more."""
    if any(one.tcp and len(one.payload) > room(one) for one in capture.packets):
        capture.packets = [
            part for one in capture.packets for part in (cut(one, room(one)) if one.tcp else [one])
        ]


def segmented(capture: Capture, mss: int) -> None:
    """Segments of no more than `mss` octets, and neighbours of one write joined up to that."""
    capture.packets = [
        part
        for one in _joined(capture, mss)
        for part in (cut(_announced(one, mss), mss) if one.tcp else [one])
    ]


def _announced(packet: Packet, mss: int) -> Packet:
    """A SYN that says this MSS."""
    if not packet.has(SYN):
        return packet
    changed = bytearray(packet.options)
    for kind, start, end in options(packet):
        if kind == MSS and end - start == 2:
            changed[start:end] = struct.pack("!H", mss)
    return packet.but(options=bytes(changed))


def _joined(capture: Capture, mss: int) -> Iterator[Packet]:
    """Segments that come one after the other, unpushed, without any of the other side between."""
    waiting: dict[tuple[bytes, End, End], int] = {}
    out: list[Packet | None] = []
    for packet in capture.packets:
        if not packet.tcp:
            out.append(packet)
            continue
        place = capture.place(packet)
        key = (place, packet.source, packet.to)
        waiting.pop((place, packet.to, packet.source), None)
        at = waiting.pop(key, None)
        before = out[at] if at is not None else None
        if before and at is not None and _follows(before, packet, mss):
            out[at] = None
            packet = packet.but(seq=before.seq, payload=before.payload + packet.payload)
        if packet.payload and not packet.flags & (PSH | SYN | FIN | RST):
            waiting[key] = len(out)
        out.append(packet)
    return (one for one in out if one is not None)


def _follows(before: Packet, packet: Packet, mss: int) -> bool:
    return (
        bool(packet.payload)
        and not packet.flags & (SYN | RST)
        and packet.seq == (before.seq + len(before.payload)) % 2**32
        and len(before.payload) + len(packet.payload) <= mss
        and len(before.options) == len(packet.options)
    )


@dataclass(frozen=True, slots=True)
class Addresses:
    """Other addresses, ports and networks; those alike in their first half stay so."""

    seed: int

    def address(self, address: bytes) -> bytes:
        """Another private IPv4 address; loopback and what is not for one host stay."""
        if len(address) != 4 or address[0] in (0, 127) or address[0] >= 224:
            return address
        network = (address[0] * 256 + address[1] + self.seed * 7919) * 40503 % 65536
        host = address[2] * 61 + 29 & 0xFF, address[3] * 37 + 83 & 0xFF
        return bytes((10, network >> 8 ^ network & 0xFF, *host))

    def port(self, port: int) -> int:
        """Another port, ephemeral if it was so."""
        if port in EPHEMERAL:
            first, many, step = EPHEMERAL.start, len(EPHEMERAL), 12347
        else:
            first, many, step = 1024, EPHEMERAL.start - 1024, 7919
            if port >= EPHEMERAL.start or port == 0:
                return port
            if port < 1024:
                port += 1024 * 20  # few are in use, and none up there
        return first + ((port - first) * step + self.seed * 977 + 4021) % many

    def end(self, end: End) -> End:
        """Another address with another port."""
        return self.address(end[0]), self.port(end[1])

    def text(self, text: str) -> str:
        """`address:port` or an address, as truth.json and header fields have it."""
        bare, colon, port = text.partition(":")
        octets = bare.split(".")
        if len(octets) != 4 or not all(one.isdigit() and int(one) < 256 for one in octets):
            return text
        other = ".".join(map(str, self.address(bytes(map(int, octets)))))
        return f"{other}:{self.port(int(port))}" if port.isdigit() else other + colon + port

    def capture(self, capture: Capture) -> None:
        """All TCP packets between other ends."""
        for one in capture.packets:
            if one.tcp:
                one.source, one.to, one.original = self.end(one.source), self.end(one.to), b""


@dataclass(frozen=True, slots=True)
class Pace:
    """Everything so many times as slow, around a first moment (s since 1970)."""

    factor: float
    start: float

    def time(self, time: float, ahead: float = 0.0) -> float:
        """When it happens then, on a clock that is ahead by so many seconds."""
        return self.start + (time - ahead - self.start) * self.factor + ahead

    def capture(self, capture: Capture, ahead: float) -> None:
        """All packets at their new times."""
        origin, shift = round(self.start * 1_000_000), round(ahead * 1_000_000)
        for one in capture.packets:
            away = one.time - shift - origin
            one.time = origin + shift + round(away * self.factor)


def changed_text(value: object, names: Sequence[str], change: Callable[[str], str]) -> object:
    """A JSON value in which the strings under these names are changed."""
    if isinstance(value, dict):
        return {
            name: change(each)
            if name in names and isinstance(each, str)
            else changed_text(each, names, change)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [changed_text(one, names, change) for one in value]
    return value
