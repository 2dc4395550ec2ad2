"""The one result that every renderer renders: what `analyzer.scan` returns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyzer import compiled, limits
from analyzer.anomalies import FATES, Anomalies
from analyzer.baselines.prior import Fit
from analyzer.capture.frames import Capture
from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request, Response
from analyzer.correlate.view import Tables
from analyzer.declined import Declined
from analyzer.explain.overviews import Overview
from analyzer.findings.model import Cause, Fact, Finding, Judgement, Kind, Seen, Weighed
from analyzer.report.comments import comments
from analyzer.report.coverage import Coverage, coverage
from analyzer.report.escape import rfc3339, visible, well_formed
from analyzer.report.opinions import Marks

if TYPE_CHECKING:
    import pandas

    from analyzer.logs.contradictions import Beside

SCHEMA = 1
MOST_INTERFACES = 1_000  # listed of one capture
MOST_STRETCHES = 100  # listed of one log's clock


@dataclass
class Verified:
    """What checking the findings' frames against the captures came to (see `verification`)."""

    frames: int = 0
    failures: list[str] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)  # of every capture


@dataclass(frozen=True, slots=True)
class Source:
    """A file of what was known before: its path, and how much is behind it."""

    path: str
    exchanges: int
    endpoints: int


@dataclass(frozen=True, slots=True)
class Basis:
    """What was known before the captures were read.

    `servers` says what the baselines together know of each server, the documents' `stated` what
    each of them does.
    """

    baselines: tuple[Source, ...] = ()
    documents: tuple[Source, ...] = ()
    servers: tuple[Fit, ...] = ()
    stated: tuple[tuple[Fit, ...], ...] = ()


@dataclass(repr=False)
class Report:
    """What a scan found. `findings`, `exchanges` and `endpoints` are pandas frames.

    Their columns and dtypes are in `analyzer.report.columns`. `tell` makes the overview of
    incidents, which reports don't make themselves.
    """

    captures: list[Capture]
    anomalies: Anomalies  # of connections and messages; those of frames are in `captures`
    judgement: Judgement
    tables: Tables
    tell: Callable[[Sequence[Finding], Tables, int], Overview]
    verified: Verified | None = None
    basis: Basis | None = None
    logs: "Beside | None" = None
    marks: Marks = field(default_factory=dict)  # what people said of incidents
    declined: Declined = field(default_factory=Declined)  # what was read exchange by exchange

    @property
    def partial(self) -> bool:
        """Whether the scan was ended before its captures were read to their ends."""
        return any(capture.partial for capture in self.captures)

    @cached_property
    def coverage(self) -> Coverage:
        """How many exchanges were judged, and why the others were not."""
        return coverage(self.judgement, self.tables.left_out, self.anomalies, self.captures)

    @property
    def nothing_judged(self) -> bool:
        """Whether the captures have nothing that could be judged: no finding then means nothing."""
        return not self.coverage.judged and not self.judgement.findings

    @property
    def totals(self) -> dict[str, int | float]:
        """The counts that the report begins with."""
        judged = self.judgement
        return {
            "frames": sum(capture.frames for capture in self.captures),
            "connections": judged.connections,
            "requests": judged.requests,
            "judged": self.coverage.judged,
            "answered": judged.answered,
            "unanswered": judged.unanswered,
            "nameless": judged.nameless,
            "findings": len(judged.findings),
            "undecided": judged.undecided_total,
            "expected_false": judged.expected_false,
        }

    @cached_property
    def findings(self) -> "pandas.DataFrame":
        """The findings, a row each; columns as in `columns.FINDING_COLUMNS`."""
        from analyzer.report import dataframes

        return dataframes.findings(self)

    @cached_property
    def endpoints(self) -> "pandas.DataFrame":
        """The forms of response of every endpoint, a row each; `columns.ENDPOINT_COLUMNS`."""
        from analyzer.report import dataframes

        return dataframes.endpoints(self)

    @cached_property
    def exchanges(self) -> "pandas.DataFrame":
        """All exchanges in the order of their requests; columns in `columns.EXCHANGE_COLUMNS`."""
        from analyzer.report import dataframes

        return dataframes.exchanges(self)

    def overview(self, most: int) -> Overview:
        """The incidents in brief: the worst `most` groups of those that repeat."""
        return self.tell(self.judgement.findings, self.tables, most)

    def __repr__(self) -> str:
        """What was found in what, in a line or two."""
        from analyzer.report import remarks

        text = f"<Report on {remarks.names(self)}: {' '.join(remarks.verdict(self))}>"
        return visible(well_formed(text))

    def _repr_html_(self) -> str:
        """What a notebook shows: the scan's first words."""
        from analyzer.report.page.render import excerpt

        return excerpt(self)


