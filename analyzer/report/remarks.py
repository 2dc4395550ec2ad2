"""What is said of a report as a whole, whatever renders it: what was read, how much was judged.

Law: sentences alone, without layout. Text from captures is as it came: a renderer makes it
harmless.
"""

from collections import Counter
from collections.abc import Iterator

from analyzer.anomalies import READ, SENTENCES, Anomalies, Fates
from analyzer.limits import value
from analyzer.report.escape import rfc3339, shortened
from analyzer.report.result import Report, limits_hit

MOST_FAILURES = 5  # of a verification
MOST_DESCRIBED = 6
_LONGEST_COMMENT = 400
MOST_INTERFACES = 12


def about(report: Report) -> Iterator[tuple[str, str]]:
    """What was read, and what is odd about it: a label and a sentence each."""
    totals = report.totals
    for capture in report.captures:
        yield "capture", f"{capture.path} ({capture.format})"
    if report.verified is not None:
        for digest in report.verified.sha256:
            yield "SHA-256", digest
        wrong = len(report.verified.failures)
        said = f"{counted(report.verified.frames, 'frame')} of the findings read again: "
        yield "verified", said + (f"{wrong:,} NOT AS REPORTED" if wrong else "as reported")
        for failure in report.verified.failures[:MOST_FAILURES]:
            yield "", failure
    first = min((c.first for c in report.captures if c.first is not None), default=None)
    last = max((c.last for c in report.captures if c.last is not None), default=None)
    if first is not None and last is not None:
        seconds = (last - first) / 1e9
        length = f"{seconds:,.1f}" if seconds >= 10 else f"{seconds:.3f}"
        yield "time", f"from {rfc3339(first)[:23]}Z, for {length} s"
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
        yield "partial", PARTIAL
    for line in clocks(report):
        yield "clock", line
    for line in described(report)[:MOST_DESCRIBED]:
        yield "described", shortened(line, _LONGEST_COMMENT)
    unread = sum((capture.fates for capture in report.captures), Fates())
    for name in READ:
        del unread[name]
    if unread:
        counts = ", ".join(f"{count:,} {name}" for name, count in unread.most_common())
        yield "not read", f"{counted(unread.total(), 'frame')}: {counts}"
    anomalies = Anomalies(report.anomalies)
    for capture in report.captures:
        anomalies.update(capture.anomalies)
    for name, count in sorted(anomalies.items(), key=lambda item: (-item[1], item[0])):
        yield "noted", f"{count:,} × {name}: {SENTENCES[name]}"


PARTIAL = "stopped before the captures ended: the rest was not read"


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


def clocks(report: Report) -> list[str]:
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


NOTHING_JUDGED = "Nothing could be judged."
NOT_WELL = "This does not mean that all is well."
NO_FINDING = "No finding."


def judged(report: Report) -> str:
    """How much was judged, and what can be said of that where nothing was found."""
    said = f"Judged {report.coverage.judged:,} of {counted(report.judgement.requests, 'exchange')}"
    return f"{said}." if report.judgement.findings else f"{said}: {_opinion(report)}."


def _opinion(report: Report) -> str:
    """What can be said of what was judged, where nothing was found."""
    notices = len(report.judgement.notices)
    if notices:
        return f"{notices:,} {'is' if notices == 1 else 'are'} worth a look"
    return "no response fits another request better than its own"


def nameless(count: int) -> str:
    """What is not said by that: where responses do not name what they answer."""
    which = "is of an endpoint" if count == 1 else "are of endpoints"
    return (
        f"{count:,} {which} whose responses name nothing that was asked for: if two requests of "
        "one such endpoint were given each other's, nothing in the responses shows it."
    )


def not_judged(report: Report) -> list[tuple[str, str]]:
    """How many requests could not be judged, and why, the most first."""
    return [
        (f"{one.count:,}", f"because {one.why}")
        for one in report.coverage.unjudged
        if one.what == "requests"
    ]


def advice(report: Report) -> list[str]:
    """What to capture instead, each once."""
    return list(dict.fromkeys(text for one in report.coverage.unjudged for text in one.advice))


def kinds(report: Report) -> str:
    """How many findings there are of each kind."""
    counts = Counter(str(finding.kind) for finding in report.judgement.findings)
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())


def counted(number: int, what: str) -> str:
    """A number of things, one or several: "1 request", "2 requests"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
