"""The incidents of a report in the order in which somebody would want to hear of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.correlate.view import Tables
from analyzer.explain.words import title
from analyzer.findings.model import Confidence, Finding, Kind

_KINDS = (Kind.MISDELIVERED, Kind.UNANSWERED, Kind.INCOMPLETE, Kind.UNSOLICITED)
_CONFIDENCES = (Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE)


@dataclass(frozen=True, slots=True)
class Incident:
    """The findings that judging put together, in the order of time.

    `connections` are the numbers of the judged connections of those who asked, the one that was
    asked first first; `behind` has pairs of one of them and one that a proxy asked for it.
    """

    id: str
    findings: tuple[Finding, ...]
    connections: tuple[int, ...]
    behind: tuple[tuple[int, int], ...] = ()

    @property
    def every(self) -> tuple[int, ...]:
        """All its connections, those behind a proxy too."""
        return tuple(dict.fromkeys((*self.connections, *(back for _, back in self.behind))))

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
    found = []
    for name, its in members.items():
        behind = _behind(its, tables)
        connections = _connections(its, tables, {back: front for front, back in behind})
        found.append(Incident(name, tuple(sorted(its, key=_time)), connections, behind))
    return sorted(found, key=lambda i: (_badness(i.worst), _time(i.findings[0]), i.id))


def repeated(every: Sequence[Incident]) -> list[tuple[Incident, ...]]:
    """Incidents that are the same again (kind, confidence, cause and endpoint) put together.

    They come in the order of their first.
    """
    found: dict[tuple[str, ...], list[Incident]] = {}
    for incident in every:
        worst = incident.worst
        about = worst.request or worst.owner
        endpoint = "" if about is None else about.endpoint
        found.setdefault((worst.kind, worst.confidence, worst.cause, endpoint), []).append(incident)
    return [tuple(group) for group in found.values()]


def _badness(finding: Finding) -> tuple[int, int]:
    return _KINDS.index(finding.kind), _CONFIDENCES.index(finding.confidence)


def _time(finding: Finding) -> int:
    if finding.request is not None:
        return finding.request.time
    return finding.response.time if finding.response is not None else 0


def _behind(findings: list[Finding], tables: Tables) -> tuple[tuple[int, int], ...]:
    """Pairs of judged connections, before a proxy and behind it, on which one request was seen."""
    found: dict[tuple[int, int], None] = {}
    for finding in findings:
        sides: dict[str, list[int]] = {"front": [], "back": []}
        for seen in finding.seen:
            if seen.leg and seen.connection is not None:
                sides[seen.leg].append(judged_of(tables, seen.connection))
        found |= dict.fromkeys((f, b) for f in sides["front"] for b in sides["back"])
    return tuple(found)


def _connections(
    findings: list[Finding], tables: Tables, fronts: dict[int, int]
) -> tuple[int, ...]:
    asked: dict[int, int] = {}
    for finding in findings:
        for what in (finding.owner, finding.request, finding.response):
            if what is not None:
                number = _of_stream(tables, what.connection)
                number = fronts.get(number, number)
                asked[number] = min(asked.get(number, what.time), what.time)
    return tuple(sorted(asked, key=lambda n: (asked[n], n)))


def judged_of(tables: Tables, stream: int) -> int:
    """The number of the judged connection that is the same as the one of a stream."""
    return int(tables.joined.group[_of_stream(tables, stream)])


def _of_stream(tables: Tables, stream: int) -> int:
    """The number of the connection that Wireshark gives this one."""
    return int(np.flatnonzero(tables.connections["stream"] == stream)[0])
