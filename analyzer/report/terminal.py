"""The report in a terminal: a summary, the endpoints, the findings; readable at 80 columns."""

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyzer import secrets
from analyzer.anomalies import READ, SENTENCES, Anomalies, Fates
from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request, Response
from analyzer.findings.model import CAUSES, Confidence, Finding, Kind, Verdict
from analyzer.limits import value
from analyzer.report.comments import comments, lines
from analyzer.report.escape import rfc3339, shortened, visible
from analyzer.report.result import Report, incidents, limits_hit, seen_text

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


def show(report: Report, console: Console) -> None:
    """Print the report."""
    console.print(_summary(report))
    if report.judgement.endpoints:
        console.print()
        console.print(_endpoints(report, console.width))
    if report.judgement.findings:
        console.print()
        console.print(_findings(report))
    for part in (_undecided(report), _notices(report)):
        if part is not None:
            console.print()
            console.print(part)
    console.print()
    if report.judgement.findings:
        hint = "wrangler-forensics explain CAPTURE... [--finding ID] tells one step by step."
        console.print(Text(hint, style="dim"))
    console.print(_verdict(report))


def _plain(text: str) -> Text:
    return Text(visible(text))


def _summary(report: Report) -> RenderableType:
    totals = report.totals
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for capture in report.captures:
        grid.add_row("capture", _plain(f"{capture.path} ({capture.format})"))
    for digest in report.verified.sha256 if report.verified else ():
        grid.add_row("SHA-256", digest)
    if report.verified is not None:
        wrong = len(report.verified.failures)
        said = f"{counted(report.verified.frames, 'frame')} of the findings read again: "
        grid.add_row("verified", said + (f"{wrong:,} NOT AS REPORTED" if wrong else "as reported"))
        for failure in report.verified.failures[:MOST_UNDECIDED]:
            grid.add_row("", _plain(failure))
    first = min((c.first for c in report.captures if c.first is not None), default=None)
    last = max((c.last for c in report.captures if c.last is not None), default=None)
    if first is not None and last is not None:
        seconds = (last - first) / 1e9
        length = f"{seconds:,.1f}" if seconds >= 10 else f"{seconds:.3f}"
        grid.add_row("time", f"from {rfc3339(first)[:23]}Z, for {length} s")
    grid.add_row(
        "read",
        f"{counted(int(totals['frames']), 'frame')}, "
        f"{counted(int(totals['connections']), 'HTTP connection')}",
    )
    outcomes = {name: totals[name] for name in ("answered", "unanswered")}
    outcomes["incomplete"] = totals["requests"] - sum(outcomes.values())
    told = ", ".join(f"{count:,} {name}" for name, count in outcomes.items() if count > 0)
    grid.add_row("requests", f"{totals['requests']:,}{': ' if told else ''}{told}")
    names = [name for name in report.tables.interfaces if name]
    if len(names) > 1:
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        grid.add_row("interfaces", _plain(f"{shown}; each exchange is counted once"))
    for limit, times in limits_hit(report):
        grid.add_row(
            "limit",
            f"{limit.name} ({value(limit.name):,} {limit.unit}) hit {counted(times, 'time')}: "
            f"{limit.sentence}; --limit {limit.name}=N changes it",
        )
    if report.partial:
        grid.add_row("partial", Text("stopped before the captures ended: the rest was not read"))
    for line in _clocks(report):
        grid.add_row("clock", _plain(line))
    anomalies = Anomalies(report.anomalies)
    for capture in report.captures:
        anomalies.update(capture.anomalies)
    for line in _described(report)[:MOST_COMMENTS]:
        grid.add_row("described", _plain(shortened(line, _LONGEST_COMMENT)))
    unread = sum((capture.fates for capture in report.captures), Fates())
    for name in READ:
        del unread[name]
    if unread:
        counts = ", ".join(f"{count:,} {name}" for name, count in unread.most_common())
        grid.add_row("not read", f"{counted(unread.total(), 'frame')}: {counts}")
    for name, count in sorted(anomalies.items(), key=lambda item: (-item[1], item[0])):
        grid.add_row("noted", f"{count:,} × {name}: {SENTENCES[name]}")
    return grid


