"""Packets of a classic pcap file, taken apart as far as a rewriter needs it, and put together.

Law: a packet that nobody changed is written byte for byte as it was read, and so is anything that
is not a whole IPv4 TCP packet. One that was changed gets its lengths and checksums anew.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import zstandard

MAGIC = 0xA1B2C3D4  # microseconds, little-endian: what the lab's tcpdump writes
HEADER, RECORD = struct.Struct("<IHHiIII"), struct.Struct("<IIII")
ETHERNET, SLL2 = 1, 276
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MOST = 65535  # octets of an IPv4 packet

End: TypeAlias = tuple[bytes, int]  # an address and a port
_TCP = struct.Struct("!HHIIHHHH")


class NotACapture(ValueError):
    """A file that is no little-endian pcap with microseconds on Ethernet or SLL2."""


@dataclass(slots=True)
class Packet:
    """A TCP segment, or (with `tcp` false) any other packet, as `rest` alone.

    `time` is in microseconds since 1970; `link` the link layer's header, `ip` the network's,
    `options` those of TCP, `rest` what follows the IP packet (padding of short frames).
    """

    time: int
    link: bytes
    tcp: bool = False
    ip: bytes = b""
    source: End = (b"", 0)
    to: End = (b"", 0)
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    urgent: int = 0
    options: bytes = b""
    payload: bytes = b""
    rest: bytes = b""
    original: bytes = b""  # the record as it was read, if nothing was changed since
    length: int = 0  # of the packet on the wire, where the record has less of it

    def has(self, flags: int) -> bool:
        """Whether all of these flags are set."""
        return self.flags & flags == flags

    @property
    def size(self) -> int:
        """How many sequence numbers it takes."""
        return len(self.payload) + self.has(SYN) + self.has(FIN)

    def but(self, **changes: object) -> "Packet":
        """A changed copy."""
        return replace(self, **{"original": b"", **changes})  # type: ignore[arg-type]


@dataclass(slots=True)
class Capture:
    """A pcap file in memory."""

    link_type: int
    snaplen: int
    packets: list[Packet] = field(default_factory=list)

    def place(self, packet: Packet) -> bytes:
        """Where a packet was seen, if the capture is of several interfaces: `any` has copies."""
        return packet.link[4:8] + packet.link[10:11] if self.link_type == SLL2 else b""


def read(path: Path) -> Capture:
    """Read a capture, compressed with zstd or plain; NotACapture for any other format."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    if len(data) < HEADER.size:
        raise NotACapture(f"{path}: too short for a pcap file")
    magic, _, _, _, _, snaplen, link_type = HEADER.unpack_from(data)
    if magic != MAGIC or link_type not in (ETHERNET, SLL2):
        raise NotACapture(f"{path}: no little-endian pcap with microseconds on Ethernet or SLL2")
    capture = Capture(link_type, snaplen)
    at = HEADER.size
    while at + RECORD.size <= len(data):
        second, micro, kept, length = RECORD.unpack_from(data, at)
        at += RECORD.size
        frame = data[at : at + kept]
        at += kept
        if len(frame) == kept:
            time = second * 1_000_000 + micro
            capture.packets.append(_packet(time, frame, length, link_type))
    return capture


def write(capture: Capture, path: Path) -> None:
    """Write a capture, compressed if the name ends in .zst."""
    out = [HEADER.pack(MAGIC, 2, 4, 0, 0, capture.snaplen, capture.link_type)]
    for one in capture.packets:
        frame = one.original or encoded(one)
        length = max(one.length, len(frame)) if one.original or not one.tcp else len(frame)
        out.append(RECORD.pack(*divmod(one.time, 1_000_000), len(frame), length))
        out.append(frame)
    data = b"".join(out)
    path.write_bytes(zstandard.ZstdCompressor(level=3).compress(data) if _packed(path) else data)


