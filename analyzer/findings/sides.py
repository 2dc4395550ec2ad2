"""What single packets tell of the path: where a capture was made, and who sent a reset.

Law: a packet that has passed no router still has the TTL (or hop limit) that its sender gave it:
64, 128 or 255 (RFC 1340 and the habits of Linux, Windows and network equipment).
"""

from collections.abc import Iterable
from enum import Enum

from analyzer.closeup.model import CLIENT, SERVER, Packet

_FRESH = (64, 128, 255)
_RST = 0x04


class Side(Enum):
    """Where on its path a connection was captured."""

    CLIENT = "beside the client"
    SERVER = "beside the server"
    BETWEEN = "between client and server"
    UNKNOWN = "unknown"


def side_of(packets: Iterable[Packet]) -> Side:
    """Where a connection was captured, by the routers that its packets had passed."""
    ttls = {CLIENT: ttl_of(packets, CLIENT), SERVER: ttl_of(packets, SERVER)}
    if not ttls[CLIENT] or not ttls[SERVER]:
        return Side.UNKNOWN
    fresh = {who for who, ttl in ttls.items() if ttl in _FRESH}
    return {
        frozenset({CLIENT}): Side.CLIENT,
        frozenset({SERVER}): Side.SERVER,
        frozenset(): Side.BETWEEN,
    }.get(frozenset(fresh), Side.UNKNOWN)


def ttl_of(packets: Iterable[Packet], side: int) -> int:
    """The TTL of a side's packets, resets left out; 0 where they differ or there is none."""
    found = {p.ttl for p in packets if p.side == side and p.ttl and not p.flags & _RST}
    return found.pop() if len(found) == 1 else 0


def strange_reset(packets: Iterable[Packet], side: int) -> Packet | None:
    """A reset in a side's name that has passed other routers than all else that the side sent."""
    usual = ttl_of(packets, side)
    for packet in packets:
        if packet.side == side and packet.flags & _RST and usual and packet.ttl not in (0, usual):
            return packet
    return None
