"""What is said of a report as a whole, whatever renders it: what was read, how much was judged.

Law: sentences alone, without layout. Text from captures is as it came: a renderer makes it
harmless.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from analyzer.anomalies import LACKING, SENTENCES
from analyzer.baselines.prior import Fit
from analyzer.explain.overviews import Group, Summary
from analyzer.limits import value
from analyzer.report.clocks import compared
from analyzer.report.counts import counted, every_anomaly, time_span, unread_frames
from analyzer.report.escape import rfc3339, shortened
from analyzer.report.paste import STANDARD_INPUT
from analyzer.report.result import Report, limits_hit

if TYPE_CHECKING:
    from analyzer.logs.clocks import Clock

MOST_FAILURES = 5  # of verification
MOST_DESCRIBED = 6
_LONGEST_COMMENT = 400
MOST_INTERFACES = 12
MOST_CONTRADICTIONS = 5  # those that are about no finding

NOTHING_JUDGED = "Nothing could be judged."
NOT_WELL = "This does not mean that all is well."
NO_FINDING = "No finding."
HOLDS_FOR = "This holds for what was captured and judged, and for nothing else."
_CHECKED = "Checked of each: did a response come, did all of it come, and whose is it."


def warnings(report: Report) -> Iterator[str]:
    """What makes all that follows doubtful."""
    failures = report.verified.failures if report.verified is not None else []
    if failures:
        more = len(failures) - MOST_FAILURES
        rest = f"; and {more:,} more" if more > 0 else ""
        shown = "; ".join(failures[:MOST_FAILURES])
        what = "is not as reported" if len(failures) == 1 else "are not as reported"
        yield f"{len(failures):,} {what.upper()} when the frames were read again: {shown}{rest}."
    if report.partial:
        yield "Partial: stopped before the captures ended; the rest was not read."


def verdict(report: Report) -> Iterator[str]:
    """What came of it, as short as can be said without promising too much."""
    yield from warnings(report)
    if report.nothing_judged:
        yield from (NOTHING_JUDGED, NOT_WELL)
        return
    if not report.judgement.findings:
        yield NO_FINDING
    yield from judged(report)
    if not_judged(report):
        yield f"{not_judged(report)}."
    if not report.judgement.findings:
        yield HOLDS_FOR


def happened(group: Group) -> str:
    """When an incident began, its name, and what happened; of those that repeat, the first."""
    summary = group.summary
    told = f"{rfc3339(summary.time)[:23]}Z, incident {summary.id}. {summary.sentence}"
    if group.count == 1:
        return told
    return f"Same cause and endpoint, within {group.within}. The first: {told}"


def sure(summary: Summary) -> str:
    """How sure what happened is, and the frames to look at."""
    return " ".join(text for text in (f"How sure: {summary.sure}.", summary.where) if text)


def basis(report: Report) -> Iterator[str]:
    """What was known before, and what of it fits the captures."""
    if report.basis is None:
        return
    for source in report.basis.baselines:
        yield (
            f"Judged with {source.path}: {counted(source.exchanges, 'exchange')} of "
            f"{counted(source.endpoints, 'endpoint')} learned before."
        )
    if report.basis.baselines:
        yield from _unfitting("The baseline", report.basis.servers)
    for source, fits in zip(report.basis.documents, report.basis.stated, strict=True):
        yield f"Judged with {source.path}, which describes {counted(source.endpoints, 'endpoint')}."
        yield from _unfitting(source.path, fits)


def _unfitting(what: str, fits: Sequence[Fit]) -> Iterator[str]:
    """The servers that a baseline or a document does not fit, the first ones by name."""
    none = [fit for fit in fits if not fit.fits]
    if fits and len(none) == len(fits):
        yield f"{what} fits no server here: it knows less than half of what each is asked for."
        return
    for fit in none[:MOST_DESCRIBED]:
        yield (
            f"{what} does not fit the server at {fit.server}: it knows {fit.known:,} of its "
            f"{counted(fit.requests, 'request')}, which were judged without it."
        )
    if len(none) > MOST_DESCRIBED:
        yield f"{what} does not fit {len(none) - MOST_DESCRIBED:,} more servers."
    for fit in fits:
        if fit.fits and fit.known < fit.requests:
            yield (
                f"{what} knows {fit.known:,} of the {counted(fit.requests, 'request')} to "
                f"{fit.server}; the others' endpoints are not in it."
            )


def marked(report: Report, incident: str) -> str:
    """What somebody said of an incident in a review; "": nothing."""
    mark = report.marks.get(incident)
    return "" if mark is None else f"{mark.sentence}."


def marks(report: Report) -> Iterator[str]:
    """How many incidents were marked, and what that does not change."""
    incidents = {finding.incident for finding in report.judgement.findings}
    told = Counter(str(m.mark) for name, m in sorted(report.marks.items()) if name in incidents)
    if told:
        counts = ", ".join(f"{count:,} {mark}" for mark, count in told.items())
        still = "; what is dismissed is counted as a finding still" if told["dismissed"] else ""
        yield f"Marked in a review: {counts} of {counted(len(incidents), 'incident')}{still}."


def judged(report: Report) -> Iterator[str]:
    """What was found in how much, and how far that can be relied on."""
    requests = report.judgement.requests
    findings = report.judgement.findings
    said = f"Judged {report.coverage.judged:,} of {counted(requests, 'exchange')}"
    if not findings:
        yield f"{said}: {_opinion(report)}."
        yield _CHECKED
    else:
        kinds = Counter(str(finding.kind) for finding in findings)
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        incidents = counted(len({finding.incident for finding in findings}), "incident")
        found = f"{incidents}, {counted(len(findings), 'finding')} ({counts})."
        yield f"{found} {said}." if requests else found
        false = round(report.judgement.expected_false)
        if false:
            yield f"Of such findings {false:,} {'is' if false == 1 else 'are'} expected false."
    if report.judgement.nameless:
        yield _nameless(report.judgement.nameless)


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
        f"{count:,} {which} whose responses name nothing that was asked for: two responses of one "
        "such endpoint may have been crossed without a trace in them."
    )


def not_judged(report: Report) -> str:
    """How many exchanges could not be judged; "" where all were."""
    count = report.judgement.requests - report.coverage.judged
    return f"{count:,} could not be judged" if count else ""


def limits(report: Report) -> Iterator[str]:
    """The limits that were hit, and what that means."""
    for limit, times in limits_hit(report):
        yield (
            f"Limit {limit.name} ({value(limit.name):,} {limit.unit}) hit "
            f"{counted(times, 'time')}: {limit.sentence}; "
            f"--limit {limit.name}=N changes it."
        )


def lacking(report: Report) -> Iterator[str]:
    """What the captures lack, as far as it is not told as the reason for something else."""
    anomalies = every_anomaly(report)
    told = {one.reason for one in report.coverage.unjudged}
    for name in LACKING:
        if anomalies[name] and name not in told:
            yield f"Noted {counted(anomalies[name], 'time')}: {SENTENCES[name]}."


def advice(report: Report) -> list[str]:
    """What to capture instead, each once."""
    return list(dict.fromkeys(text for one in report.coverage.unjudged for text in one.advice))


def verified(report: Report) -> Iterator[str]:
    """That the findings' frames were read again, and what the captures' SHA-256 are."""
    if report.verified is None:
        return
    if not report.verified.failures:
        frames = counted(report.verified.frames, "frame")
        yield f"Verified: {frames} of the findings read again, as reported."
    for capture, digest in zip(report.captures, report.verified.sha256, strict=True):
        yield f"SHA-256 {digest} {capture.path}"


def read(report: Report) -> str:
    """What was read, from when to when."""
    totals = report.totals
    frames = counted(int(totals["frames"]), "frame")
    connections = counted(int(totals["connections"]), "HTTP connection")
    unread = unread_frames(report)
    left = f" Not read: {counted(unread.total(), 'frame')}" if unread else ""
    which = ", ".join(f"{count:,} {name}" for name, count in unread.most_common())
    span = time_span(report)
    return (
        f"Read {names(report)}: {frames}, {connections}{f', {span}' if span else ''}."
        f"{f'{left} ({which}).' if unread else ''}"
    )


def names(report: Report) -> str:
    """What was read, by name where it is one."""
    paths = [capture.path for capture in report.captures]
    if len(paths) != 1:
        return f"{len(paths):,} captures"
    return "standard input" if paths[0] == STANDARD_INPUT else PurePath(paths[0]).name


def about(report: Report) -> Iterator[tuple[str, str]]:
    """What was read, and what is odd about it: a label and a sentence each."""
    totals = report.totals
    for capture in report.captures:
        yield "capture", f"{capture.path} ({capture.format})"
    if time_span(report):
        yield "time", time_span(report)
    yield (
        "read",
        f"{counted(int(totals['frames']), 'frame')}, "
        f"{counted(int(totals['connections']), 'HTTP connection')}",
    )
    outcomes = {name: totals[name] for name in ("answered", "unanswered")}
    outcomes["incomplete"] = totals["requests"] - sum(outcomes.values())
    told = ", ".join(f"{count:,} {name}" for name, count in outcomes.items() if count > 0)
    yield "requests", f"{totals['requests']:,}{': ' if told else ''}{told}"
    names = [name for name in report.tables.interfaces if name]
    if len(names) > 1:
        more = len(names) - MOST_INTERFACES
        shown = ", ".join(names[:MOST_INTERFACES]) + (f" and {more} more" if more > 0 else "")
        yield "interfaces", f"{shown}; each exchange is counted once"
    for limit, times in limits_hit(report):
        yield (
            "limit",
            f"{limit.name} ({value(limit.name):,} {limit.unit}) hit {counted(times, 'time')}: "
            f"{limit.sentence}; --limit {limit.name}=N changes it",
        )
    if report.partial:
        yield "partial", "stopped before the captures ended: the rest was not read"
    for line in compared(report):
        yield "clock", line
    for line in described(report)[:MOST_DESCRIBED]:
        yield "described", shortened(line, _LONGEST_COMMENT)
    unread = unread_frames(report)
    if unread:
        counts = ", ".join(f"{count:,} {name}" for name, count in unread.most_common())
        yield "not read", f"{counted(unread.total(), 'frame')}: {counts}"
    for name, count in sorted(every_anomaly(report).items(), key=lambda item: (-item[1], item[0])):
        yield "noted", f"{count:,} × {name}: {SENTENCES[name]}"


def described(report: Report) -> list[str]:
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


def logs(report: Report) -> Iterator[str]:
    """What was read of logs, and how far it is on the wire; then what they and it disagree about.

    What is about a finding stands in its evidence.
    """
    if report.logs is None:
        return
    for one in report.logs.logs:
        log = one.log
        told = [f"{len(one.pairs):,} of {len(log.rows):,} requests are joined to the wire's"]
        if one.ambiguous:
            told.append(f"{len(one.ambiguous):,} fit several and are not")
        if one.absent:
            told.append(f"{len(one.absent):,} fit none")
        if log.unread:
            first = ", ".join(map(str, log.first_unread))
            told.append(f"{log.unread:,} lines are no request (first: {first})")
        if log.left_out:
            told.append(f"{log.left_out:,} beyond the limit were not read")
        if log.damaged:
            told.append("its compression is damaged, the rest was not read")
        told.append(_clock(one.clock))
        yield f"{PurePath(log.path).name}, a {log.side}'s log ({log.format}): {'; '.join(told)}."
    beside = [one for one in report.logs.contradictions if not one.finding]
    for contradiction in beside[:MOST_CONTRADICTIONS]:
        yield f"Log and wire disagree: {contradiction.sentence}."
    more = len(beside) - MOST_CONTRADICTIONS
    if more > 0:
        yield f"Log and wire disagree {more:,} times more; --json has all."


def _clock(clock: "Clock") -> str:
    known = [s for s in clock.stretches if s.width is not None]
    if not known:
        return "its clock is not known"
    zone = ""
    if clock.zone is not None:
        sign = "-" if clock.zone < 0 else "+"
        minutes = abs(clock.zone) // 60_000_000_000
        zone = f"its times fit UTC{sign}{minutes // 60:02d}:{minutes % 60:02d}; "
    low, high = (f"{end / 1e6:+,.1f}" for end in (known[0].low, known[0].high))
    changes = len(clock.stretches) - 1
    moved = f", and is set or drifts {changes:,} times after that" if changes else ""
    return f"{zone}its clock is ahead by {low} to {high} ms{moved}"
