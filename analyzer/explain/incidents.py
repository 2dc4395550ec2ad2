"""The incidents of a report in the order in which somebody would want to hear of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.explain.words import title
from analyzer.findings.model import Confidence, Finding, Kind
from analyzer.findings.view import Tables

_KINDS = (Kind.MISDELIVERED, Kind.UNANSWERED, Kind.INCOMPLETE, Kind.UNSOLICITED)
_CONFIDENCES = (Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE)


@dataclass(frozen=True, slots=True)
class Incident:
    """The findings that judging put together, in the order of time.

    `connections` are the numbers of the judged connections, the one that was asked first first.
    """

    id: str
    findings: tuple[Finding, ...]
    connections: tuple[int, ...]

    @property
    def worst(self) -> Finding:
        """The finding that says most."""
        return min(self.findings, key=_badness)

    @property
    def headline(self) -> tuple[str, str, int]:
        """Its id, what it is, and when it began (ns since 1970)."""
        return self.id, title(self.findings, self.worst), _time(self.findings[0])


def incidents(findings: Sequence[Finding], tables: Tables) -> list[Incident]:
    """All incidents, the worst first: somebody got another's answer, then nobody got one."""
    members: dict[str, list[Finding]] = {}
    for finding in findings:
        members.setdefault(finding.incident, []).append(finding)
    found = [
        Incident(name, tuple(sorted(its, key=_time)), _connections(its, tables))
        for name, its in members.items()
    ]
    return sorted(found, key=lambda i: (_badness(i.worst), _time(i.findings[0]), i.id))


def _badness(finding: Finding) -> tuple[int, int]:
    return _KINDS.index(finding.kind), _CONFIDENCES.index(finding.confidence)


def _time(finding: Finding) -> int:
    if finding.request is not None:
        return finding.request.time
    return finding.response.time if finding.response is not None else 0


def _connections(findings: list[Finding], tables: Tables) -> tuple[int, ...]:
    asked: dict[int, int] = {}
    for finding in findings:
        for what in (finding.owner, finding.request, finding.response):
            if what is not None:
                number = _of_stream(tables, what.connection)
                asked[number] = min(asked.get(number, what.time), what.time)
    return tuple(sorted(asked, key=lambda n: (asked[n], n)))


def _of_stream(tables: Tables, stream: int) -> int:
    """The number of the connection that Wireshark gives this one."""
    return int(np.flatnonzero(tables.connections["stream"] == stream)[0])
