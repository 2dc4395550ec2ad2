"""Who holds the sockets of connections, now: the kernel's sockets and the processes' descriptors.

Law: within a tenth of a second, nothing is stopped, and what was not seen is not said. A process
serves on a port if it holds the listening socket. One that does not, runs another program than
those that do, and was started by one of them, has come by the connection without being meant to.
All else is unclear: a worker that is handed connections looks like a helper that inherited one.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from ipaddress import ip_address

from analyzer.errors import InputError
from analyzer.sockets import Descriptor, Holder, Listener, Snapshot, Socket, Standing
from analyzer.watch.kernel import STATES, Asked, Known, Place, plain
from analyzer.watch.processes import Process, Processes, namespace_of, sockets_of

PATIENCE = 0.1  # seconds that one look may take
MOST_DESCRIPTORS = 1_000  # of the server's sockets that are listed

# Programs that accept connections and start another one to answer each: what these have started
# answers, and inherited the connection on purpose.
SUPERSERVERS = frozenset(
    {"systemd", "init", "inetd", "xinetd", "tcpserver", "socat", "ncat", "nc", "s6-tcpserver4",
     "s6-ipcserver-so", "tcpsvd", "busybox"}
)  # fmt: skip
_LEAST = 3  # descriptors below it are where such a program's children have theirs (0 to 2)
_OPEN = {1, 8}  # ESTABLISHED, CLOSE-WAIT: no process has closed it


@dataclass(frozen=True, slots=True)
class Wanted:
    """A connection by the addresses it goes by, each (client, server) as `ip:port`."""

    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: at the network of a process or a container alone, or everywhere."""

    pid: int = 0
    container: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """A connection's socket, in which namespace, and by which names."""

    client: str
    server: str
    names: tuple[tuple[str, str], ...]
    known: Known
    namespace: int


