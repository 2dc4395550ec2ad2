"""What logs say of findings, held against what the wire has; and what that makes of their causes.

Law: a contradiction is told with the line and the frames. Nothing follows from a line that fits in
two ways, nor from a peer in a log whose peers are not the wire's (behind a proxy or translation).
That a line is missing proves nothing where the log has no lines around it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request
from analyzer.correlate.view import Located, Tables
from analyzer.diagnosis.held import DESCRIPTOR, proved
from analyzer.findings.model import Confidence, Fact, Finding, Kind
from analyzer.logs.clocks import bound
from analyzer.logs.contradictions import Beside, Contradiction, Told
from analyzer.logs.joining import JoinedLog, join
from analyzer.logs.model import Log, LogRow, Side
from analyzer.logs.wired import Wired, acknowledged, exchanges

_WORDS = re.compile(r"[A-Za-z_]+(?: [A-Za-z_]+){0,3}")


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known beside the findings."""

    logs: Sequence[JoinedLog]
    exchanges: Sequence[Wired]
    place: dict[str, int]  # of every exchange, by its id
    frame: Callable[[Located], Frame]

    def row_of(self, log: JoinedLog, exchange: str) -> LogRow | None:
        """The row that was joined to an exchange."""
        at = log.row_at.get(self.place.get(exchange, -1))
        return None if at is None else log.log.rows[at]


def beside(
    findings: Sequence[Finding], logs: Sequence[Log], tables: Tables
) -> tuple[list[Finding], Beside]:
    """The findings with what the logs say of them, and the logs joined to the exchanges."""
    wired = list(exchanges(tables))
    joined = [join(log, wired) for log in logs]
    found, told = by_logs(findings, joined, wired, tables.frame)
    told += beside_findings(
        found,
        joined,
        wired,
        lambda one: acknowledged(tables, one),
        lambda one, which: tables.frame_of(one.row, which),
    )
    return found, Beside(tuple(joined), tuple(told))


def by_logs(
    findings: Sequence[Finding],
    logs: Sequence[JoinedLog],
    wired: Sequence[Wired],
    frame: Callable[[Located], Frame],
) -> tuple[list[Finding], list[Told]]:
    """The findings with what the logs say of them, first in their evidence; and all of that.

    `frame` is `Tables.frame`.
    """
    if not logs:
        return list(findings), []
    case = _Case(logs, wired, {one.exchange: n for n, one in enumerate(wired)}, frame)
    told = [
        [replace(one, finding=finding.id) for one in _contradictions(case, finding)]
        for finding in findings
    ]
    by_incident: dict[str, list[Told]] = {}
    for finding, mine in zip(findings, told, strict=True):
        by_incident.setdefault(finding.incident, []).extend(mine)
    out = [
        _with(finding, mine, by_incident[finding.incident])
        for finding, mine in zip(findings, told, strict=True)
    ]
    return out, [one for mine in told for one in mine]


def _with(finding: Finding, mine: Sequence[Told], incident: Sequence[Told]) -> Finding:
    """A finding with what the logs say of it, and of its incident."""
    proof = next((one for one in incident if one.kind is Contradiction.OTHER_PEER), None)
    considered = any(cause.cause == DESCRIPTOR for cause in finding.causes)
    causes = finding.causes
    if proof is not None and considered:
        without = "the server's log names another connection for the request than its packets do"
        causes = proved(causes, proof.sentence, proof.frames, without)
    sure = {Contradiction.OTHER_PEER, Contradiction.ANSWERED_ELSEWHERE}
    certain = finding.owner is not None and any(one.kind in sure for one in mine)
    facts = tuple(Fact(one.sentence, one.frames) for one in mine)
    return replace(
        finding,
        causes=causes,
        cause=causes[0].cause if causes else finding.cause,
        confidence=Confidence.CERTAIN if certain else finding.confidence,
        evidence=(*facts, *finding.evidence),
    )


def _contradictions(case: _Case, finding: Finding) -> Iterator[Told]:
    for log in case.logs:
        if log.log.side is Side.SERVER:
            yield from _other_peer(case, finding, log)
            yield from _answered(case, finding, log)


def _other_peer(case: _Case, finding: Finding, log: JoinedLog) -> Iterator[Told]:
    """The server took the recipient's request to come from the owner's connection."""
    request, owner, came = finding.request, finding.owner, finding.response
    if not (log.knows_ports and finding.kind is Kind.MISDELIVERED and request and owner and came):
        return
    mine = case.place.get(request.exchange)
    if mine is None or mine in log.row_at:
        return  # the log has it, and from where it came
    others = _clients(case, owner) - _clients(case, request)
    fitting = [
        row
        for n in log.absent
        if (row := log.log.rows[n]).key == (request.method, request.target) and row.peer in others
    ]
    if len(fitting) != 1 or not _by_the_clock(log, fitting[0], case.exchanges[mine]):
        return
    [row] = fitting
    frames = (case.frame(request), case.frame(owner))
    yield Told(
        Contradiction.OTHER_PEER,
        log.log.path,
        (row.line,),
        frames,
        f"the server's log says that {_asked(request)} came from {row.peer} "
        f"({_line(log, row)}); its packets came from {request.client} (frame {frames[0]}). "
        f"{row.peer} is the connection that had asked for {_asked(owner)}: the server's program "
        "took one client's connection for the other's",
    )


