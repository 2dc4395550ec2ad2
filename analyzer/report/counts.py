"""What was read, counted as every renderer says it."""

from analyzer.anomalies import READ, Anomalies, Fates
from analyzer.report.escape import rfc3339
from analyzer.report.result import Report


def counted(number: int, what: str) -> str:
    """A number of things, one or several: "1 request", "2 requests"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def every_anomaly(report: Report) -> Anomalies:
    """The anomalies of connections, messages and files together."""
    anomalies = Anomalies(report.anomalies)
    for capture in report.captures:
        anomalies.update(capture.anomalies)
    return anomalies


def unread_frames(report: Report) -> Fates:
    """The frames that were not read, by what became of them."""
    unread = sum((capture.fates for capture in report.captures), Fates())
    for name in READ:
        del unread[name]
    return unread


def time_span(report: Report) -> str:
    """From when, and how long: "from 2026-11-23T05:02:06.296Z, for 14.6 s"; "" where unknown."""
    first = min((c.first for c in report.captures if c.first is not None), default=None)
    last = max((c.last for c in report.captures if c.last is not None), default=None)
    if first is None or last is None:
        return ""
    seconds = (last - first) / 1e9
    length = f"{seconds:,.1f}" if seconds >= 10 else f"{seconds:.3f}"
    return f"from {rfc3339(first)[:23]}Z, for {length} s"