def ask(
    wanted: Sequence[Wanted], scope: Scope, moment: str, *, patience: float = PATIENCE
) -> Snapshot:
    """Who holds the servers' sockets of connections.

    Raises InputError where the means to ask are not installed, or the process or container of the
    scope is not there.
    """
    began = time.monotonic()
    deadline = began + patience
    processes = Processes()
    namespaces = _namespaces(processes, scope)
    remarks: list[str] = []
    found: list[_Found] = []
    listeners: list[tuple[int, Known]] = []
    with ExitStack() as stack:
        asked: dict[int, Asked] = {}
        for namespace, pids in namespaces.items():
            if time.monotonic() > deadline:
                remarks.append(_late(patience))
                break
            try:
                own = namespace == namespace_of(os.getpid())
                asked[namespace] = stack.enter_context(Asked(0 if own else pids[0], patience))
            except PermissionError:
                remarks.append("a network namespace may not be entered: it takes root")
            except OSError:
                continue  # it has gone meanwhile
        for one in wanted:
            found += _look_for(one, asked)
        ports = {(f.namespace, f.known.local[1]) for f in found}
        for namespace, port in ports:
            try:
                listeners += [(namespace, known) for known in asked[namespace].listeners(port)]
            except OSError:
                remarks.append(_late(patience))
    table = _Table(processes, namespaces, {f.namespace for f in found})
    table.read(deadline)
    if table.late:
        remarks.append(_late(patience))
    hidden = processes.hidden | table.hidden
    if hidden:
        names = ", ".join(f"{processes.all[pid].command} ({pid})" for pid in sorted(hidden)[:3])
        more = f" and {len(hidden) - 3} more" if len(hidden) > 3 else ""
        remarks.append(
            f"what {names}{more} holds may not be looked at: it takes root, or the capabilities "
            "SYS_PTRACE and SYS_ADMIN"
        )
    told = [_told(one, table, listeners) for one in found]
    there = {(f.client, f.server) for f in found}
    told += [_missing(one, remarks) for one in wanted if not there & set(one.names)]
    serving = {h.pid for _, known in listeners for h in table.holders(known.inode)}
    return Snapshot(
        time=time.time_ns(),
        took=int((time.monotonic() - began) * 1e9),
        moment=moment,
        sockets=tuple(told),
        listeners=tuple(_listener(table, *one) for one in listeners),
        descriptors=tuple(table.descriptors(processes.below(serving)))[:MOST_DESCRIPTORS],
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _late(patience: float) -> str:
    return f"not all was looked at within {patience * 1000:.0f} ms"


def _namespaces(processes: Processes, scope: Scope) -> dict[int, list[int]]:
    every = processes.namespaces()
    if scope.pid:
        chosen = {namespace_of(scope.pid)}
        if not chosen & set(every):
            raise InputError(f"--pid {scope.pid}: no such process, or it may not be looked into")
    elif scope.container:
        pids = [p for p in processes.all.values() if is_container(p, scope.container)]
        chosen = {namespace_of(process.pid) for process in pids}
        if not chosen & set(every):
            raise InputError(f"--container {scope.container}: no process of it is to be seen")
    else:
        return every
    return {namespace: pids for namespace, pids in every.items() if namespace in chosen}


def is_container(process: Process, name: str) -> bool:
    """Whether a process is in the container with that id, or its beginning."""
    container = process.container
    return bool(container and name) and (container.startswith(name) or name.startswith(container))


def place(text: str) -> Place:
    """The address and port of `ip:port`, an IPv6 address in brackets."""
    address, _, port = text.rpartition(":")
    return plain(ip_address(address.strip("[]"))), int(port)


def _look_for(wanted: Wanted, asked: dict[int, Asked]) -> Iterator[_Found]:
    """The server's socket of a connection; two where two namespaces have the same four numbers."""
    seen: set[tuple[int, int]] = set()
    for namespace, kernel in asked.items():
        for client, server in wanted.names:
            try:
                known = kernel.connection(place(server), place(client))
            except (OSError, ValueError):
                continue
            if known is not None and (namespace, known.inode) not in seen:
                seen.add((namespace, known.inode))
                yield _Found(client, server, wanted.names, known, namespace)


def _missing(wanted: Wanted, remarks: Sequence[str]) -> Socket:
    client, server = wanted.names[-1]
    if remarks:
        return Socket(client, server, Standing.UNKNOWN, wanted.names, why=remarks[0])
    why = "no network namespace of this host has it: it was closed, or the server runs elsewhere"
    return Socket(client, server, Standing.GONE, wanted.names, why=why)


class _Table:
    """The sockets among the descriptors of all processes, those of some namespaces first."""

    def __init__(
        self, processes: Processes, namespaces: dict[int, list[int]], first: Iterable[int]
    ) -> None:
        self.processes = processes
        near = [pid for namespace in first for pid in namespaces.get(namespace, ())]
        self._order = list(dict.fromkeys([*near, *processes.all]))
        self._by_inode: dict[int, list[tuple[int, int]]] = {}
        self._by_pid: dict[int, dict[int, int]] = {}
        self.rings: set[int] = set()  # pids
        self.hidden: set[int] = set()  # pids of those that may not be looked into
        self.late = False

    def read(self, deadline: float) -> None:
        """Read them all, or as many as there is time for."""
        for pid in self._order:
            if time.monotonic() > deadline:
                self.late = True
                return
            told = sockets_of(pid)
            if told is None:
                self.hidden.add(pid)
                continue
            self._by_pid[pid], ring = told
            if ring:
                self.rings.add(pid)
            for descriptor, inode in self._by_pid[pid].items():
                self._by_inode.setdefault(inode, []).append((pid, descriptor))

    def holders(self, inode: int) -> list[Holder]:
        """Whose descriptors lead to a socket."""
        return [self._holder(*one) for one in sorted(self._by_inode.get(inode, ()))]

    def _holder(self, pid: int, descriptor: int) -> Holder:
        process = self.processes.all[pid]
        return Holder(
            pid, process.command, descriptor, process.parent, process.container, process.cgroup
        )

    def descriptors(self, pids: Iterable[int]) -> Iterator[Descriptor]:
        """The sockets among the descriptors of some processes."""
        for pid in sorted(pids):
            for descriptor, inode in sorted(self._by_pid.get(pid, {}).items()):
                yield Descriptor(pid, self.processes.all[pid].command, descriptor, inode)


def _listener(table: _Table, namespace: int, known: Known) -> Listener:
    address, port = known.local
    shown = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    holders = tuple(replace(h, role="serves") for h in table.holders(known.inode))
    return Listener(shown, known.waiting, known.room, known.inode, namespace, holders)


def _told(found: _Found, table: _Table, listeners: Sequence[tuple[int, Known]]) -> Socket:
    """A connection's socket with who holds it, and what that makes of it."""
    known = found.known
    serving = {
        holder.pid
        for namespace, listener in listeners
        if namespace == found.namespace and _accepts(listener, known)
        for holder in table.holders(listener.inode)
    }
    holders = tuple(
        _judged(one, serving, table.processes)
        for one in (table.holders(known.inode) if known.inode else ())
    )
    standing, why = _standing(known, holders, serving, table)
    return Socket(
        found.client,
        found.server,
        standing,
        found.names,
        STATES.get(known.state, ""),
        known.inode,
        known.waiting,
        found.namespace,
        holders,
        why,
    )


def _accepts(listener: Known, known: Known) -> bool:
    address, port = listener.local
    return port == known.local[1] and (address.is_unspecified or address == known.local[0])


def _judged(holder: Holder, serving: set[int], processes: Processes) -> Holder:
    """A holder of a connection with what it is to the port: `serving` hold the listener."""
    process = processes.all[holder.pid]
    above = [
        one
        for one in processes.ancestors(holder.pid)
        if one.pid in serving and one.command not in SUPERSERVERS
    ]
    nearest = above[0] if above else None
    other = nearest is not None and bool(process.program and nearest.program)
    other = other and nearest is not None and process.program != nearest.program
    if holder.pid in serving:
        if other:
            why = "it holds the listening socket too, but may have inherited both"
            return replace(holder, role="unclear", because=why)
        return replace(holder, role="serves", because="it holds the listening socket")
    programs = {processes.all[pid].program for pid in serving}
    if nearest is None or not other or process.program in programs:
        why = "it does not listen there, but may be a worker that is handed connections"
        return replace(holder, role="unclear", because=why)
    if holder.descriptor < _LEAST:
        why = "it has the connection as its standard input or output: it may be meant to answer"
        return replace(holder, role="unclear", because=why)
    why = (
        f"it does not listen there; it was started by {nearest.command} (pid {nearest.pid}), which "
        "does, and runs another program"
    )
    return replace(holder, role="bystander", because=why)


def _standing(
    known: Known, holders: Sequence[Holder], serving: set[int], table: _Table
) -> tuple[Standing, str]:
    if not known.inode:
        return (Standing.UNACCEPTED if known.state in _OPEN else Standing.CLOSED), ""
    roles = {holder.role for holder in holders}
    if "serves" in roles:
        return Standing.SERVER, ""
    # By inheritance a socket comes to those below the server alone.
    near = table.hidden & table.processes.below(serving) if serving else table.hidden
    if table.late or near or (table.hidden and not roles):
        return Standing.UNKNOWN, "not every process that may hold it could be looked into"
    if roles == {"bystander"}:
        return Standing.BYSTANDER, ""
    if roles:
        return Standing.UNKNOWN, next(h.because for h in holders if h.role == "unclear")
    if table.rings & serving or not serving:
        return Standing.UNKNOWN, (
            "it is among no process's descriptors, but the server may have registered it with "
            "io_uring"
            if serving
            else "it is among no process's descriptors, and no process listens there"
        )
    return Standing.NOBODY, ""
