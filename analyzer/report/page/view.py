"""REPORT, SUMMARIES and STORIES -> PAGE: what is shown, in what order, and how much of it.

Law: pure; it chooses and counts. Sentences come from the summaries, the stories and `remarks`.
Whatever is left out is counted, so that the page can say so.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from analyzer.correlate.frames import Frame, listed
from analyzer.explain.model import Bodies, Story
from analyzer.explain.model import Exhibit as Message
from analyzer.explain.model import Scale as Weighed
from analyzer.explain.model import Step as Recipe
from analyzer.explain.overviews import Summary
from analyzer.findings import model
from analyzer.findings.model import Confidence, Finding, Kind, Verdict
from analyzer.report import comments, remarks
from analyzer.report.counts import counted
from analyzer.report.escape import rfc3339, shortened
from analyzer.report.page.ladder import drawing
from analyzer.report.page.model import (
    Cause,
    Endpoint,
    Exhibit,
    Filter,
    Form,
    Group,
    Incident,
    Leading,
    Line,
    Listed,
    Lost,
    Page,
    Proof,
    Scale,
    Shapes,
    Step,
    Unjudged,
    Weight,
)
from analyzer.report.page.timeline import timeline
from analyzer.report.result import Report, seen_text

MOST_FULL = 200  # incidents that are told in full,
MOST_LINES = 2_000  # and that have a row each
MOST_LEADING = 8  # sentences on top
MOST_PROOFS = 8  # findings of an incident whose evidence is shown
MOST_FACTS = 40  # of a finding;
MANY, FIRST, MOST_FACTS_OF_MANY = 20, 3, 3  # where there are many, only the first have so many
MOST_BODIES = 2  # comparisons of an incident
MOST_SEEN = 24
MOST_ENDPOINTS, MOST_FORMS = 100, 8
MOST_UNDECIDED, MOST_NOTICES = 50, 100
MOST_FILTERS = 3
_LONGEST_SHAPE, _LONGEST_NAME, _LONGEST_LINE, _LONGEST_REMARK = 300, 200, 300, 1_000
MOST_REMARKS = 200  # of what was read
_WORDS = {
    Verdict.SUPPORTED: "supported",
    Verdict.POSSIBLE: "possible",
    Verdict.RULED_OUT: "ruled out",
}
_LOST = "lost"
_OR = " || "  # of display filters


def page(
    report: Report, summaries: Sequence[Summary], stories: Sequence[Story], version: str
) -> Page:
    """The page; `summaries` are of all incidents, the worst first, `stories` of the first ones.

    `version` is the program's.
    """
    judgement = report.judgement
    once = _Once(len(stories))
    incidents = tuple(
        _incident(number, report, summary, story, once)
        for number, (summary, story) in enumerate(zip(summaries, stories, strict=False), 1)
    )
    rest = summaries[len(incidents) :]
    groups = tuple(_groups(report, rest))
    shown = {one.summary.id for one in incidents}
    rows = [line.summary for group in groups for line in group.lines]
    shown.update(one.id for one in rows)
    leading = tuple(_leading(summaries))[:MOST_LEADING] if len(summaries) > 1 else ()
    headline, tone, said = _verdict(report, summaries)
    endpoints = judgement.endpoints
    kinds = [*(kind for one in incidents for kind in one.kinds), *(one.kind for one in rows)]
    return Page(
        title=f"{headline.rstrip('.')} – wrangler-forensics",
        headline=headline,
        tone=tone,
        said=tuple(said),
        warnings=tuple(remarks.warnings(report)),
        leading=leading,
        like_them=sum(one.more + 1 for one in leading),
        incidents=incidents,
        meanings=tuple(sorted(once.meanings.items())),
        steps=tuple(Step(n, step.why, step.commands) for step, n in once.steps.items()),
        groups=groups,
        shown=frozenset(shown),
        in_all=len(summaries),
        kinds=_present(Kind, kinds),
        confidences=_present(Confidence, (one.confidence for one in summaries)),
        timeline=timeline(report, shown),
        endpoints=tuple(_endpoints(report)),
        more_endpoints=max(0, len(endpoints) - MOST_ENDPOINTS),
        unjudged=tuple(Unjudged(one.things, one.why, one.advice) for one in report.coverage[1]),
        undecided=_first(
            [
                _at(report.tables.frame(one.request), f"{one.request.endpoint}: {one.why}")
                for one in judgement.undecided[:MOST_UNDECIDED]
            ],
            judgement.undecided_total,
        ),
        notices=_first(list(_notices(report)), len(judgement.notices)),
        about=tuple((label, shortened(text, _LONGEST_REMARK)) for label, text in _about(report)),
        version=version,
        with_bodies=any(story.exhibits for story in stories),
    )


def _verdict(report: Report, summaries: Sequence[Summary]) -> tuple[str, str, Iterator[str]]:
    """The headline, its tone, and what is said below it."""
    if report.nothing_judged:
        lacking = remarks.lacking(report)
        return remarks.NOTHING_JUDGED, "unjudged", chain([remarks.NOT_WELL], lacking)
    if not summaries:
        return remarks.NO_FINDING, "well", chain(_judged(report), [remarks.HOLDS_FOR])
    if len(summaries) == 1:
        title = summaries[0].title
        return f"{title[:1].upper()}{title[1:]}", "found", _judged(report)
    return counted(len(summaries), "incident"), "found", _judged(report)


def _judged(report: Report) -> Iterator[str]:
    """How much was judged, and all that bears on it."""
    yield from remarks.judged(report)
    yield from remarks.basis(report)
    yield from remarks.marks(report)
    if remarks.not_judged(report):
        yield f"{remarks.not_judged(report)}; the reasons are below."
    yield from remarks.limits(report)
    yield from remarks.lacking(report)


def _present(order: Iterable[str], found: Iterable[str]) -> tuple[str, ...]:
    """Those of an order that are found."""
    there = set(found)
    return tuple(str(one) for one in order if str(one) in there)


def _first(texts: Sequence[str], total: int) -> Listed:
    return Listed(tuple(texts), max(0, total - len(texts)))


def _at(frame: Frame | None, text: str) -> str:
    return f"{listed([frame], 1)}: {text}" if frame else text


def _about(report: Report) -> Iterator[tuple[str, str]]:
    checked = (("", text) for text in remarks.verified(report))
    yield from islice(chain(remarks.about(report), checked), MOST_REMARKS)


# --- one incident --------------------------------------------------------------------------


@dataclass(slots=True)
class _Once:
    """What many incidents have in common, and the page has once."""

    incidents: int
    legend: set[str] = field(default_factory=set)
    why: dict[tuple[str, ...], int] = field(default_factory=dict)  # -> number of the first one
    meanings: dict[str, str] = field(default_factory=dict)  # of causes
    steps: dict[Recipe, int] = field(default_factory=dict)  # -> number on the page

    def most_facts(self, number: int) -> int:
        """How many facts are shown of a finding of an incident."""
        whole = self.incidents <= MANY or number <= FIRST
        return MOST_FACTS if whole else MOST_FACTS_OF_MANY


def _incident(number: int, report: Report, summary: Summary, story: Story, once: _Once) -> Incident:
    findings = story.findings
    legend = [line for line in story.legend[_swap_legend(story) :] if line not in once.legend]
    once.legend.update(legend)
    why = tuple(text for text in story.summary if text.startswith("Why"))
    first = once.why.setdefault(why, number)
    once.meanings.update(
        (cause.cause, cause.meaning) for cause in story.causes if cause.meaning != cause.cause
    )
    most = once.most_facts(number)
    proofs = tuple(
        Proof(proof.of, tuple(fact.fact for fact in proof.facts[:most]))
        for proof in story.evidence[:MOST_PROOFS]
    )
    return Incident(
        number=number,
        summary=summary,
        time=_time(summary.time),
        kinds=_present(Kind, (str(finding.kind) for finding in findings)),
        findings=tuple(finding.id for finding in findings),
        drawing=drawing(story),
        legend=tuple(legend),
        caveats=story.caveats,
        why=why if first == number else (),
        as_before=first if first != number else 0,
        filters=tuple(_filters(report, summary, findings)),
        shapes=tuple(_shapes(bodies) for bodies in story.bodies[:MOST_BODIES]),
        proofs=proofs,
        seen=_seen(report, findings),
        comments=Listed(tuple(comments.told(report.captures, findings, report.tables))),
        scales=tuple(_scale(scale) for scale in story.scales),
        lost=tuple(_lost(findings)),
        causes=tuple(_cause(cause) for cause in story.causes),
        hints=story.hints,
        steps=tuple(once.steps.setdefault(step, len(once.steps) + 1) for step in story.steps),
        exhibits=tuple(_exhibit(exhibit) for exhibit in story.exhibits),
        more_facts=sum(len(proof.facts) for proof in story.evidence)
        - sum(len(proof.facts) for proof in proofs),
        mark=remarks.marked(report, summary.id),
    )


def _time(nanoseconds: int) -> str:
    return f"{rfc3339(nanoseconds)[:23]}Z"


def _swap_legend(story: Story) -> int:
    """How many lines of the legend are on the terminal's arrows, which are not drawn here."""
    return sum("━" in line for line in story.legend[:1])


