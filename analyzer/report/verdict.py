"""What a scan says first: what happened, what to type next, and how far that can be relied on.

Law: the verdict first, then what it rests on and what was not judged; a line for each thing, and
nothing that bears on the verdict is left for `--full`. Sentences on incidents are the summary's.
"""

from collections.abc import Iterator

from rich.text import Text

from analyzer.anomalies import LACKING
from analyzer.explain.overviews import Group, Overview, Summary
from analyzer.findings.model import Notice
from analyzer.limits import LIMITS
from analyzer.report import remarks
from analyzer.report.clocks import comparisons
from analyzer.report.counts import counted, every_anomaly
from analyzer.report.escape import rfc3339, visible
from analyzer.report.layout import Out
from analyzer.report.paste import Commands
from analyzer.report.result import Report

WIDEST = 100  # columns of prose; a longer line is harder to read
MOST_TOLD = 3  # groups of incidents that are all told in sentences; of more the worst is
MOST_LISTED = 12  # groups in the table
MOST_REASONS = 4  # why exchanges were not judged
MOST_NOTICES = 2


def show(
    report: Report, overview: Overview, commands: Commands, out: Out, *, full: bool = False
) -> None:
    """Print the verdict; `full` says that all details follow it."""
    for text in remarks.warnings(report):
        out.say(text, style="bold red")
        out.console.print()
    if report.nothing_judged:
        _nothing_judged(report, out)
    elif overview.groups:
        _incidents(report, overview, commands, out)
        out.console.print()
        _relied_on(report, out, full=full)
    else:
        out.say(remarks.NO_FINDING, style="bold green")
        _relied_on(report, out, full=full)
    if not full:
        out.say(_more(report), style="dim")


def brief(report: Report, summary: Summary) -> str:
    """One incident in plain text, for those who were not there: some 600 characters."""
    where = remarks.names(report)
    sure = f"How sure: {summary.confidence}."
    frames = ", ".join(str(pointer.frame) for pointer in summary.frames)
    lines = (
        f"{where}, {rfc3339(summary.time)[:19]}Z, incident {summary.id}: {summary.sentence}",
        summary.why,
        f"{sure} Frames: {frames}." if frames else sure,
    )
    return "\n".join(map(visible, lines))


# --- what happened -------------------------------------------------------------------------


def _incidents(report: Report, overview: Overview, commands: Commands, out: Out) -> None:
    groups = overview.groups
    told = groups if overview.groups_in_all <= MOST_TOLD else groups[:1]
    for number, group in enumerate(told):
        if number:
            out.console.print()
        _told(report, group, commands, out, first=not number)
    if len(told) < overview.groups_in_all:
        out.console.print()
        _table(report, overview, out)


def _told(report: Report, group: Group, commands: Commands, out: Out, *, first: bool) -> None:
    summary = group.summary
    often = f"{_times(group.count, out)} " if group.count > 1 else ""
    title = summary.title if often else f"{summary.title[:1].upper()}{summary.title[1:]}"
    out.say(f"{often}{title}", style="bold red")
    out.say(remarks.happened(group))
    out.say(summary.why, bold=len("Why"))
    out.say(remarks.sure(summary), bold=len("How sure"))
    mark = remarks.marked(report, summary.id)
    if mark:
        out.say(mark, bold=len("Marked"))
    if first:
        out.say("Next, step by step (with --brief: a text to pass on):", style="dim")
    # Not wrapped: it is there to be copied.
    out.line(Text(f"  {commands.explain(summary.id)}", style="bold cyan"))


def _table(report: Report, overview: Overview, out: Out) -> None:
    """A line for each group; two where one would be too long for the terminal."""
    groups = overview.groups[:MOST_LISTED]
    out.say(f"All {overview.incidents:,} incidents, the worst first:", style="bold")
    rows = [_row(report, group, out) for group in groups]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    longest = max(len(row[-1]) for row in rows)
    margin = widths[0] + 2
    in_a_line = sum(widths) + 2 * len(widths) + longest <= max(out.width, out.console.width)
    for row in rows:
        cells = [row[0].rjust(widths[0])]
        cells += [cell.ljust(width) for cell, width in zip(row[1:-1], widths[1:], strict=True)]
        if in_a_line:
            out.line(Text("  ".join([*cells, row[-1]])))
        else:
            out.line(Text("  ".join(cells)))
            out.say(row[-1], indent=margin)
    left = overview.incidents - sum(group.count for group in groups)
    if left:
        out.say(f"and {counted(left, 'more incident')}; --csv and --json have all.", style="dim")
    if any(group.count > 1 for group in groups):
        out.say(
            "Those of one kind, cause and endpoint are in one line, under the name of the first; "
            "--csv and --json have all names.",
            style="dim",
        )


