"""The details behind the verdict: what was read, the endpoints, the findings with all evidence.

Readable at 80 columns.
"""

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyzer import secrets
from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request, Response
from analyzer.findings.model import CAUSES, Confidence, Finding, Kind, Verdict
from analyzer.report import remarks
from analyzer.report.comments import comments, lines
from analyzer.report.escape import shortened, visible
from analyzer.report.result import Report, incidents, seen_text

MOST_ENDPOINTS = 20
MOST_FORMS = 4  # of one endpoint
MOST_FINDINGS = 50
MOST_UNDECIDED = 5
_LONGEST_TARGET = 200
_LONGEST_SHAPE = 160
MOST_COMMENTS = 6  # of a finding
_LONGEST_COMMENT = 400

_HEADLINES = {
    Kind.MISDELIVERED: "got another request's response",
    Kind.UNANSWERED: "never got a response",
    Kind.INCOMPLETE: "got a response that never ended",
    Kind.UNSOLICITED: "a response that nobody asked for",
}
_BEHIND = "bytes behind a response that are no part of it"
_STYLES = {Verdict.SUPPORTED: "", Verdict.POSSIBLE: "", Verdict.RULED_OUT: "dim"}
_CONFIDENCES = {
    Confidence.CERTAIN: "certain",
    Confidence.LIKELY: "likely",
    Confidence.POSSIBLE: "possible",
}


def details(report: Report, console: Console) -> None:
    """Print all that there is beside the verdict."""
    console.print(_summary(report))
    if report.judgement.endpoints:
        console.print()
        endpoints(report, console)
    if report.judgement.findings:
        console.print()
        console.print(_findings(report, expand=console.is_terminal))
    for part in (_undecided(report), _notices(report)):
        if part is not None:
            console.print()
            console.print(part)


def endpoints(report: Report, console: Console) -> None:
    """Print the endpoints with the shapes of their responses."""
    if report.judgement.endpoints:
        console.print(_endpoints(report, console.width))
    else:
        console.print("No endpoint: no request was read.")


def _plain(text: str) -> Text:
    return Text(visible(text))


def _summary(report: Report) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in remarks.about(report):
        grid.add_row(label, _plain(text))
    return grid


