"""What the kernel told of the connections of a finding, and what that makes of its causes.

Law: the wire shows how a connection ended, the kernel whose it was while it hung. A look proves or
excludes a cause only as of its moment: a descriptor must be lost before the response is written, so
that the server owned the connection *after* that excludes it, and before that does not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request
from analyzer.correlate.view import Located
from analyzer.diagnosis.causes import ordered
from analyzer.findings.model import Cause, Fact, Finding, How, Kind, Verdict
from analyzer.sockets import Holder, Listener, Snapshot, Socket, Standing

DESCRIPTOR, SILENT, STOLEN = "server/descriptor", "server/silent", "server/stolen"
_LOST = (Standing.BYSTANDER, Standing.NOBODY)
_OVER = (Standing.CLOSED, Standing.GONE)  # says nothing of the time before
MOST_NAMED = 3  # holders in a sentence


class _Look(NamedTuple):
    snapshot: Snapshot
    socket: Socket


def by_sockets(
    findings: Sequence[Finding],
    snapshots: Sequence[Snapshot],
    frame: Callable[[Located], Frame],
) -> list[Finding]:
    """The findings with what the kernel told of those that waited, in evidence and causes.

    `frame` is `Tables.frame`.
    """
    if not snapshots:
        return list(findings)
    written: dict[str, int] = {}  # by incident: when the last response went astray
    for finding in findings:
        if finding.kind is Kind.MISDELIVERED and finding.response is not None:
            known = written.get(finding.incident, 0)
            written[finding.incident] = max(known, finding.response.time)
    return [_with(one, snapshots, written.get(one.incident, 0), frame) for one in findings]


def _with(
    finding: Finding,
    snapshots: Sequence[Snapshot],
    written: int,
    frame: Callable[[Located], Frame],
) -> Finding:
    waited = _who_waited(finding)
    looks = _looks(waited, snapshots) if waited is not None else []
    if waited is None or not looks:
        return finding
    at = (frame(waited),)
    causes = finding.causes
    lost = next((one for one in looks if one.socket.standing in _LOST), None)
    served = next((one for one in reversed(looks) if one.socket.standing is Standing.SERVER), None)
    last = looks[-1]
    if lost is not None:
        without = "no process that serves there had the connection any more"
        causes = proved(causes, _sentence(lost), at, without)
    elif served is not None and served.snapshot.time >= written:
        causes = _excluded(finding, _sentence(served), at)
    elif last.socket.standing is Standing.UNACCEPTED and finding.kind is Kind.UNANSWERED:
        causes = _unaccepted(causes, _sentence(last), at)
    facts = tuple(Fact(text, at) for text in _sentences(looks))
    return replace(
        finding, causes=causes, cause=causes[0].cause, evidence=(*finding.evidence, *facts)
    )


def _who_waited(finding: Finding) -> Request | None:
    """The request whose connection the finding is about: whoever got no answer of their own."""
    if finding.kind is Kind.UNANSWERED:
        return finding.request
    considered = any(cause.cause == DESCRIPTOR for cause in finding.causes)
    return finding.owner if finding.kind is Kind.MISDELIVERED and considered else None


def _looks(request: Request, snapshots: Sequence[Snapshot]) -> list[_Look]:
    """What was seen of a request's connection while it was open; the first and every change."""
    servers = {request.server, request.inside}
    found: list[_Look] = []
    for snapshot in sorted(snapshots, key=lambda one: one.time):
        if snapshot.time < request.time:
            continue
        for socket in snapshot.sockets:
            names = (*socket.names, (socket.client, socket.server))
            if any(client == request.client and server in servers for client, server in names):
                found.append(_Look(snapshot, socket))
    found = [one for one in found if one.socket.standing not in _OVER]
    # That one was not seen is said only where none ever was.
    return [one for one in found if one.socket.state] or found[:1]


def _sentences(looks: Sequence[_Look]) -> Iterator[str]:
    """What all looks showed; those that showed the same, one after the other, in one sentence."""
    for _, alike in groupby(looks, key=lambda one: (one.socket.standing, one.socket.holders)):
        first, *more = alike
        still = f"; the same still at {_clock(more[-1].snapshot.time)}" if more else ""
        yield _sentence(first) + still


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3] + "Z"


