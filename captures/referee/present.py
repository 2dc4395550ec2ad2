"""What is in a capture at all, by a search for words in the bytes of each direction.

It is no reader of HTTP: what readers are asked for must not hang on one of them. dpkt takes the
packets apart; the first copy of every byte is put in its order, and nothing is made of gaps.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dpkt

_LINKS = {1: dpkt.ethernet.Ethernet, 113: dpkt.sll.SLL, 276: dpkt.sll2.SLL2}
_STATUS = re.compile(rb"HTTP/1\.[01] [2-9]\d\d[ \r]")


@dataclass(frozen=True, slots=True)
class Present:
    """The bytes of every client by ip:port: what it sent, and what it was sent.

    `ports` are those that somebody sent a request to; `first` and `last` the times of the first and
    last frame, in seconds since 1970.
    """

    sent: dict[str, bytes]
    received: dict[str, bytes]
    ports: frozenset[int]
    first: float
    last: float

    def has(self, client: str, method: str, target: str, time: float) -> bool:
        """Whether the first lines of a request, sent at that time, and of a response are there."""
        if not self.first <= time <= self.last:
            return False
        line = f"{method} {target} HTTP/1.".encode("latin-1")
        return line in self.sent.get(client, b"") and bool(
            _STATUS.search(self.received.get(client, b""))
        )


def read(path: Path, clients: set[str]) -> Present:
    """Look through a pcap file (not compressed) for these clients' connections."""
    sent: dict[str, dict[int, bytes]] = defaultdict(dict)
    received: dict[str, dict[int, bytes]] = defaultdict(dict)
    ports = set()
    with path.open("rb") as file:
        reader = dpkt.pcap.Reader(file)
        link = _LINKS[reader.datalink()]
        times = []
        for time, data in reader:
            times.append(float(time))
            found = _segment(link, data)
            if found is None:
                continue
            source, target, port, seq, payload = found
            if source in clients:
                sent[source].setdefault(seq, payload)
                ports.add(port)
            if target in clients:
                received[target].setdefault(seq, payload)
    return Present(_joined(sent), _joined(received), frozenset(ports), min(times), max(times))


def _segment(link: Any, data: bytes) -> tuple[str, str, int, int, bytes] | None:
    try:
        packet = link(data).data
    except (dpkt.UnpackError, ValueError, IndexError):
        return None
    if not isinstance(packet, dpkt.ip.IP) or not isinstance(packet.data, dpkt.tcp.TCP):
        return None
    tcp = packet.data
    if not tcp.data:
        return None
    source, target = (".".join(map(str, address)) for address in (packet.src, packet.dst))
    return f"{source}:{tcp.sport}", f"{target}:{tcp.dport}", tcp.dport, tcp.seq, bytes(tcp.data)


def _joined(pieces: dict[str, dict[int, bytes]]) -> dict[str, bytes]:
    """The bytes by sequence number, from the first one seen on: numbers may pass 2^32."""
    joined = {}
    for client, by_seq in pieces.items():
        first = next(iter(by_seq))
        order = sorted(by_seq, key=lambda seq: (seq - first + (1 << 31)) % (1 << 32))
        joined[client] = b"".join(by_seq[seq] for seq in order)
    return joined
