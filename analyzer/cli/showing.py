"""What a report is shown and written as."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from analyzer.cli.printing import PIPED, Text, complain, print_all, say, unwrapped
from analyzer.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from analyzer.explain.incidents import Incident
    from analyzer.pipeline import Examination
    from analyzer.report.outputs import Outputs
    from analyzer.report.paste import Commands
    from analyzer.report.result import Report

MOST_SHOWN = 5  # incidents whose messages a scan shows


@dataclass(frozen=True)
class Shown:
    """What a scan shows on standard output."""

    examination: "Examination"
    commands: "Commands"
    endpoints: bool = False
    full: bool = False


def show(shown: Shown) -> None:
    from analyzer.report import verdict
    from analyzer.report.layout import UNWRAPPED, Out

    examination, report = shown.examination, shown.examination.report
    overview = examination.overview(verdict.MOST_LISTED)

    def show(console: "Console") -> None:
        width = UNWRAPPED if unwrapped(console) else min(console.width, verdict.WIDEST)
        verdict.show(report, overview, shown.commands, Out(console, width), full=shown.full)
        if not (shown.full or shown.endpoints):
            return
        from analyzer.report import terminal  # here, because it is slow to import

        if shown.full:
            console.print()
            terminal.details(report, console)
        else:
            console.print()
            terminal.endpoints(report, console)

    print_all(show, piped=PIPED)


def write(shown: "Shown", outputs: "Outputs", *, show_bodies: bool, show_secrets: bool) -> None:
    """Write all outputs; where one cannot be written the others still are.

    Raises InputError with a line for each that could not be.
    """
    from analyzer.report import files
    from analyzer.report.outputs import is_standard_output

    examination, report = shown.examination, shown.examination.report

    def page() -> bytes:
        return _page(examination, show_bodies=show_bodies, show_secrets=show_secrets)

    def put_har(file: IO[bytes]) -> None:
        from analyzer import archive
        from analyzer.report.har import Shown

        archive.write(examination, file, Shown(show_bodies, show_secrets))

    every: list[tuple[str | None, Callable[[IO[bytes]], Any]]] = [
        (outputs.csv, lambda file: file.write(files.csv_text(report))),
        (
            outputs.exchanges,
            lambda file: files.write_exchanges(report, str(outputs.exchanges), file),
        ),
        (outputs.json, lambda file: file.write(files.json_text(report))),
        (outputs.jsonl, lambda file: file.write(files.jsonl_text(report))),
        (outputs.html, lambda file: file.write(page())),
        (outputs.junit, lambda file: file.write(_junit(examination))),
        (outputs.har, put_har),
    ]
    alone: Callable[[IO[bytes]], Any] | None = None
    if report.partial and outputs.har is not None:
        complain(f"{outputs.har}: no HAR is written of captures that were not read to their end")
        every.pop()
        if is_standard_output(outputs.har):
            alone = _nothing
    problems: list[str] = []
    for path, put in every:
        if is_standard_output(path):
            alone = put
        elif path is not None:
            try:
                files.write(path, put, force=outputs.force)
            except InputError as error:
                problems += error.args
    try:
        show(shown) if alone is None else say(_bytes(alone))
    except InputError as error:
        problems += error.args
    if problems:
        raise InputError(*problems)
    if alone is not None and report.nothing_judged:
        complain(f"nothing could be judged: {report.coverage.summary}")


def _nothing(_: IO[bytes]) -> None:
    """Write nothing."""


def _bytes(put: Callable[[IO[bytes]], Any]) -> bytes:
    file = io.BytesIO()
    put(file)
    return file.getvalue()


def _page(examination: "Examination", *, show_bodies: bool, show_secrets: bool) -> bytes:
    """The report as a page, for which the captures are read once more."""
    from analyzer import __version__
    from analyzer.report.page.render import html
    from analyzer.report.page.view import MOST_FULL

    incidents = examination.incidents()
    stories = examination.stories(
        incidents[:MOST_FULL], show_bodies=show_bodies, show_secrets=show_secrets
    )
    summaries = [examination.summary(one) for one in incidents]
    return html(examination.report, summaries, stories, __version__)


def _junit(examination: "Examination") -> bytes:
    from analyzer.report.junit import junit

    summaries = [examination.summary(one) for one in examination.incidents()]
    return junit(examination.report, summaries)


def write_evidence(examination: "Examination", folder: str, *, force: bool) -> None:
    from analyzer import dossier

    if examination.report.partial:
        complain(f"{folder}: no evidence is written of captures that were not read to their end")
        return
    written = dossier.write(examination, folder, force=force)
    for one in written:
        if not one.found:
            complain(f"{one.path}: the same incident is not found in it")
    if written:
        what = "incident" if len(written) == 1 else "incidents"
        complain(f"{len(written)} {what} in {folder}; .pcapng files hold packets, hence bodies")


def show_messages(examination: "Examination", *, show_secrets: bool) -> None:
    from analyzer.report import ladder

    stories = examination.stories(
        examination.incidents()[:MOST_SHOWN], show_bodies=True, show_secrets=show_secrets
    )

    def tell(console: "Console") -> None:
        for story in stories:
            ladder.messages(story, console)

    print_all(tell)


def say_brief(examination: "Examination", chosen: "Incident") -> None:
    from analyzer.report import verdict

    text = verdict.brief(examination.report, examination.summary(chosen))
    say(f"{text}\n".encode(Text.encoding, "backslashreplace"))


def chosen_by(name: str | None, report: "Report", incidents: "list[Incident]") -> "Incident":
    """The incident that a person means; raises InputError when it is none, or not one."""
    if name is None:
        return incidents[0]
    findings = report.judgement.findings
    if name.isdigit() and 1 <= int(name) <= len(findings):
        names = {findings[int(name) - 1].id}
    else:
        ids = (*(f.id for f in findings), *(i.id for i in incidents))
        names = {i for i in ids if name and i.startswith(name)}
    found = [i for i in incidents if i.id in names or names & {f.id for f in i.findings}]
    if not found:
        raise InputError(f"{name}: no finding or incident has this id or number")
    if len(found) > 1:
        raise InputError(f"{name}: {len(found)} incidents have ids that begin so")
    return found[0]


def tell(
    examination: "Examination",
    chosen: "Incident",
    incidents: "list[Incident]",
    *,
    show_bodies: bool,
    show_secrets: bool,
) -> None:
    from analyzer.report import ladder, remarks
    from analyzer.report.comments import told

    report = examination.report
    comments = told(report.captures, chosen.findings, report.tables)
    story = examination.story(chosen, show_bodies=show_bodies, show_secrets=show_secrets)

    def tell(console: "Console") -> None:
        ladder.show(story, console, comments, mark=remarks.marked(report, story.id))
        ladder.others([i.headline for i in incidents if i is not chosen], console)

    print_all(tell)
