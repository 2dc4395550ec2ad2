"""Parts of a capture, cut out by the connections' client ports or by time."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_HEAD = 24  # bytes of a pcap file's header
_ETHERNET, _TCP = 14, 6


class _Record(NamedTuple):
    """A packet as it stands in the file: its time in file units, its TCP ports."""

    time: tuple[int, int]
    ports: frozenset[int]
    data: bytes


def _records(data: bytes) -> Iterator[_Record]:
    """The TCP packets (IPv4 over Ethernet) of a little-endian pcap."""
    at = _HEAD
    while at < len(data):
        seconds, fraction, captured = struct.unpack_from("<III", data, at)
        packet = data[at + 16 : at + 16 + captured]
        ip = packet[_ETHERNET:]
        if packet[12:14] == b"\x08\x00" and ip[9] == _TCP:
            head = 4 * (ip[0] & 15)
            ports = frozenset(struct.unpack_from(">HH", ip, head))
            yield _Record((seconds, fraction), ports, data[at : at + 16 + captured])
        at += 16 + captured


def cut(data: bytes, path: Path, wanted: Callable[[frozenset[int]], bool]) -> Path:
    """A capture of the connections whose ports are `wanted`, written to `path`."""
    chosen = [one.data for one in _records(data) if wanted(one.ports)]
    path.write_bytes(data[:_HEAD] + b"".join(chosen))
    return path


def ports_in_order(data: bytes) -> list[int]:
    """The client ports of the connections, in the order of their first packets."""
    found: dict[int, None] = {}
    for one in _records(data):
        found[max(one.ports)] = None
    return list(found)