def as_dict(report: Report) -> dict[str, Any]:
    """The whole report as `schema.json` describes it, in types that orjson takes.

    Findings are a level deep only, and dataclasses from there on: there may be very many.
    """
    judged = report.judgement
    return {
        "schema": SCHEMA,
        "partial": report.partial,
        "verified": None
        if report.verified is None
        else {"frames": report.verified.frames, "failures": report.verified.failures},
        "captures": [
            {**_capture(capture), "sha256": report.verified and report.verified.sha256[number]}
            for number, capture in enumerate(report.captures)
        ],
        "vantages": [asdict(vantage) for vantage in judged.vantages],
        "totals": report.totals,
        "anomalies": dict(sorted(report.anomalies.items())),
        "limits": [
            {"name": limit.name, "value": limits.value(limit.name), "times": times}
            for limit, times in limits_hit(report)
        ],
        "endpoints": [asdict(endpoint) for endpoint in judged.endpoints],
        "incidents": list(incidents(report)),
        "findings": list(finding_dicts(report)),
        "notices": [
            {
                "notice": notice.notice,
                "request": _timed(notice.request),
                "response": _timed(notice.response),
                "weighed": _shown(report, notice.weighed),
                "explanations": notice.explanations,
            }
            for notice in judged.notices
        ],
        "undecided": [{"request": _timed(one.request), "why": one.why} for one in judged.undecided],
        "unjudged": [asdict(one) for one in report.coverage.unjudged],
        **({} if report.basis is None else {"basis": _basis(report.basis)}),
        "reading": _reading(report),
        **({} if report.logs is None else {"logs": _logs(report, report.logs)}),
    }


def _reading(report: Report) -> dict[str, Any]:
    exchanges, here = report.tables.exchanges.length, compiled.kernels is not None
    return {
        "kernels": here,
        "exchanges": exchanges,
        "singly": exchanges - report.declined.taken,
        "declined": report.declined.of(exchanges, compiled=here),
    }


def _logs(report: Report, beside: "Beside") -> dict[str, Any]:
    from analyzer.logs.clocks import INFINITE

    return {
        "files": [
            {
                "path": one.log.path,
                "side": str(one.log.side),
                "format": one.log.format,
                "lines": one.log.lines,
                "rows": len(one.log.rows),
                "unread": one.log.unread,
                "unread_lines": list(one.log.first_unread),
                "left_out": one.log.left_out,
                "damaged": one.log.damaged,
                "joined": len(one.pairs),
                "joined_by_port": one.by_port,
                "ambiguous": len(one.ambiguous),
                "absent": len(one.absent),
                "zone_s": None if one.clock.zone is None else one.clock.zone // 1_000_000_000,
                "clock": [
                    {
                        "since": rfc3339(s.since),
                        "until": rfc3339(s.until),
                        "ahead_from_ns": None if s.low <= -INFINITE else s.low,
                        "ahead_to_ns": None if s.high >= INFINITE else s.high,
                        "pairs": s.pairs,
                    }
                    for s in one.clock.stretches[:MOST_STRETCHES]
                ],
            }
            for one in beside.logs
        ],
        "contradictions": [
            {
                "kind": str(one.kind),
                "path": one.path,
                "lines": list(one.lines),
                "frames": [_frame(report, frame) for frame in one.frames],
                "sentence": one.sentence,
                "finding": one.finding or None,
            }
            for one in beside.contradictions
        ],
    }


def _basis(basis: Basis) -> dict[str, Any]:
    return {
        "baselines": [asdict(one) for one in basis.baselines],
        "servers": [asdict(fit) for fit in basis.servers],
        "documents": [
            {"path": one.path, "endpoints": one.endpoints, "servers": [asdict(f) for f in fits]}
            for one, fits in zip(basis.documents, basis.stated, strict=True)
        ],
    }


def finding_dicts(report: Report) -> Iterator[dict[str, Any]]:
    """The findings as they stand in `as_dict`, one at a time."""
    return (_finding(report, finding) for finding in report.judgement.findings)


