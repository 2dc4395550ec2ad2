"""The one result that every renderer renders: what `analyzer.scan` returns."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.anomalies import FATES, Anomalies
from analyzer.capture.frames import Capture
from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request, Response
from analyzer.correlate.view import Tables, form_text
from analyzer.findings.model import Cause, Fact, Finding, Judgement, Kind, Seen, Weighed
from analyzer.report.comments import comments
from analyzer.report.coverage import Coverage, coverage
from analyzer.report.escape import rfc3339
from analyzer.tables import Outcome

if TYPE_CHECKING:
    import pandas

SCHEMA = 1
MOST_INTERFACES = 1_000  # listed of one capture

# Columns of `Report.findings` and of the CSV: name -> meaning.
FINDING_COLUMNS: dict[str, str] = {
    "id": "name of the finding, the same from run to run",
    "incident": "name of the incident that it is part of, the same from run to run",
    "kind": "misdelivered, unanswered, incomplete or unsolicited",
    "confidence": "certain, likely or possible",
    "cause": "layer/mechanism, the best supported",
    **{
        f"{who}_{name}": meaning
        for who in ("request", "owner")
        for name, meaning in (
            ("method", "its method"),
            ("target", "its target, exactly as sent"),
            ("endpoint", "method and path template"),
            ("client", "ip:port at the vantage nearest the client"),
            ("server", "ip:port"),
            ("inside", "the server's ip:port nearest to it, where translation makes that another"),
            ("source", "the client's ip:port as a PROXY header on the connection has it"),
            ("time", "RFC 3339, UTC: its first byte"),
            ("file", "the capture with its first byte, as given"),
            ("frame", "frame number of its first byte"),
            ("connection", "number of the connection"),
        )
    },
    "response_status": "status code",
    "response_time": "RFC 3339, UTC: its first byte",
    "response_file": "the capture with its first byte, as given",
    "response_frame": "frame number of its first byte",
    "response_length": "body length in bytes, transfer coding removed",
    "response_shape": "shape of the body",
    "causes": "each considered cause with its verdict and reason",
    "evidence": "facts with their frames",
    "seen": "what each vantage saw: request frame, response frame, nearest the client first",
    "filter": "Wireshark display filter",
}

# Columns of `Report.exchanges`: name -> meaning.
EXCHANGE_COLUMNS: dict[str, str] = {
    "outcome": "answered, unanswered, incomplete or unsolicited",
    "method": "request method",
    "target": "request target, exactly as sent",
    "endpoint": "method and path template",
    "host": "Host field",
    "client": "ip:port",
    "server": "ip:port",
    "interface": "interface of the judged sighting",
    "connection": "number of the connection",
    "request_capture": "index of the file",
    "request_frame": "frame number, 0: none",
    "request_time": "first byte (datetime64[ns], UTC)",
    "request_length": "body bytes",
    "status": "status code, 0: none",
    "response_capture": "index of the file",
    "response_frame": "frame number, 0: none",
    "response_time": "first byte (datetime64[ns], UTC)",
    "response_end_frame": "frame number of the last byte",
    "response_end_time": "last byte (datetime64[ns], UTC)",
    "response_length": "body bytes",
    "media_type": "of the response",
    "shape": "of the response's body",
    "flags": "what qualifies the exchange, as in analyzer.tables.Flag",
}

ENDPOINT_COLUMNS: dict[str, str] = {
    "endpoint": "method and path template",
    "host": "Host field",
    "requests": "requests to the endpoint",
    "status": "status code of this form of response",
    "media_type": "its media type",
    "shape": "its shape",
    "count": "responses in this form",
}


@dataclass
class Verified:
    """What checking the findings' frames against the captures came to (see `verification`)."""

    frames: int = 0
    failures: list[str] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)  # of every capture