def _answered(case: _Case, finding: Finding, log: JoinedLog) -> Iterator[Told]:
    """The server says that it answered a request that got no byte."""
    asked = finding.request if finding.kind is Kind.UNANSWERED else finding.owner
    if asked is None or finding.kind not in (Kind.UNANSWERED, Kind.MISDELIVERED):
        return
    at = case.place.get(asked.exchange)
    if at is None or case.exchanges[at].came:
        return
    row = case.row_of(log, asked.exchange)
    frame = case.frame(asked)
    if row is None:
        if finding.kind is Kind.UNANSWERED and _covers(log, case, at):
            sentence = (
                f"the server's log has no line for {_asked(asked)} of {asked.client} (frame "
                f"{frame}), and has those before and after it"
            )
            yield Told(Contradiction.NEVER_LOGGED, log.log.path, (), (frame,), sentence)
        return
    if not row.status:
        return
    said = f"{row.status}" + ("" if row.length is None else f", {row.length:,} bytes")
    begin = (
        f"the server's log says that it answered {_asked(asked)} to {row.peer or asked.client} "
        f"with {said} ({_line(log, row)}). No byte of an answer went there"
    )
    came = finding.response
    if finding.kind is Kind.UNANSWERED:
        kind = Contradiction.ANSWERED_NOWHERE
        yield Told(kind, log.log.path, (row.line,), (frame,), begin)
    elif (
        came is not None
        and finding.request is not None
        and row.peer
        and (row.status, row.length) == (came.status, came.length)
    ):
        frames = (case.frame(came), frame)
        sentence = (
            f"{begin}: those {came.length:,} bytes went to {finding.request.client} "
            f"(frame {frames[0]})"
        )
        yield Told(Contradiction.ANSWERED_ELSEWHERE, log.log.path, (row.line,), frames, sentence)


def beside_findings(
    findings: Sequence[Finding],
    logs: Sequence[JoinedLog],
    wired: Sequence[Wired],
    acknowledged: Callable[[Wired], bool],
    frame_at: Callable[[Wired, str], Frame],
) -> list[Told]:
    """The contradictions of exchanges that the wire has as they should be."""
    of_findings = {
        one.exchange
        for finding in findings
        for one in (finding.request, finding.owner, finding.response)
        if one is not None
    }
    out: list[Told] = []
    for log in logs:
        for n, m in log.pairs.items():
            row, one = log.log.rows[n], wired[m]
            if one.exchange in of_findings or not one.answered:
                continue
            frames = (frame_at(one, "request"), frame_at(one, "response"))
            what = f"{one.method} {one.target}"
            if row.status and one.status and row.status != one.status:
                sentence = (
                    f"the {log.log.side}'s log has {row.status} for {what} ({_line(log, row)}), "
                    f"the wire {one.status} (frame {frames[1]})"
                )
                out.append(
                    Told(Contradiction.OTHER_STATUS, log.log.path, (row.line,), frames, sentence)
                )
            elif log.log.side is Side.CLIENT and row.error and not row.status and acknowledged(one):
                sentence = (
                    f"the client's log says of {what}: {_error(row)} ({_line(log, row)}). Its host "
                    f"had acknowledged the whole answer, which began in frame {frames[1]}"
                )
                out.append(
                    Told(Contradiction.NOT_READ, log.log.path, (row.line,), frames, sentence)
                )
    return out


def _covers(log: JoinedLog, case: _Case, at: int) -> bool:
    """Whether the log has lines of exchanges before and after one, and misses hardly any."""
    asked = case.exchanges[at].asked
    joined = [case.exchanges[m].asked for m in log.pairs.values()]
    return bool(joined) and min(joined) < asked < max(joined) and not log.ambiguous


def _by_the_clock(log: JoinedLog, row: LogRow, one: Wired) -> bool:
    found = bound(row, log.log.side, one.asked, one.came, one.ended)
    return found is None or log.clock.allows(found)


def _clients(case: _Case, request: Request) -> set[str]:
    at = case.place.get(request.exchange)
    return set() if at is None else set(case.exchanges[at].clients)


def _asked(request: Request) -> str:
    return f"{request.method} {request.target}"


def _line(log: JoinedLog, row: LogRow) -> str:
    return f"{PurePath(log.log.path).name}, line {row.line}"


def _error(row: LogRow) -> str:
    """What a client says instead of a status: a word or two, for longer texts may tell secrets."""
    return row.error if _WORDS.fullmatch(row.error) else "an error"
