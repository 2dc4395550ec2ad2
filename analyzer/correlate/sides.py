"""What single packets tell of the path: where a capture was made, and who sent a reset.

Law: a packet that has passed no router still has the TTL (or hop limit) that its sender gave it:
64, 128 or 255 (RFC 1340 and the habits of Linux, Windows and network equipment).
"""

from collections.abc import Iterable
from enum import Enum

from analyzer.second_pass.model import CLIENT, SERVER, Packet

_FRESH = (64, 128, 255)
_RST = 0x04
_STRAY = 200_000_000  # ns that a packet sent before a reset may arrive after it


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


def mac_of(packets: Iterable[Packet], side: int) -> str:
    """The MAC address that a side's packets come from, resets left out; "" unless it is one."""
    found = {p.source_mac for p in packets if p.side == side and not p.flags & _RST}
    return found.pop() if len(found) == 1 else ""


def missed_fin(packets: Iterable[Packet]) -> bool:
    """Whether the client acknowledged more than was captured of the server: its FIN at least."""
    sent = acked = 0
    for packet in packets:
        if packet.flags & _RST:
            continue
        if packet.side == SERVER:
            sent = max(sent, packet.end)
        else:
            acked = max(acked, packet.ack)
    return 0 < sent < acked


def strange_reset(packets: Iterable[Packet], side: int) -> tuple[Packet, str] | None:
    """A reset in a side's name that another host sent, and what shows it.

    It has passed other routers than all else that the side sent, or comes from another MAC address;
    or the side goes on with a connection that whoever sent the reset does not have.
    """
    ttl, mac = ttl_of(packets, side), mac_of(packets, side)
    for packet in packets:
        if packet.side != side or not packet.flags & _RST:
            continue
        if ttl and packet.ttl not in (0, ttl):
            return packet, f"has a TTL of {packet.ttl}, all else from that side {ttl}"
        if mac and packet.source_mac not in ("", mac):
            return packet, f"comes from the MAC address {packet.source_mac}, all else from {mac}"
        later = next((p for p in packets if p.side == side and _goes_on(p, packet)), None)
        if later is not None:
            return packet, "did not end it for that side, which goes on after it"
    return None


def _goes_on(packet: Packet, reset: Packet) -> bool:
    return not packet.flags & _RST and packet.time > reset.time + _STRAY