def _endpoints(report: Report, width: int) -> RenderableType:
    table = Table(
        title="Endpoints, and the shapes of their responses",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("status", justify="right", no_wrap=True)
    table.add_column("endpoint and shape", overflow="fold")
    endpoints = report.judgement.endpoints
    hosts = {endpoint.host for endpoint in endpoints}
    longest = _LONGEST_SHAPE if width < 120 else 3 * _LONGEST_SHAPE
    for endpoint in endpoints[:MOST_ENDPOINTS]:
        name = endpoint.endpoint + (f"  ({endpoint.host})" if len(hosts) > 1 else "")
        label = Text(visible(shortened(name, _LONGEST_TARGET)), style="bold")
        table.add_row(f"{endpoint.requests:,}", "", label)
        for form in endpoint.shapes[:MOST_FORMS]:
            shape = Text(visible(shortened(form.shape, longest)), style="cyan")
            table.add_row(f"{form.count:,}", str(form.status), shape)
        more = len(endpoint.shapes) - MOST_FORMS
        if more > 0:
            table.add_row("", "", Text(f"and {more} more", style="dim"))
    more = len(endpoints) - MOST_ENDPOINTS
    if more > 0:
        table.caption = f"and {more:,} more endpoints; --json has them all"
    return table


def _findings(report: Report, *, expand: bool) -> RenderableType:
    table = Table(
        title="Findings", title_justify="left", show_header=False, show_lines=True, expand=expand
    )
    table.add_column("which", no_wrap=True)
    table.add_column("what", overflow="fold")
    findings = report.judgement.findings
    heads = {incident["findings"][0]: incident for incident in incidents(report)}
    for number, finding in enumerate(findings[:MOST_FINDINGS], 1):
        if finding.id in heads:
            incident = heads[finding.id]
            several = len(incident["findings"])
            together = "one finding" if several == 1 else f"{several} findings that are one event"
            at = incident["time"][:23]
            table.add_row(
                Text("incident", style="bold"),
                Text(f"{incident['id']}, {at}Z: {together}", style="bold"),
            )
        sure = _CONFIDENCES[finding.confidence]
        table.add_row(
            Text.assemble((f"{number}\n", "bold"), f"{sure}\n", (finding.id, "dim")),
            _details(report, finding),
        )
    if len(findings) > MOST_FINDINGS:
        table.caption = (
            f"and {len(findings) - MOST_FINDINGS:,} more; --csv and --json have them all"
        )
    return table


def _details(report: Report, finding: Finding) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    if finding.request is not None:
        grid.add_row("request", _request(report, finding.request))
    response = finding.response
    if response is not None:
        grid.add_row("response", _response(report, response))
        grid.add_row(
            "shape", Text(visible(shortened(response.shape, _LONGEST_SHAPE)), style="cyan")
        )
    if finding.kind is Kind.MISDELIVERED:
        grid.add_row("belongs to", _owner(report, finding))
    if finding.cause in CAUSES:
        grid.add_row("it means", Text(finding.causes[0].meaning, style="bold"))
    for cause in finding.causes:
        grid.add_row(
            "cause",
            Text(
                visible(f"{cause.cause} {cause.verdict}: {cause.because}"),
                style=_STYLES[cause.verdict],
            ),
        )
    for fact in finding.evidence:
        grid.add_row("evidence", _plain(fact.fact))
    for line in lines(comments(report.captures, finding), report.tables)[:MOST_COMMENTS]:
        grid.add_row("comment", _plain(shortened(line, _LONGEST_COMMENT)))
    if len(finding.seen) > 1:
        places = "\n".join(visible(seen_text(seen, report)) for seen in finding.seen)
        grid.add_row("seen at", Text(places))
    said = _BEHIND if finding.is_extra else _HEADLINES[finding.kind]
    headline = Text.assemble((finding.kind.upper(), "bold red"), (f": {said}", "bold"))
    return Group(headline, grid)


def _owner(report: Report, finding: Finding) -> Text:
    """Whose a response is, as far as that is in sight."""
    if finding.owner is not None:
        return _request(report, finding.owner)
    if finding.resembles:
        return Text(f"a request of {visible(finding.resembles)} that is not in this capture")
    return Text("an unknown request")


def _response(report: Report, response: Response) -> str:
    status = str(response.status) if response.status else "not HTTP"
    announced = f" of {response.announced:,} announced" if response.announced else ""
    extra = f", and {response.extra:,} behind its end" if response.extra else ""
    frame = report.tables.frame(response)
    return f"{status}, {response.length:,} bytes{announced}{extra}, frame {frame}"


def _request(report: Report, request: Request) -> Text:
    target = visible(shortened(secrets.target(request.target), _LONGEST_TARGET))
    return Text.assemble(
        (f"{visible(request.method)} {target}", "bold"),
        f"\nfrom {request.client}"
        f"{f' (for {request.source}, says its PROXY header)' if request.source else ''}"
        f" to {request.server}"
        f"{f' (inside {request.inside})' if request.inside else ''}, "
        f"frame {report.tables.frame(request)}",
    )


def _undecided(report: Report) -> RenderableType | None:
    total = report.judgement.undecided_total
    if not total:
        return None
    lines = [
        (report.tables.frame(one.request), f"{one.request.endpoint}: {one.why}")
        for one in report.judgement.undecided[:MOST_UNDECIDED]
    ]
    return _listed("Not judged, because of what the capture lacks", total, lines)


def _notices(report: Report) -> RenderableType | None:
    notices = report.judgement.notices
    if not notices:
        return None
    lines = []
    for notice in notices[:MOST_UNDECIDED]:
        what = notice.response or notice.request
        frame = report.tables.frame(what) if what is not None else None
        name = f"{notice.request.endpoint}: " if notice.request is not None else ""
        lines.append((frame, f"{name}{notice.notice}"))
    return _listed("Worth a look, though no finding", len(notices), lines)


def _listed(title: str, total: int, lines: Sequence[tuple[Frame | None, str]]) -> RenderableType:
    """The first of so many things, each with its frame."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for frame, text in lines:
        grid.add_row(f"  frame {visible(str(frame))}" if frame else "  ", _plain(text))
    parts: list[RenderableType] = [Text(f"{title} ({total:,}):", style="bold"), grid]
    if total > len(lines):
        parts.append(Text(f"  and {total - len(lines):,} more; --json lists them", style="dim"))
    return Group(*parts)
