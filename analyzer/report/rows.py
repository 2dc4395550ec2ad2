"""FINDINGS as rows, flat: what `Report.findings` and the CSV have in common.

Law: a value is None where there is nothing. Times are ns since 1970, spans are ns, lists are tuples
of texts; a renderer writes them its own way.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from analyzer.correlate.model import Request, Response
from analyzer.findings.model import Finding
from analyzer.report.columns import FINDING_COLUMNS
from analyzer.report.result import Report, seen_text


def finding_rows(report: Report) -> Iterator[list[Any]]:
    """The findings as rows of FINDING_COLUMNS."""
    for finding in report.judgement.findings:
        flat = _flat(report, finding)
        yield [flat.get(name) for name in FINDING_COLUMNS]


def _flat(report: Report, finding: Finding) -> dict[str, Any]:
    request, response, owner = finding.request, finding.response, finding.owner
    flat: dict[str, Any] = {
        "id": finding.id,
        "incident": finding.incident,
        "kind": str(finding.kind),
        "confidence": str(finding.confidence),
        "cause": finding.cause,
        "causes": tuple(f"{c.cause} {c.verdict}: {c.because}" for c in finding.causes),
        "evidence": tuple(f"{f.fact} [{' '.join(map(str, f.frames))}]" for f in finding.evidence),
        "seen": tuple(seen_text(seen, report) for seen in finding.seen),
        "filter": finding.filter,
    }
    for who, part in (("request", request), ("response", response), ("owner", owner)):
        if part is not None:
            flat |= _part(report, who, part)
    about, asked = request or response, request or owner
    if about is not None:
        flat["exchange"] = about.exchange
    if asked is not None:
        flat["endpoint"] = asked.endpoint
    if request is not None and response is not None:
        flat["duration"] = response.time - request.time
    mark = report.marks.get(finding.incident)
    if mark is not None:
        flat |= {"mark": str(mark.mark), "note": mark.note or None}
    return flat


def _part(report: Report, who: str, part: Request | Response) -> dict[str, Any]:
    """A request or response by its columns; "", and a frame or status 0, are nothing."""
    flat = {f"{who}_{name}": value for name, value in asdict(part).items() if value != ""}
    flat[f"{who}_file"] = report.captures[part.capture].path
    for name in ("frame", "status"):
        flat[f"{who}_{name}"] = flat.get(f"{who}_{name}") or None
    return flat