@dataclass
class Report:
    """What a scan found. `findings`, `exchanges` and `endpoints` are pandas frames.

    Their columns are documented in FINDING_COLUMNS, EXCHANGE_COLUMNS and ENDPOINT_COLUMNS.
    """

    captures: list[Capture]
    anomalies: Anomalies  # of connections and messages; those of frames are in `captures`
    judgement: Judgement
    tables: Tables
    verified: Verified | None = None

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
        """The findings, a row each; columns as in FINDING_COLUMNS."""
        import pandas

        return pandas.DataFrame(list(finding_rows(self)), columns=list(FINDING_COLUMNS))

    @cached_property
    def endpoints(self) -> "pandas.DataFrame":
        """The forms of response of every endpoint, a row each; columns as in ENDPOINT_COLUMNS."""
        import pandas

        rows = [
            (e.endpoint, e.host, e.requests, s.status, s.media_type, s.shape, s.count)
            for e in self.judgement.endpoints
            for s in e.shapes
        ]
        return pandas.DataFrame(rows, columns=list(ENDPOINT_COLUMNS))

    @cached_property
    def exchanges(self) -> "pandas.DataFrame":
        """All exchanges in the order of their requests; columns as in EXCHANGE_COLUMNS."""
        import pandas

        parts = list(exchange_frames(self))
        if not parts:
            return pandas.DataFrame(columns=list(EXCHANGE_COLUMNS))
        whole = pandas.concat(parts, ignore_index=True)
        order = ["request_time", "request_capture", "request_frame", "response_frame"]
        return whole.sort_values(order, kind="stable", ignore_index=True)


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
        "findings": [_finding(report, finding) for finding in judged.findings],
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
    }


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
    }


def _shown(
    report: Report, every: Sequence[Fact] | Sequence[Cause] | Sequence[Weighed]
) -> list[dict[str, Any]]:
    """What names frames: their numbers, or with their captures where several are in play."""
    return [{**_columns(one), "frames": [_frame(report, f) for f in one.frames]} for one in every]


def _frame(report: Report, frame: Frame) -> int | dict[str, int]:
    if report.tables.files:
        return {"capture": frame.capture, "frame": frame.number}
    return frame.number


def finding_rows(report: Report) -> Iterator[list[Any]]:
    """The findings as rows of FINDING_COLUMNS."""
    for finding in report.judgement.findings:
        flat: dict[str, Any] = {
            "id": finding.id,
            "incident": finding.incident,
            "kind": str(finding.kind),
            "confidence": str(finding.confidence),
            "cause": finding.cause,
            "causes": "; ".join(f"{c.cause} {c.verdict}: {c.because}" for c in finding.causes),
            "evidence": "; ".join(
                f"{f.fact} [{' '.join(map(str, f.frames))}]" for f in finding.evidence
            ),
            "seen": "; ".join(seen_text(seen, report) for seen in finding.seen),
            "filter": finding.filter,
        }
        for who in ("request", "response", "owner"):
            part = _timed(getattr(finding, who)) or {}
            flat.update({f"{who}_{name}": value for name, value in part.items()})
            if part:
                flat[f"{who}_file"] = report.captures[part["capture"]].path
        yield [flat.get(column, "") for column in FINDING_COLUMNS]


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


def exchange_frames(report: Report) -> Iterator["pandas.DataFrame"]:
    """The exchanges as pandas frames, a chunk at a time, in no particular order."""
    import pandas

    tables = report.tables
    forms = [(form.media_type, form_text(form)) for form in tables.forms]
    for rows, targets in tables.judged():
        if not len(rows):
            continue
        connections = tables.connections[rows["connection"]]
        names = [tables.names[n] for n in tables.endpoint_of[rows["route"]].tolist()]
        columns: dict[str, Any] = {
            "outcome": [Outcome(n).name.lower() for n in rows["outcome"].tolist()],
            "method": [name.method for name in names],
            "target": [target.decode("latin-1") for target in targets],
            "endpoint": [name.name for name in names],
            "host": [tables.endpoints[n].host for n in rows["route"].tolist()],
            "connection": connections["stream"],
            "interface": [tables.interfaces[n] for n in connections["interface"].tolist()],
            "media_type": [forms[n][0] for n in rows["form"].tolist()],
            "shape": [forms[n][1] for n in rows["form"].tolist()],
        }
        for who in ("client", "server"):
            places = zip(
                connections[who].tolist(), connections[f"{who}_port"].tolist(), strict=True
            )
            columns[who] = [tables.place(address, port) for address, port in places]
        for name in EXCHANGE_COLUMNS:
            if name.endswith("_time"):
                columns[name] = pandas.to_datetime(rows[name], unit="ns", utc=True)
            elif name not in columns:
                columns[name] = rows[name]
        yield pandas.DataFrame({name: columns[name] for name in EXCHANGE_COLUMNS})