def encoded(packet: Packet) -> bytes:
    """A packet's octets, with lengths and checksums as they have to be."""
    if not packet.tcp:
        return packet.link + packet.rest
    options = packet.options + bytes(-len(packet.options) % 4)
    head = 20 + len(options)
    total = len(packet.ip) + head + len(packet.payload)
    ip = bytearray(packet.ip)
    struct.pack_into("!H", ip, 2, total)
    ip[10:12] = b"\0\0"
    ip[12:20] = packet.source[0] + packet.to[0]
    struct.pack_into("!H", ip, 10, checksum(bytes(ip)))
    ports = packet.source[1], packet.to[1]
    flags = (head // 4) << 12 | packet.flags
    tcp = (*ports, packet.seq, packet.ack, flags, packet.window)
    segment = _TCP.pack(*tcp, 0, packet.urgent) + options + packet.payload
    pseudo = bytes(ip[12:20]) + struct.pack("!HH", 6, len(segment))
    sealed = _TCP.pack(*tcp, checksum(pseudo + segment), packet.urgent)
    return packet.link + bytes(ip) + sealed + segment[20:] + packet.rest


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071."""
    total = int.from_bytes(data + bytes(len(data) % 2), "big")
    return 0xFFFF - (total % 0xFFFF or 0xFFFF if total else 0)


def room(packet: Packet) -> int:
    """How many octets of payload an IPv4 packet with these headers can carry."""
    return MOST - len(packet.ip) - 20 - len(packet.options)


def cut(packet: Packet, most: int) -> Iterable[Packet]:
    """A segment as several of no more than so many octets, one after the other."""
    if len(packet.payload) <= most:
        yield packet
        return
    last = (len(packet.payload) - 1) // most * most
    for at in range(0, len(packet.payload), most):
        yield packet.but(
            seq=(packet.seq + at) % 2**32,
            payload=packet.payload[at : at + most],
            flags=packet.flags if at == last else packet.flags & ~(FIN | PSH),
            rest=b"",
        )


def options(packet: Packet) -> list[tuple[int, int, int]]:
    """Kind, and where the data begins and ends, of each option (RFC 9293, section 3.1)."""
    found, at, data = [], 0, packet.options
    while at < len(data) and data[at] != 0:
        if data[at] == 1:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        if length < 2 or at + length > len(data):
            break
        found.append((data[at], at + 2, at + length))
        at += length
    return found


def first_time(captures: Sequence[Capture]) -> int:
    """The time of the first packet of all."""
    return min((one.time for each in captures for one in each.packets), default=0)


def _packed(path: Path) -> bool:
    return path.suffix == ".zst"


def _packet(time: int, frame: bytes, length: int, link_type: int) -> Packet:
    at, kind = (14, frame[12:14]) if link_type == ETHERNET else (20, frame[0:2])
    while link_type == ETHERNET and kind == b"\x81\x00" and len(frame) >= at + 4:
        at, kind = at + 4, frame[at + 2 : at + 4]
    link, packet = frame[:at], frame[at:]
    other = Packet(time, link, rest=packet, original=frame, length=length)
    if kind != b"\x08\x00" or len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != 6:
        return other
    words = (packet[0] & 15) * 4
    total, _, fragment = struct.unpack_from("!HHH", packet, 2)
    if fragment & 0x3FFF or words < 20 or total < words + 20 or total > len(packet):
        return other
    source, to, seq, ack, flags, window, _, urgent = _TCP.unpack_from(packet, words)
    start = words + (flags >> 12) * 4
    if flags >> 12 < 5 or start > total:
        return other
    return Packet(
        time=time,
        link=link,
        tcp=True,
        ip=packet[:words],
        source=(packet[12:16], source),
        to=(packet[16:20], to),
        seq=seq,
        ack=ack,
        flags=flags & 0xFFF,
        window=window,
        urgent=urgent,
        options=packet[words + 20 : start],
        payload=packet[start:total],
        rest=packet[total:],
        original=frame,
        length=length,
    )