def _filters(report: Report, summary: Summary, findings: Sequence[Finding]) -> Iterator[Filter]:
    """The frames to look at, in each capture, and the connections."""
    frames: dict[int, list[int]] = {}
    for pointer in summary.frames:
        if pointer.frame:
            frames.setdefault(pointer.frame.capture, []).append(pointer.frame.number)
    for capture, numbers in frames.items():
        name = f", in {report.tables.files[capture]}" if report.tables.files else ""
        text = _OR.join(f"frame.number == {n}" for n in sorted(set(numbers)))
        yield Filter(f"The frames{name}", text)
    every = sorted({f.filter for f in findings if f.filter}, key=lambda text: (-len(text), text))
    kept: dict[str, set[str]] = {}  # none that shows no more than another one
    for text in every:
        parts = set(text.split(_OR))
        if not any(parts <= others for others in kept.values()):
            kept[text] = parts
    for text in list(kept)[:MOST_FILTERS]:
        yield Filter("The connections", text)


def _seen(report: Report, findings: Sequence[Finding]) -> Listed:
    """What every vantage saw, where there are several."""
    lines = list(
        dict.fromkeys(
            seen_text(seen, report)
            for finding in findings
            if len(finding.seen) > 1
            for seen in finding.seen
        )
    )
    return _first(lines[:MOST_SEEN], len(lines))