def _sentence(look: _Look) -> str:
    """What one look showed."""
    snapshot, socket = look
    begin = f"at {_clock(snapshot.time)} the kernel was asked whose the waiting connection was"
    match socket.standing:
        case Standing.SERVER:
            serving = [one for one in socket.holders if one.role == "serves"]
            return f"{begin}: {_named(serving)}, which serves on that port"
        case Standing.BYSTANDER:
            because = socket.holders[0].because
            return f"{begin}: only {_named(socket.holders)}; {because}"
        case Standing.UNACCEPTED:
            queue = _queue(socket, snapshot.listeners)
            return f"{begin}: nobody's yet. No process had accepted it{queue}"
        case Standing.NOBODY:
            return f"{begin}: open in the kernel, and among no process's descriptors"
        case _:
            return f"{begin}: {socket.told}"


def _named(holders: Sequence[Holder]) -> str:
    names = [
        f"{one.command} (pid {one.pid}, descriptor {one.descriptor}"
        f"{f', container {one.container}' if one.container else ''})"
        for one in holders[:MOST_NAMED]
    ]
    more = f" and {len(holders) - MOST_NAMED} more" if len(holders) > MOST_NAMED else ""
    return ", ".join(names) + more


def _queue(socket: Socket, listeners: Sequence[Listener]) -> str:
    port = socket.server.rpartition(":")[2]
    fitting = [
        one
        for one in listeners
        if one.namespace == socket.namespace and one.address.rpartition(":")[2] == port
    ]
    if not fitting:
        return ""
    fullest = max(fitting, key=lambda one: one.waiting)
    return f"; {fullest.waiting} wait in the listener's queue, which has room for {fullest.room}"


def proved(
    causes: Sequence[Cause], why: str, at: tuple[Frame, ...], without: str
) -> tuple[Cause, ...]:
    """The server had lost the connection: what takes a process that has it is excluded.

    `without` says why that is.
    """
    found = [Cause(DESCRIPTOR, Verdict.SUPPORTED, why, at)]
    for cause in causes:
        if cause.cause == DESCRIPTOR:
            continue
        if cause.cause.startswith("server/"):
            cause = Cause(cause.cause, Verdict.RULED_OUT, without, at)
        elif cause.verdict is Verdict.SUPPORTED:
            cause = replace(cause, verdict=Verdict.POSSIBLE)
        found.append(cause)
    return tuple(ordered(found))


def _excluded(finding: Finding, why: str, at: tuple[Frame, ...]) -> tuple[Cause, ...]:
    """The server owned the connection: what the wire took for its loss was none."""
    found = [
        Cause(DESCRIPTOR, Verdict.RULED_OUT, why, at) if one.cause == DESCRIPTOR else one
        for one in finding.causes
    ]
    if not any(one.cause == DESCRIPTOR for one in found):
        found.append(Cause(DESCRIPTOR, Verdict.RULED_OUT, why, at))
    was = next((c.verdict for c in finding.causes if c.cause == DESCRIPTOR), Verdict.RULED_OUT)
    if was is Verdict.SUPPORTED:
        # What it was held against is what is left.
        left = STOLEN if any(one.cause == STOLEN for one in finding.causes) else SILENT
        because = f"the process owned the connection while it waited: {why}"
        found = [
            Cause(left, Verdict.SUPPORTED, because, at) if one.cause == left else one
            for one in found
        ]
        if not any(one.cause == left for one in found):
            found.append(Cause(left, Verdict.SUPPORTED, because, at))
    return tuple(ordered(found))


def _unaccepted(causes: Sequence[Cause], why: str, at: tuple[Frame, ...]) -> tuple[Cause, ...]:
    """No process had taken the connection: none lost it, and none answered."""
    found = [Cause(SILENT, Verdict.SUPPORTED, why, at, How.UNACCEPTED)]
    for cause in causes:
        if cause.cause == DESCRIPTOR:
            cause = Cause(DESCRIPTOR, Verdict.RULED_OUT, why, at)
        elif cause.verdict is Verdict.SUPPORTED and cause.cause != SILENT:
            cause = replace(cause, verdict=Verdict.POSSIBLE)
        if cause.cause != SILENT:
            found.append(cause)
    return tuple(ordered(found))
