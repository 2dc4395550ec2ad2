"""TCP sockets as the kernel has them, in any network namespace: netlink's sock_diag(7).

Law: one question, one answer. A connection is asked for by its four numbers, never searched for in
a list of all, so that a server with many costs no more than one with few.
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Thread
from types import TracebackType
from typing import Any, NamedTuple

from analyzer.errors import InputError
from analyzer.watch.processes import PROC

# By their numbers in the kernel (include/net/tcp_states.h), the names of RFC 9293.
STATES = {
    1: "ESTABLISHED", 2: "SYN-SENT", 3: "SYN-RECEIVED", 4: "FIN-WAIT-1", 5: "FIN-WAIT-2",
    6: "TIME-WAIT", 7: "CLOSED", 8: "CLOSE-WAIT", 9: "LAST-ACK", 10: "LISTEN", 11: "CLOSING",
    12: "SYN-RECEIVED",
}  # fmt: skip
LISTEN = 10
_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_ANY_COOKIE = 0xFFFFFFFFFFFFFFFF
_CLONE_NEWNET = 0x40000000
_HEADER = struct.Struct("=IHHII")

Address = IPv4Address | IPv6Address
Place = tuple[Address, int]


class Known(NamedTuple):
    """A socket: `waiting` is what the process has not read, or of a listener not accepted."""

    state: int
    local: Place
    remote: Place
    inode: int
    waiting: int
    room: int


class Asked:
    """A netlink socket in one network namespace, that of the process `pid` (0: this one's).

    Raises PermissionError where the namespace may not be entered, and OSError where it has gone.
    """

    def __init__(self, pid: int = 0, patience: float = 0.1) -> None:
        self._socket = _inside(pid)
        self._socket.settimeout(patience)
        self._number = 0

    def __enter__(self) -> "Asked":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def connection(self, local: Place, remote: Place) -> Known | None:
        """The socket of a connection at its end `local`; None: this namespace has none."""
        found = next(self._ask(local, remote, _REQUEST), None)
        # Where there is no such connection the listener answers.
        return found if found is not None and found.state != LISTEN else None

    def listeners(self, port: int) -> list[Known]:
        """The sockets that listen on a port, of IPv4 and of IPv6."""
        found = []
        for none in (IPv4Address(0), IPv6Address(0)):
            asked = self._ask((none, port), (none, 0), _REQUEST | _DUMP, 1 << LISTEN)
            found += [one for one in asked if one.local[1] == port]
        return found

    def _ask(self, local: Place, remote: Place, flags: int, states: int = 0xFFF) -> Iterator[Known]:
        self._number += 1
        self._socket.send(_question(local, remote, flags, states, self._number))
        while True:
            data = self._socket.recv(1 << 16)
            at = 0
            while at + _HEADER.size <= len(data):
                size, kind, _, number, _ = _HEADER.unpack_from(data, at)
                piece, at = data[at : at + size], at + (size + 3 & ~3)
                if number != self._number:
                    continue  # of a question whose answer came too late
                if kind in (_DONE, _ERROR):
                    return
                yield _known(piece)
                if not flags & _DUMP:
                    return


def _question(local: Place, remote: Place, flags: int, states: int, number: int) -> bytes:
    diag = _diag()
    request = diag.inet_diag_req()
    for name, value in (
        ("sdiag_family", socket.AF_INET if local[0].version == 4 else socket.AF_INET6),
        ("sdiag_protocol", socket.IPPROTO_TCP),
        ("idiag_states", states),
        ("idiag_sport", local[1]),
        ("idiag_dport", remote[1]),
        ("idiag_src", _words(local[0])),
        ("idiag_dst", _words(remote[0])),
        ("idiag_cookie", _ANY_COOKIE),
    ):
        request[name] = value
    header = {"type": _BY_FAMILY, "flags": flags, "sequence_number": number}
    request["header"].update(header)
    request.encode()
    return bytes(request.data)


def _known(piece: bytes) -> Known:
    told = _diag().inet_diag_msg(piece)
    told.decode()
    return Known(
        told["idiag_state"],
        (plain(ip_address(told["idiag_src"])), told["idiag_sport"]),
        (plain(ip_address(told["idiag_dst"])), told["idiag_dport"]),
        told["idiag_inode"],
        told["idiag_rqueue"],
        told["idiag_wqueue"],
    )


def plain(address: Address) -> Address:
    """An address of IPv4 that is written as one of IPv6 (RFC 4291 §2.5.5.2), as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _words(address: Address) -> tuple[int, ...]:
    whole = int(address)
    if address.version == 4:
        return whole, 0, 0, 0
    return tuple(whole >> shift & 0xFFFFFFFF for shift in (96, 64, 32, 0))


def _diag() -> Any:
    try:
        from pyroute2.netlink import diag
    except ImportError:
        raise InputError(
            "the kernel cannot be asked for sockets: pip install 'wrangler-forensics[watch]'"
        ) from None
    return diag


def available() -> bool:
    """Whether what it takes to ask is installed. (It takes a moment to load, and is then.)"""
    try:
        _diag()
    except InputError:
        return False
    return True


def _inside(pid: int) -> socket.socket:
    """A netlink socket in the network namespace of a process.

    A socket belongs to the namespace that its thread is in when it is made, for ever (setns(2)).
    The thread that goes there ends there.
    """
    made: list[socket.socket] = []
    wrong: list[OSError] = []

    def make() -> None:
        try:
            if pid:
                where = os.open(f"{PROC}/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    _enter(where)
                finally:
                    os.close(where)
            made.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG))
        except OSError as error:
            wrong.append(error)

    thread = Thread(target=make, name="namespace")
    thread.start()
    thread.join()
    if wrong:
        raise wrong[0]
    return made[0]


def _enter(namespace: int) -> None:
    # os.setns is there from Python 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