def _shapes(bodies: Bodies) -> Shapes:
    owner = bodies.owner
    same = owner is not None and (owner.status, owner.lines) == (
        bodies.came.status,
        bodies.came.lines,
    )
    return Shapes(bodies.usual, bodies.came, owner, same, bodies.comparison)


def _scale(scale: Weighed) -> Scale:
    most = max((abs(bits) for _, bits in scale.lines), default=0.0) or 1.0
    return Scale(
        tuple(
            Weight(about, _bits(bits), round(abs(bits) / most * 20) * 5, bits < 0)
            for about, bits in scale.lines
        ),
        _bits(scale.bits) if scale.bits > 0 else "",
        scale.odds,
    )


def _bits(bits: float) -> str:
    return f"{bits:+.1f}".replace("-", "−")


def _lost(findings: Sequence[Finding]) -> Iterator[Lost]:
    """The explanations that lost, each once."""
    known = set()
    for finding in findings:
        for one in finding.explanations:
            if one.verdict == _LOST and one.name not in known:
                known.add(one.name)
                yield Lost(one.name, one.because)


def _cause(cause: model.Cause) -> Cause:
    return Cause(
        name=cause.cause,
        verdict=str(cause.verdict),
        word=_WORDS[cause.verdict],
        because=cause.because,
        where=listed(cause.frames, len(cause.frames)) if cause.frames else "",
    )


def _exhibit(exhibit: Message) -> Exhibit:
    text = "\n\n".join(part for part in (exhibit.head, exhibit.body) if part)
    return Exhibit(exhibit.title, exhibit.frame, tuple(re.split("\r\n|\n|\r", text)))


# --- the rest ------------------------------------------------------------------------------


def _alike(summaries: Sequence[Summary]) -> list[list[Summary]]:
    """Incidents that repeat (see `explain.model.Group`), in the order of the first of each."""
    same: dict[tuple[str, ...], list[Summary]] = {}
    for one in summaries:
        key = str(one.kind), str(one.confidence), one.cause, one.endpoint
        same.setdefault(key, []).append(one)
    return list(same.values())


def _leading(summaries: Sequence[Summary]) -> Iterator[Leading]:
    """The first of all that are alike; where there are few, every one."""
    if len(summaries) <= MOST_LEADING:
        yield from (Leading(one, 0) for one in summaries)
        return
    for every in _alike(summaries):
        yield Leading(every[0], len(every) - 1)


def _groups(report: Report, summaries: Sequence[Summary]) -> Iterator[Group]:
    """All that are alike together; each group has a fair share of the lines that there may be."""
    same = _alike(summaries)
    room = MOST_LINES
    for left, every in zip(range(len(same), 0, -1), same, strict=True):
        # What a small one leaves over is for those after it.
        shown = every[: -(-room // left)]
        lines = tuple(Line(one, _time(one.time), remarks.marked(report, one.id)) for one in shown)
        room -= len(lines)
        yield Group(every[0], len(every), lines)


def _endpoints(report: Report) -> Iterator[Endpoint]:
    endpoints = report.judgement.endpoints
    several = len({endpoint.host for endpoint in endpoints}) > 1
    for one in endpoints[:MOST_ENDPOINTS]:
        name = f"{one.endpoint}  ({one.host})" if several and one.host else one.endpoint
        yield Endpoint(
            shortened(name, _LONGEST_NAME),
            one.requests,
            tuple(
                Form(form.count, form.status, shortened(form.shape, _LONGEST_SHAPE))
                for form in one.shapes[:MOST_FORMS]
            ),
            max(0, len(one.shapes) - MOST_FORMS),
        )


def _notices(report: Report) -> Iterator[str]:
    for notice in report.judgement.notices[:MOST_NOTICES]:
        what = notice.response or notice.request
        name = f"{notice.request.endpoint}: " if notice.request is not None else ""
        text = shortened(f"{name}{notice.notice}", _LONGEST_LINE)
        yield _at(report.tables.frame(what) if what is not None else None, text)
