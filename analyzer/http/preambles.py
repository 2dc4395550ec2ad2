"""What may stand on a connection before its first request: a PROXY header, a SOCKS handshake.

Law: a preamble is read only where it is whole and as its specification has it; anything else is
none. Streams in, sizes out: nothing is kept, and no more than `LONGEST` bytes of a side are looked
at. Sources: the PROXY protocol's specification (HAProxy, versions 1 and 2), SOCKS 4 and 4A, RFC
1928 and RFC 1929.
"""

import re
import struct
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from analyzer.tables import Address

LONGEST = 16_384  # bytes of a side
MOST = 4  # preambles of one connection, one behind the other

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LONGEST_LINE = 107  # bytes of a header of version 1
_LINE = re.compile(
    rb"PROXY (?:UNKNOWN[^\r\n]*"
    rb"|TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) ([0-9]{1,5}) ([0-9]{1,5}))\r\n"
)
_MAPPED = 0xFFFF << 32  # an IPv4 address as IPv6 (RFC 4291 §2.5.5.2)
_TCP_OVER_IPV4, _TCP_OVER_IPV6 = 0x11, 0x21
_CONNECT = 1  # the only command of SOCKS after which the connection itself is used
_NO_AUTHENTICATION, _PASSWORD, _NONE_ACCEPTABLE = 0, 2, 0xFF
_ADDRESS_SIZES = {1: 4, 4: 16}  # of a SOCKS 5 address, by its type; 3 has its own length


class Unread(Enum):
    """Why there is no preamble to tell of."""

    NONE = auto()
    MORE = auto()  # it may be one: more bytes are needed


class Preamble(NamedTuple):
    """A preamble that has come whole: its anomaly's name and its bytes of either side.

    `source` is the client that a PROXY header names: address and port.
    """

    name: str
    of_client: int
    of_server: int
    source: tuple[Address, int] | None = None


class _Short(Exception):
    """More bytes are needed."""


def read(client: bytes, server: bytes, *, from_start: bool) -> Preamble | Unread:
    """The preamble at the start of what either side has sent.

    A SOCKS handshake is none but at the beginning of a connection (`from_start`).
    """
    if not client or len(client) > LONGEST or len(server) > LONGEST:
        return Unread.NONE
    try:
        if client[:12] == _SIGNATURE[: len(client)]:
            return _header(client)
        if client[:6] == b"PROXY "[: len(client)]:
            return _line(client)
        if from_start and client[0] == 4:
            return _socks4(client, server)
        if from_start and client[0] == 5:
            return _socks5(client, server)
    except _Short:
        return Unread.MORE
    return Unread.NONE


def _part(data: bytes, at: int, size: int) -> bytes:
    """`size` bytes at `at`; raises _Short where they have not come."""
    if at + size > len(data):
        raise _Short
    return data[at : at + size]


# --- the PROXY protocol -------------------------------------------------------------------------


def _line(data: bytes) -> Preamble | Unread:
    """Version 1 (§2.1): a line in words."""
    end = data.find(b"\n", 0, _LONGEST_LINE)
    if end < 0:
        return Unread.MORE if len(data) < _LONGEST_LINE else Unread.NONE
    match = _LINE.match(data)
    if match is None:
        return Unread.NONE
    source = None
    if match[1]:
        try:
            address = ip_address(match[2].decode())
        except ValueError:
            return Unread.NONE
        source = _place(address, int(match[4]))
    return Preamble("proxy-header", end + 1, 0, source)


def _header(data: bytes) -> Preamble | Unread:
    """Version 2 (§2.2): binary, with addresses and further values as long as it says."""
    version, family, length = struct.unpack(">BBH", _part(data, 12, 4))
    local = version == 0x20  # the proxy's own, as for a health check
    if version >> 4 != 2 or version & 0x0F > 1 or 16 + length > LONGEST:
        return Unread.NONE
    content = _part(data, 16, length)
    source = None
    if family == _TCP_OVER_IPV4 and not local and length >= 12:
        source = _place(IPv4Address(content[:4]), int.from_bytes(content[8:10], "big"))
    elif family == _TCP_OVER_IPV6 and not local and length >= 36:
        source = _place(IPv6Address(content[:16]), int.from_bytes(content[32:34], "big"))
    return Preamble("proxy-header", 16 + length, 0, source)


def _place(address: IPv4Address | IPv6Address, port: int) -> tuple[Address, int] | None:
    """Address and port as the tables have them; None for a port that cannot be."""
    if not 0 < port < 1 << 16:
        return None
    number = int(address) | (_MAPPED if address.version == 4 else 0)
    return (number >> 64, number & (1 << 64) - 1), port


# --- SOCKS --------------------------------------------------------------------------------------


def _socks4(client: bytes, server: bytes) -> Preamble | Unread:
    """SOCKS 4: a request with a user's name, with 4A a host's; a reply of eight bytes."""
    if _part(client, 1, 1)[0] != _CONNECT:
        return Unread.NONE
    address = _part(client, 4, 4)
    size = _behind_zero(client, 8)
    if address[:3] == bytes(3) and address[3]:
        size = _behind_zero(client, size)
    version, code = _part(server, 0, 2)
    if version or code >> 2 != 0x5A >> 2 or size > 512 + 10:
        return Unread.NONE
    _part(server, 0, 8)
    return Preamble("socks", size, 8)


def _behind_zero(data: bytes, at: int) -> int:
    """Where a string that begins at `at` has ended, with its zero."""
    end = data.find(b"\0", at)
    if end < 0:
        raise _Short
    return end + 1


def _socks5(client: bytes, server: bytes) -> Preamble | Unread:
    """SOCKS 5: methods, a password if that was chosen, a request and its reply (RFC 1928 §3-6)."""
    methods = _part(client, 1, 1)[0]
    if not methods:
        return Unread.NONE
    asked = 2 + len(_part(client, 2, methods))
    version, method = _part(server, 0, 2)
    if version != 5 or method not in (_NO_AUTHENTICATION, _PASSWORD, _NONE_ACCEPTABLE):
        return Unread.NONE
    if method == _NONE_ACCEPTABLE:
        return Preamble("socks", asked, 2)
    answered = 2
    if method == _PASSWORD:  # RFC 1929 §2
        if _part(client, asked, 1) != b"\1":
            return Unread.NONE
        for _ in range(2):
            asked += 1 + _part(client, asked + 1, 1)[0]
        asked = len(_part(client, 0, asked + 1))
        status = _part(server, answered, 2)[1]
        answered += 2
        if status:
            return Preamble("socks", asked, answered)
    version, command = _part(client, asked, 2)
    if version != 5 or command != _CONNECT:
        return Unread.NONE
    asked = _behind_address(client, asked + 3)
    version, refused = _part(server, answered, 2)
    if version != 5 or refused > 8:
        return Unread.NONE
    return Preamble("socks", asked, _behind_address(server, answered + 3))


def _behind_address(data: bytes, at: int) -> int:
    """Where an address (its type stands at `at`) and its port have ended (RFC 1928 §5)."""
    kind = _part(data, at, 1)[0]
    size = _ADDRESS_SIZES.get(kind)
    if size is None:
        size = 1 + _part(data, at + 1, 1)[0]
    _part(data, at + 1, size + 2)
    return at + 1 + size + 2
