"""What the second look puts out: packets and messages of one connection at one vantage."""

from dataclasses import dataclass
from typing import NamedTuple

CLIENT, SERVER = 0, 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept of all wanted connections together; each gets an equal share."""

    packets: int = 200_000
    bytes: int = 64 << 20  # of bodies and heads
    least_packets: int = 64  # of one connection, whatever its share


@dataclass(frozen=True, slots=True)
class Wanted:
    """A connection to look at: its row number in CONNECTIONS, and what tells its packets.

    `client` and `server` are addresses (128 bits in two words) with ports, `interface` is the
    number of the interface, `first` the id of its first frame (capture index << 32 | number).
    `since` and `until` (ns since 1970) limit what is kept.
    """

    number: int
    client: tuple[int, int, int]
    server: tuple[int, int, int]
    interface: int
    first: int
    since: int | None = None
    until: int | None = None


class Packet(NamedTuple):
    """One TCP segment as it was captured.

    `seq` and `ack` are relative as Wireshark shows them (the SYN is 0, the first byte 1), but do
    not wrap; where no SYN was seen, the first number is 1. `length` is the payload on the wire,
    `captured` what the capture has of it, in bytes. `again`: all of it had been seen before, a
    retransmission; `probe`: a keep-alive (RFC 9293 §3.8.4). MAC addresses are the frame's own, ""
    where its link header has none; `ttl` and `ip_id` are the innermost IP header's (hop limit, and
    None, for IPv6); `stamp` and `echo` are the TCP timestamp option's (RFC 7323), None without one.
    """

    capture: int  # index of the file
    frame: int  # as Wireshark counts
    interface: int
    time: int  # ns since 1970
    side: int  # who sent it: CLIENT or SERVER
    seq: int
    ack: int  # 0 without the ACK flag
    flags: int  # as in the header (RFC 9293 §3.1)
    window: int  # as in the header, not scaled
    length: int
    captured: int
    again: bool
    probe: bool
    source_mac: str
    target_mac: str
    ttl: int
    ip_id: int | None
    stamp: int | None
    echo: int | None

    @property
    def end(self) -> int:
        """The relative sequence number behind its last byte; SYN and FIN count as one."""
        return self.seq + self.length + (self.flags >> 1 & 1) + (self.flags & 1)


class Extra(NamedTuple):
    """Bytes behind a response's end that begin no message: where they begin, and the first ones."""

    capture: int
    frame: int
    time: int  # ns since 1970
    ack: int  # as in `Packet`
    begins: bytes


class Place(NamedTuple):
    """Where a message begins: the id of its frame, the number of its first byte, and its sender.

    `method` is that of the request that a response answers.
    """

    frame: int
    seq: int
    side: int
    method: bytes = b""


@dataclass(frozen=True, slots=True)
class Message:
    """A request (sent by the CLIENT) or a response; places are those of first and last byte.

    `exchange` is alike for a request and the response that was read as its answer. `seq`, `ack`
    and `end` are relative as in `Packet`; `end` is 0 where the last byte was not seen. `body` has
    no transfer and content coding any more; None when it was not kept, or is damaged.
    `length` counts its bytes without transfer coding. `outcome` and `flags` are the exchange's
    (`tables.Outcome`, `tables.Flag`). `begins` are the first bytes of what is no message: a part of
    a head, or no HTTP at all; `extra` is what came behind a response's end.
    """

    side: int
    exchange: int
    outcome: int
    flags: int
    method: str
    target: bytes
    status: int  # 0: a request
    capture: int
    frame: int
    time: int
    end_frame: int  # 0: not complete
    end_time: int
    seq: int
    end: int
    ack: int
    headers: tuple[tuple[str, str], ...]  # names as sent, both as Latin-1
    media_type: str
    body: bytes | None
    length: int
    complete: bool
    begins: bytes = b""
    extra: Extra | None = None

    def header(self, name: str) -> str | None:
        """The first value of the header `name` (in any case), or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


@dataclass(frozen=True, slots=True)
class Reread:
    """One connection at one vantage, as the second look saw it; both lists in capture order.

    `bases` are the sequence numbers of client and server that count as 0: a number of the tables is
    `intervals.advance(base, relative)`. The `_left_out` counts say what the limits kept away.
    """

    number: int
    interface: int
    packets: tuple[Packet, ...]
    messages: tuple[Message, ...]
    bases: tuple[int, int]
    packets_left_out: int = 0
    messages_left_out: int = 0
    bodies_left_out: int = 0