def _row(report: Report, group: Group, out: Out) -> tuple[str, ...]:
    summary = group.summary
    mark = report.marks.get(summary.id)
    return (
        _times(group.count, out),
        str(summary.kind),
        str(summary.confidence),
        rfc3339(summary.time)[11:19],
        summary.id,
        summary.cause,
        visible(summary.endpoint or summary.title) + (f" [{mark.mark}]" if mark else ""),
    )


def _times(count: int, out: Out) -> str:
    return f"{count:,} {'x' if out.console.options.ascii_only else '×'}"


# --- what it rests on ----------------------------------------------------------------------


def _nothing_judged(report: Report, out: Out) -> None:
    out.say(f"{remarks.NOTHING_JUDGED} {remarks.NOT_WELL}", style="bold yellow")
    for one in report.coverage.unjudged:
        out.say(f"{one.things}: {one.why}", indent=2)
    for text in remarks.advice(report):
        mark = "->" if out.console.options.ascii_only else "→"
        out.say(text, indent=2 + len(mark), label=f" {mark}")
    for text in (
        *remarks.basis(report),
        *remarks.lacking(report),
        *remarks.limits(report),
        remarks.read(report),
    ):
        out.say(text)


def _relied_on(report: Report, out: Out, *, full: bool) -> None:
    """How much was judged, what was not, and what was read."""
    judged, unjudged = report.coverage
    requests = report.judgement.requests
    for text in (*remarks.judged(report), *remarks.basis(report), *remarks.marks(report)):
        out.say(text)
    of_requests = [one for one in unjudged if one.what == "requests"]
    if judged < requests:
        out.say(f"{remarks.not_judged(report)}:")
        shown = of_requests if full else of_requests[:MOST_REASONS]
        marks = [f"  {one.count:,}" for one in shown]
        width = max(map(len, marks), default=0)
        for mark, one in zip(marks, shown, strict=True):
            out.say(f"because {one.why}", indent=width + 1, label=mark.rjust(width))
        if len(of_requests) > len(shown):
            rest = sum(one.count for one in of_requests[len(shown) :])
            out.say(f"{rest:,} for other reasons; --full has them", indent=2)
    for one in unjudged:
        if one.what != "requests":
            out.say(f"Not judged: {one.things}, because {one.why}.")
    for text in _notices(report):
        out.say(text)
    for text in (
        *remarks.limits(report),
        *remarks.lacking(report),
        *_clocks(report),
        *_noted(report),
    ):
        out.say(text)
    if not report.judgement.findings:
        out.say(remarks.HOLDS_FOR)
    out.say(remarks.read(report))
    for text in (*remarks.logs(report), *remarks.verified(report)):
        out.say(text)


def _notices(report: Report) -> Iterator[str]:
    """What is worth a look, though no finding; those that say the same in a line, by the first."""
    alike: dict[str, list[Notice]] = {}
    for notice in report.judgement.notices:
        alike.setdefault(notice.notice, []).append(notice)
    for text, notices in list(alike.items())[:MOST_NOTICES]:
        first = notices[0]
        what = first.response or first.request
        where = f"frame {report.tables.frame(what)}, " if what is not None else ""
        name = f"{first.request.endpoint}: " if first.request is not None else ""
        again = f" ({len(notices):,} times; this is the first)" if len(notices) > 1 else ""
        yield f"Worth a look, though no finding: {where}{name}{text}{again}."
    more = sum(len(notices) for notices in list(alike.values())[MOST_NOTICES:])
    if more:
        are = "is" if more == 1 else "are"
        yield f"{more:,} more {are} worth a look; --full and --json have them."


def _noted(report: Report) -> Iterator[str]:
    """What else was odd, by its names: they are in the report's list."""
    told = {one.reason for one in report.coverage.unjudged} | set(LACKING)
    told |= {limit.anomaly for limit in LIMITS}
    names = [
        f"{count:,} {name}"
        for name, count in every_anomaly(report).most_common()
        if count and name not in told
    ]
    if names:
        yield f"Noted too (--full says what they are): {', '.join(names)}."


def _clocks(report: Report) -> Iterator[str]:
    """Clocks that cannot be compared; and that times were put right, where they were."""
    found = comparisons(report)
    for one in found:
        if one.offset is None:
            yield f"{one.path}: its clock cannot be compared with the others'."
    corrected = [abs(one.offset) for one in found if one.corrected and one.offset is not None]
    if corrected:
        yield (
            f"The captures' clocks differ by up to {max(corrected) / 1e6:,.3f} ms; the times shown "
            "are corrected for that."
        )


def _more(report: Report) -> str:
    evidence = "evidence, causes, " if report.judgement.findings else ""
    return f"More: --full ({evidence}endpoints, all that was noted), --endpoints."
