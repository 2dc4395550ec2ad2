"""Which captures hold a request at all: the one thing in truth.json that is read from packets."""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import dpkt

# link type -> (length of its header, where it holds the type of what follows)
LINKS = {1: (14, 12), 113: (16, 14), 276: (20, 0)}
IPV4 = b"\x08\x00"


def segments(path: Path) -> Iterator[tuple[str, bytes]]:
    """The sender (`ip:port`) and payload of every TCP segment over IPv4 in a capture."""
    with path.open("rb") as file:
        reader = dpkt.pcap.Reader(file)
        header, kind = LINKS[reader.datalink()]
        for _, frame in reader:
            if frame[kind : kind + 2] != IPV4:
                continue
            packet = frame[header:]
            start = (packet[0] & 15) * 4
            if packet[9] != dpkt.ip.IP_PROTO_TCP or len(packet) < start + 20:
                continue
            tcp = packet[start:]
            payload = tcp[(tcp[12] >> 4) * 4 :]
            if payload:
                host = ".".join(str(byte) for byte in packet[12:16])
                yield f"{host}:{int.from_bytes(tcp[:2], 'big')}", payload


def seen_at(
    captures: Mapping[str, Path], requests: list[Mapping[str, Any]], by_anyone: bool = False
) -> list[list[str]]:
    """For each request, the vantages whose captures hold its first line from its own address.

    Or `by_anyone`: a proxy may have asked in its place.
    """
    lines = [f"{one['method']} {one['target']} HTTP/1.1\r\n".encode() for one in requests]
    senders = {one["client"] for one in requests}
    found: list[list[str]] = [[] for _ in requests]
    for vantage, path in sorted(captures.items()):
        sent: dict[str, list[bytes]] = {sender: [] for sender in senders}
        for sender, payload in segments(path):
            if by_anyone or sender in senders:
                sent.setdefault(sender, []).append(payload)
        for number, one in enumerate(requests):
            payloads = chain(*sent.values()) if by_anyone else sent[one["client"]]
            if any(lines[number] in payload for payload in payloads):
                found[number].append(vantage)
    return found
