"""The whole capture over time: requests under way, findings, what the capture lacks.

Law: time is cut into equal parts, and what is shown of a part are counts; so it has one size,
however much a capture has in it.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.correlate.view import Tables
from analyzer.findings.model import Finding, Kind
from analyzer.report.counts import counted
from analyzer.report.escape import rfc3339
from analyzer.report.result import Report
from analyzer.tables import Array, Flag, Outcome

PARTS = 200
FINE = 64  # parts of a part, by which what is under way is counted
HEIGHT = 40  # of the curve
MOST_CAPTURES = 8  # whose times are shown
_GAP = int(Flag.GAP_REQUEST | Flag.GAP_RESPONSE)
Ints = npt.NDArray[np.int64]

KINDS: tuple[tuple[Kind, str], ...] = (
    (Kind.MISDELIVERED, "went to the wrong request"),
    (Kind.UNANSWERED, "never answered"),
    (Kind.INCOMPLETE, "never ended"),
    (Kind.UNSOLICITED, "nobody asked for it"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something in one part of the time: where (from 0 to PARTS), how wide, what, and a link."""

    at: int
    width: int
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Strip:
    """A line of marks; `style` is a name of the style sheet."""

    label: str
    style: str
    marks: tuple[Mark, ...]
    spoken: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """`curve` is the path of the requests under way, of which there were `most` at once."""

    parts: int
    height: int
    curve: str
    most: int
    strips: tuple[Strip, ...]
    ticks: tuple[str, ...]  # at equal distances from the first to the last moment
    begins: str
    more: int  # captures whose times are not shown
    spoken: str


def timeline(report: Report, shown: Container[str]) -> Timeline | None:
    """The timeline of a report; None where nothing has a time. `shown`: incidents to link to."""
    first = min((c.first for c in report.captures if c.first is not None), default=None)
    last = max((c.last for c in report.captures if c.last is not None), default=None)
    if first is None or last is None or not report.judgement.requests:
        return None
    clock = _Clock(first, max(last - first, 1))
    under_way, gaps = _counted(report.tables, clock)
    undecided = np.array([one.request.time for one in report.judgement.undecided], dtype=np.int64)
    most = int(under_way.max())
    seconds = clock.length / 1e9
    strips = [*_of_findings(report.judgement.findings, clock, shown)]
    for counts, label, style in (
        (gaps, "frames are missing", "gap"),
        (np.bincount(clock.parts(undecided), minlength=PARTS), "could not be judged", "undecided"),
    ):
        if counts.any():
            strips.append(_of_counts(counts, label, style, clock))
    if len(report.captures) > 1:
        strips += _of_captures(report, clock)
    return Timeline(
        parts=PARTS,
        height=HEIGHT,
        curve=_curve(under_way, most),
        most=most,
        strips=tuple(strips),
        ticks=tuple(_seconds(clock.length * n // 4, clock.length) for n in range(5)),
        begins=f"{rfc3339(first)[:23]}Z",
        more=max(0, len(report.captures) - MOST_CAPTURES),
        spoken=f"Requests under way over {seconds:,.1f} s, at most {most:,} at once",
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    """Times of a capture (ns since 1970) as parts of it."""

    first: int
    length: int

    def part(self, time: int) -> int:
        return min(PARTS - 1, max(0, (time - self.first) * PARTS // self.length))

    def parts(self, times: npt.NDArray[np.int64], parts: int = PARTS) -> Ints:
        scaled = (times - self.first) / self.length * parts
        return np.clip(scaled.astype(np.int64), 0, parts - 1)

    def text(self, part: int) -> str:
        return _seconds(self.length * part // PARTS, self.length)


def _seconds(after: int, whole: int) -> str:
    """A time after the beginning, as exact as a part of `whole` is long."""
    unit, name = (1e9, "s") if whole >= 1e9 else (1e6, "ms")
    digits = next((n for n, least in enumerate((100, 10, 1)) if whole >= least * unit), 3)
    return f"{after / unit:,.{digits}f} {name}"


def _counted(tables: Tables, clock: _Clock) -> tuple[Ints, Ints]:
    """Of every part: the most requests that are under way in it, and how many lack frames."""
    fine = PARTS * FINE
    begun, ended = (np.zeros(fine + 1, dtype=np.int64) for _ in range(2))
    gaps = np.zeros(PARTS, dtype=np.int64)
    for rows, _ in tables.judged():
        asked = rows[rows["request_frame"] > 0]
        starts = clock.parts(asked["request_time"], fine)
        ends = np.maximum(clock.parts(_ends(asked, tables), fine), starts)
        begun += np.bincount(starts, minlength=fine + 1)
        ended += np.bincount(ends + 1, minlength=fine + 1)
        gaps += np.bincount(starts[asked["flags"] & _GAP != 0] // FINE, minlength=PARTS)
    under_way = np.cumsum(begun - ended)[:fine].reshape(PARTS, FINE).max(axis=1)
    return under_way, gaps


def _ends(rows: Array, tables: Tables) -> Ints:
    """Until when requests are under way: to the last byte that came, or their connection's end."""
    ends = np.where(rows["response_end_frame"] > 0, rows["response_end_time"], 0)
    left = (rows["outcome"] != Outcome.ANSWERED) & (ends == 0)
    ends = np.where(left, tables.connections["last_time"][rows["connection"]], ends)
    return np.where(ends == 0, rows["response_time"], ends).astype(np.int64)


def _curve(counts: Ints, most: int) -> str:
    """The counts as an area that stands on the lower edge."""
    scale = HEIGHT / max(1, most)
    path = [f"M0 {HEIGHT}"]
    before = -1.0
    for part, count in enumerate(counts.tolist()):
        y = round(HEIGHT - count * scale, 1)
        if y != before:
            path.append(f"H{part}V{y:g}")
            before = y
    return "".join((*path, f"H{PARTS}V{HEIGHT}Z"))


def _of_findings(
    findings: Sequence[Finding], clock: _Clock, shown: Container[str]
) -> Iterable[Strip]:
    """A strip for every kind of finding that there is."""
    for kind, label in KINDS:
        parts: dict[int, list[Finding]] = {}
        for finding in findings:
            what = finding.response or finding.request
            if finding.kind is kind and what is not None:
                parts.setdefault(clock.part(what.time), []).append(finding)
        if not parts:
            continue
        marks = tuple(
            Mark(
                part,
                1,
                f"{clock.text(part)}: {len(found):,} × {kind}",
                next((f.incident for f in found if f.incident in shown), ""),
            )
            for part, found in sorted(parts.items())
        )
        total = sum(map(len, parts.values()))
        yield Strip(label, kind, marks, f"{total:,} × {kind}")


def _of_counts(counts: Ints, label: str, style: str, clock: _Clock) -> Strip:
    marks = tuple(
        Mark(part, 1, f"{clock.text(part)}: {count:,} × {label}")
        for part, count in enumerate(counts.tolist())
        if count
    )
    return Strip(label, style, marks, f"{counted(int(counts.sum()), 'request')}: {label}")


def _of_captures(report: Report, clock: _Clock) -> Iterable[Strip]:
    """When each capture was made: what none has is a gap."""
    for number, capture in enumerate(report.captures[:MOST_CAPTURES]):
        if capture.first is None or capture.last is None:
            continue
        name = report.tables.files[number] if report.tables.files else capture.path
        begin, end = clock.part(capture.first), clock.part(capture.last)
        text = f"{name}: {clock.text(begin)} to {clock.text(end + 1)}"
        yield Strip(name, "capture", (Mark(begin, end - begin + 1, text),), text)
