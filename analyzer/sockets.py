"""Who held the sockets of connections at one moment, as a kernel and its processes told it.

Law: facts, and one word for each socket that says no more than they do. Where something could not
be seen, or may be read in two ways, the word is `unknown` and `why` says what is missing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Standing(StrEnum):
    """What became of a server's socket: its name in JSON. MEANINGS says it in words."""

    SERVER = "server"
    BYSTANDER = "bystander"
    UNACCEPTED = "unaccepted"
    NOBODY = "nobody"
    CLOSED = "closed"
    GONE = "gone"
    UNKNOWN = "unknown"


MEANINGS: dict[Standing, str] = {
    Standing.SERVER: "held by a process that serves on that port",
    Standing.BYSTANDER: "held only by a process that neither accepts nor answers on that port",
    Standing.UNACCEPTED: "in the listener's queue: no process had accepted it yet",
    Standing.NOBODY: "open in the kernel, and among the descriptors of no process",
    Standing.CLOSED: "closed by every process; the kernel was ending it",
    Standing.GONE: "no longer known to the kernel",
    Standing.UNKNOWN: "not known",
}


@dataclass(frozen=True, slots=True)
class Holder:
    """A descriptor that leads to a socket, and whose it is.

    `command` and `cgroup` are as the kernel has them (any bytes, decoded with backslashes). `role`
    is `serves`, `bystander` or `unclear`; `because` says why.
    """

    pid: int
    command: str
    descriptor: int
    parent: int = 0
    container: str = ""  # the first 12 digits of its id
    cgroup: str = ""
    role: str = "unclear"
    because: str = ""


@dataclass(frozen=True, slots=True)
class Socket:
    """The server's socket of a connection; `client` and `server` are `ip:port` as it has them.

    `names` are all pairs of them that the connection goes by: translation makes others.
    """

    client: str
    server: str
    standing: Standing
    names: tuple[tuple[str, str], ...] = ()
    state: str = ""  # of TCP, by its name in RFC 9293
    inode: int = 0
    unread: int = 0  # bytes that came and were not read by the process
    namespace: int = 0  # the inode of the network namespace
    holders: tuple[Holder, ...] = ()
    why: str = ""

    @property
    def told(self) -> str:
        """What it is, for a person."""
        text = MEANINGS[self.standing]
        return f"{text}: {self.why}" if self.why else text


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket: `waiting` connections of `room` are complete and not accepted."""

    address: str
    waiting: int
    room: int
    inode: int
    namespace: int = 0
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A socket among the descriptors of a serving process, or of a process below it."""

    pid: int
    command: str
    descriptor: int
    inode: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was to be seen at `time` (ns since 1970); it took `took` ns.

    `moment` is why it was taken. `closed` has those descriptors of an earlier one that were gone.
    """

    time: int
    took: int
    moment: str = ""
    sockets: tuple[Socket, ...] = ()
    listeners: tuple[Listener, ...] = ()
    descriptors: tuple[Descriptor, ...] = ()
    closed: tuple[Descriptor, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON types."""
        return asdict(self)


def closed_since(earlier: Snapshot, later: Snapshot) -> tuple[Descriptor, ...]:
    """The sockets among the descriptors of the earlier snapshot that the later one has no more.

    None where either has none at all: then it was not looked, or nobody was left.
    """
    if not later.descriptors:
        return ()
    left = set(later.descriptors)
    return tuple(one for one in earlier.descriptors if one not in left)


def from_dict(told: Mapping[str, Any]) -> Snapshot:
    """What `Snapshot.as_dict` made. Raises KeyError, TypeError or ValueError for anything else."""
    return Snapshot(
        time=int(told["time"]),
        took=int(told["took"]),
        moment=str(told.get("moment", "")),
        sockets=tuple(_socket(one) for one in told.get("sockets", ())),
        listeners=tuple(
            Listener(**{**one, "holders": _holders(one)}) for one in told.get("listeners", ())
        ),
        descriptors=tuple(Descriptor(**one) for one in told.get("descriptors", ())),
        closed=tuple(Descriptor(**one) for one in told.get("closed", ())),
        remarks=tuple(map(str, told.get("remarks", ()))),
    )


def _socket(told: Mapping[str, Any]) -> Socket:
    standing = Standing(told["standing"])
    names = tuple((str(client), str(server)) for client, server in told.get("names", ()))
    return Socket(**{**told, "standing": standing, "names": names, "holders": _holders(told)})


def _holders(told: Mapping[str, Any]) -> tuple[Holder, ...]:
    return tuple(Holder(**one) for one in told.get("holders", ()))