def limits_hit(report: Report) -> Iterator[tuple[limits.Limit, int]]:
    """The limits that were hit, and how often; of two that are told by one anomaly both."""
    for limit in limits.LIMITS:
        times = report.anomalies[limit.anomaly]
        if times:
            yield limit, times


def incidents(report: Report) -> Iterator[dict[str, Any]]:
    """The incidents: their findings, the requests in them, and when they began."""
    members: dict[str, list[Finding]] = {}
    for finding in report.judgement.findings:
        members.setdefault(finding.incident, []).append(finding)
    for name, findings in members.items():
        mark = report.marks.get(name)
        times = [
            what.time
            for f in findings
            for what in (f.request, f.owner, f.response)
            if what is not None
        ]
        yield {
            "id": name,
            "time": rfc3339(min(times)),
            "findings": [finding.id for finding in findings],
            "cause": _cause_of(findings),
            "mark": None if mark is None else asdict(mark),
        }


def _cause_of(findings: list[Finding]) -> str:
    """The cause of an incident: that of its first misdelivered response, or else of the first."""
    first = next((f for f in findings if f.kind is Kind.MISDELIVERED), findings[0])
    return first.cause


def _capture(capture: Capture) -> dict[str, Any]:
    return {
        "path": capture.path,
        "format": capture.format,
        "comment": capture.comment,
        "interfaces": [asdict(interface) for interface in capture.interfaces[:MOST_INTERFACES]],
        "link_types": list(dict.fromkeys(i.link_type for i in capture.interfaces)),
        "frames": capture.frames,
        "frames_by": {name: capture.fates[name] for name in FATES if capture.fates[name]},
        "partial": capture.partial,
        "first": None if capture.first is None else rfc3339(capture.first),
        "last": None if capture.last is None else rfc3339(capture.last),
        "anomalies": dict(sorted(capture.anomalies.items())),
    }


def _timed(what: Request | Response | None) -> dict[str, Any] | None:
    return None if what is None else {**_columns(what), "time": rfc3339(what.time)}


def _columns(what: Finding | Request | Response | Fact | Cause | Weighed) -> dict[str, Any]:
    told = (column.name for column in fields(what) if column.metadata.get("told", True))
    return {name: getattr(what, name) for name in told}


def _finding(report: Report, finding: Finding) -> dict[str, Any]:
    found = comments(report.captures, finding)
    return {
        **_columns(finding),
        "bits": round(finding.bits, 1),
        "request": _timed(finding.request),
        "response": _timed(finding.response),
        "owner": _timed(finding.owner),
        "evidence": _shown(report, finding.evidence),
        "causes": _shown(report, finding.causes),
        "weighed": _shown(report, finding.weighed),
        "comments": [one._asdict() for one in found],
        **({} if finding.known is None else {"known": _known(finding.known)}),
    }


def _known(known: tuple[int, int]) -> dict[str, int]:
    return {"before": known[0], "here": known[1]}


def _shown(
    report: Report, every: Sequence[Fact] | Sequence[Cause] | Sequence[Weighed]
) -> list[dict[str, Any]]:
    """What names frames: their numbers, or with their captures where several are in play."""
    return [{**_columns(one), "frames": [_frame(report, f) for f in one.frames]} for one in every]


def _frame(report: Report, frame: Frame) -> int | dict[str, int]:
    if report.tables.files:
        return {"capture": frame.capture, "frame": frame.number}
    return frame.number


def seen_text(seen: Seen, report: Report) -> str:
    """What one vantage saw, in a line."""
    name = report.tables.vantages[seen.vantage] or "the capture"
    leg = {"front": "before the proxy, ", "back": "behind the proxy, "}.get(seen.leg, "")
    asked, said = (
        f"{what} {report.tables.frame_at(capture, frame)}" if capture is not None and frame
        else ""
        for what, capture, frame in (
            ("request", seen.request_capture, seen.request_frame),
            ("response", seen.response_capture, seen.response_frame),
        )
    )  # fmt: skip
    parts = [part for part in (asked, said) if part]
    if seen.whole:
        parts += [f"no {what}" for what, known in (("request", asked), ("response", said))
                  if not known]  # fmt: skip
    wrong = ", here first on the wrong connection" if seen.first_wrong else ""
    return f"{leg}{name}: {', '.join(parts) or 'cannot tell'}{wrong}"
