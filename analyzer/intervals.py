"""Sequence-number arithmetic, the one place where it is done.

TCP sequence numbers are 32 bits and wrap (RFC 9293 §3.4). The distance from `a` to `b` is taken
modulo 2**32 and read as a signed 32-bit number: positive when `b` comes after `a`.
"""

MASK = 0xFFFFFFFF
HALF = 0x80000000


def advance(seq: int, by: int) -> int:
    """The sequence number `by` bytes after `seq`."""
    return (seq + by) & MASK


def distance(a: int, b: int) -> int:
    """How many bytes `b` lies after `a`; negative when before it (RFC 9293 §3.4)."""
    return ((b - a + HALF) & MASK) - HALF


def covers(ack: int, seq: int) -> bool:
    """Whether `ack` acknowledges the byte at `seq`."""
    return distance(seq, ack) > 0
