"""`review`: incidents gone through on a screen, and marked."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from analyzer.cli.group import main
from analyzer.cli.options import (
    BASELINE,
    EXPECT,
    JOBS,
    LIMIT,
    MARKS,
    PATH,
    SHOW_BODIES,
    SHOW_SECRETS,
)
from analyzer.cli.running import (
    STANDARD_STREAM,
    check,
    check_secrets,
    commands_of,
    examine,
    known_before,
    run,
)
from analyzer.cli.showing import Shown, show
from analyzer.errors import InputError

if TYPE_CHECKING:
    from analyzer.report.result import Report
    from analyzer.stopping import Pace


@main.command()
@click.argument("captures", nargs=-1, required=True, type=PATH, metavar="CAPTURE...")
@BASELINE
@EXPECT
@MARKS
@JOBS
@LIMIT
@SHOW_BODIES
@SHOW_SECRETS
def review(
    captures: tuple[str, ...],
    baselines: tuple[str, ...],
    documents: tuple[str, ...],
    marks_file: str | None,
    jobs: int,
    limit: tuple[str, ...],
    show_bodies: bool,
    show_secrets: bool,
) -> None:
    """Go through the incidents in the terminal, and mark them.

    The incidents are in a list, the worst first, and beside it is what explain tells of one. Each
    can be marked as confirmed, dismissed or unsure, with a note; scan, explain, CSV, JSON and the
    page show the marks from then on. A mark changes nothing else: a dismissed incident is a finding
    still, and the exit status is the same. F1 lists the keys.

    CAPTURE is as in scan, but not '-'. It needs the extra "review": pip install
    'wrangler-forensics[review]'.

    Exit status: 0 judged and nothing found, 1 at least one finding, 2 it could not be done,
    3 nothing could be judged.
    """

    def work(pace: "Pace") -> "Report":
        from analyzer.report import marks
        from analyzer.report.outputs import Outputs

        check_secrets(show_secrets, show_bodies)
        if STANDARD_STREAM in captures:
            raise InputError("review reads keys from standard input, not a capture")
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
            raise InputError("review needs a terminal that it can draw on; scan and explain do not")
        reviewing = _reviewing()
        check(Outputs(), captures, limit, (*baselines, *documents))
        place = marks_file or marks.beside(captures) or ""
        marks.check(place, captures)
        known = known_before(baselines, documents)
        examination = examine(list(captures), jobs, pace, known)
        examination.report.marks = marks.read(place)
        if not examination.report.judgement.findings or examination.report.partial:
            show(Shown(examination, commands_of(captures, limit, baselines, documents)))
            return examination.report
        ended = reviewing(examination, place, show_bodies=show_bodies, show_secrets=show_secrets)
        if ended:
            os.kill(os.getpid(), ended)
            raise KeyboardInterrupt
        return examination.report

    run(work)


def _reviewing() -> Callable[..., int]:
    """What goes through incidents; raises InputError where its library is not installed."""
    try:
        from analyzer.review.app import review_incidents
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise InputError(
            "review needs textual: pip install 'wrangler-forensics[review]', or: pip install "
            "textual"
        ) from None
    return review_incidents