def _described(report: Report) -> list[str]:
    """What captures say of themselves and of their interfaces."""
    found = []
    for capture in report.captures:
        if capture.comment:
            found.append(f"{capture.path}: {capture.comment}")
        for number, interface in enumerate(capture.interfaces):
            texts = [text for text in (interface.description, interface.comment) if text]
            if texts:
                found.append(f"{interface.name or f'interface {number}'}: {', '.join(texts)}")
    return ["; ".join(line.split("\n")) for line in found]


def _clocks(report: Report) -> list[str]:
    """How the clocks of several captures compare, a line each."""
    told = []
    known: set[tuple[int, ...]] = set()
    vantages = report.judgement.vantages
    reference = next((v for v in vantages if v.bound_ns == 0), None)
    for vantage in vantages:
        if vantage.captures in known or reference is None:
            continue
        known.add(vantage.captures)
        path = report.captures[vantage.captures[0]].path
        if vantage.captures == reference.captures:
            continue
        if vantage.offset_ns is None or vantage.bound_ns is None:
            told.append(f"{path}: its clock cannot be compared with the reference")
            continue
        drift = f", gaining {vantage.drift_ppm:+.1f} ppm" if vantage.drift_ppm else ""
        bound = max(vantage.bound_ns, 1_000) / 1e6
        how = "ahead" if vantage.offset_ns >= 0 else "behind"
        put_right = "; the times shown are corrected for that" if vantage.corrected else ""
        told.append(
            f"{path}: {abs(vantage.offset_ns) / 1e6:,.3f} ms {how}, give or take {bound:,.3f} ms"
            f"{drift}{put_right}"
        )
    if told and reference is not None:
        told.insert(0, f"{report.captures[reference.captures[0]].path}: its clock is the reference")
    return told


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


def _findings(report: Report) -> RenderableType:
    table = Table(
        title="Findings", title_justify="left", show_header=False, show_lines=True, expand=True
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


def _verdict(report: Report) -> RenderableType:
    """The last lines: how much was judged, what was not and why, and what came of it."""
    judged, unjudged = report.coverage
    requests = report.judgement.requests
    findings = report.judgement.findings
    if report.nothing_judged:
        head = Text.assemble(
            ("Nothing could be judged.", "bold yellow"), " This does not mean that all is well."
        )
        lines = [("", f"{one.things}: {one.why}") for one in unjudged]
        advice = dict.fromkeys(text for one in unjudged for text in one.advice)
        return Group(head, _rows(lines), _rows([("→", text) for text in advice]))
    parts: list[RenderableType] = []
    said = f"Judged {judged:,} of {counted(requests, 'exchange')}"
    if not findings:
        parts += [Text("No finding.", style="bold green"), Text(f"{said}: {_opinion(report)}.")]
    elif requests:
        parts.append(Text(f"{said}."))
    if report.judgement.nameless:
        parts.append(Text(_nameless(report.judgement.nameless)))
    if judged < requests:
        parts.append(Text(f"{requests - judged:,} could not be judged:"))
        lines = [
            (f"{one.count:,}", f"because {one.why}") for one in unjudged if one.what == "requests"
        ]
        parts.append(_rows(lines))
    if findings:
        kinds = Counter(str(finding.kind) for finding in findings)
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        total = (f"{counted(len(findings), 'finding')}:", "bold red")
        parts.append(Text.assemble(total, f" {counts}."))
    return Group(*parts)


def _opinion(report: Report) -> str:
    """What can be said of what was judged, where nothing was found."""
    notices = len(report.judgement.notices)
    if notices:
        return f"{notices:,} {'is' if notices == 1 else 'are'} worth a look"
    return "no response fits another request better than its own"


def _nameless(count: int) -> str:
    """What is not said by that: where responses do not name what they answer."""
    which = "is of an endpoint" if count == 1 else "are of endpoints"
    return (
        f"{count:,} {which} whose responses name nothing that was asked for: if two requests of "
        "one such endpoint were given each other's, nothing in the responses shows it."
    )


def _rows(lines: Sequence[tuple[str, str]]) -> RenderableType:
    """Indented paragraphs, each behind its mark or number."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for mark, text in lines:
        grid.add_row(f"  {mark}" if mark else " ", _plain(text))
    return grid


def counted(number: int, what: str) -> str:
    """A number of things, one or several: "1 request", "2 requests"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
