"""What several tests need: a capture's exchanges as plain rows that can be compared."""

from pathlib import Path
from typing import Any, NamedTuple

import analyzer
from analyzer import pipeline
from analyzer.capture.frames import BLOCK
from analyzer.correlate.view import Tables, form_text
from analyzer.extraction import Extraction, join
from analyzer.findings.model import Finding
from analyzer.report.result import Report
from tests.builder import Frame, pcap

Row = dict[str, Any]


class Extracted(NamedTuple):
    """What extraction reads out of a capture, and the tables that judging sees of it."""

    extraction: Extraction
    tables: Tables


def extracted(path: Path, *, block: int = BLOCK, parts: int = 1) -> Extracted:
    """What extraction reads out of a capture, in one go or in shares that are joined."""
    shares = [pipeline.extract_share([str(path)], n, parts, block) for n in range(parts)]
    _, captures, interfaces = shares[0]
    extraction = join([share[0] for share in shares])
    return Extracted(extraction, pipeline._tables(extraction, captures, interfaces))


def rows_of(found: Extracted) -> list[Row]:
    """The exchange table with its numbers looked up, in the order of the frames.

    Numbers that only say in which order something was met are replaced by what they stand for.
    """
    extraction, tables = found
    rows_found = []
    for rows, targets in extraction.exchanges.chunks():
        for row, target in zip(rows, targets, strict=True):
            plain = {name: row[name].item() for name in row.dtype.names or ()}
            plain["connection"] = int(tables.connections[plain["connection"]]["stream"])
            plain["route"] = extraction.routes[plain["route"]]
            form = extraction.forms[plain["form"]]
            plain["form"] = (form.media_type, form_text(form))
            plain["target"] = target
            rows_found.append(plain)
    return sorted(
        rows_found,
        key=lambda r: (
            r["request_capture"], r["request_frame"], r["response_frame"], r["request_seq"],
            r["response_seq"],
        ),
    )  # fmt: skip


def connections_of(found: Extracted) -> list[Row]:
    """The connection table, with addresses looked up, in the order of Wireshark's numbers."""
    rows_found = []
    for row in found.tables.connections:
        plain = {name: row[name].item() for name in row.dtype.names or ()}
        for who in ("client", "server", "source"):
            plain[who] = found.extraction.addresses[plain[who]]
        del plain["connection"]
        rows_found.append(plain)
    return sorted(rows_found, key=lambda r: r["stream"])


def exchanges(path: Path, *, block: int = BLOCK) -> list[Row]:
    """A capture's exchanges."""
    return rows_of(extracted(path, block=block))


def scanned(folder: Path, frames: list[Frame], **how: Any) -> Report:
    """The report on a capture of these frames."""
    path = folder / "built.pcap"
    path.write_bytes(pcap(frames, **how))
    return analyzer.scan(path)


def brief(finding: Finding) -> tuple[str, str, str, str]:
    """Kind, cause, the request's target and the owner's, of a finding."""
    request, owner = finding.request, finding.owner
    return (
        str(finding.kind),
        finding.cause,
        request.target if request else "",
        owner.target if owner and finding.kind == "misdelivered" else "",
    )


def found(report: Report) -> list[tuple[str, str, str, str]]:
    """All findings in brief, sorted."""
    return sorted(brief(finding) for finding in report.judgement.findings)
