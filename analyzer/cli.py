"""The command line: the only place that prints or sets an exit status.

Exit status: 0 nothing found, 1 at least one finding, 2 it could not be done.
"""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from analyzer import __version__
from analyzer.errors import InputError

if TYPE_CHECKING:
    from analyzer.explain.incidents import Incident
    from analyzer.pipeline import Examination
    from analyzer.report.result import Report

NOTHING_FOUND, FOUND, NOT_DONE = 0, 1, 2
STANDARD_STREAM = "-"

_JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="the processors",
    help="Processes to read large captures with.",
)
_SHOW_BODIES = click.option(
    "--show-bodies",
    is_flag=True,
    help="Show the messages of an incident with the values in their bodies.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wrangler-forensics")
def main() -> None:
    """Find the HTTP responses that went to the wrong request, or to none.

    \b
    wrangler-forensics scan capture.pcap
    """


@main.command()
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the findings, a row each.")
@click.option(
    "--json", "json_file", metavar="FILE", help="Write the whole report; '-' is standard output."
)
@click.option(
    "--exchanges",
    "exchanges_file",
    metavar="FILE",
    help="Write every exchange, as .csv or .parquet.",
)
@_JOBS
@click.option("--force", is_flag=True, help="Replace output files that exist.")
def scan(
    captures: tuple[str, ...],
    csv_file: str | None,
    json_file: str | None,
    exchanges_file: str | None,
    jobs: int,
    force: bool,
) -> None:
    """Read captures and report every response that is not its request's own.

    CAPTURE is a pcap or pcapng file, plain or compressed (gzip, zstd, lz4, xz, bzip2); a directory;
    several files of one rotated set or of several vantages; or '-' for standard input.

    Exit status: 0 nothing found, 1 at least one finding, 2 it could not be done.
    """

    def work() -> bool:
        _check_outputs(csv_file, json_file, exchanges_file, force=force)
        report = _examine(list(captures), jobs).report
        _write(report, csv_file, json_file, exchanges_file)
        return bool(report.judgement.findings)

    _run(work)


@main.command()
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
@click.option(
    "--finding",
    metavar="ID",
    help="Which incident: the id of a finding or an incident, its beginning, or the number of a "
    "finding in the scan's table. Without it the worst is told.",
)
@_JOBS
@_SHOW_BODIES
def explain(captures: tuple[str, ...], finding: str | None, jobs: int, show_bodies: bool) -> None:
    """Tell one incident: what happened, the evidence, the causes, and what would settle the rest.

    CAPTURE is as in scan. The captures are read a second time for the connections of the incident;
    standard input is kept in a temporary file for that.

    Values from bodies are not shown, unless --show-bodies is given.

    Exit status: 0 nothing found, 1 at least one finding, 2 it could not be done.
    """

    def work() -> bool:
        examination = _examine(list(captures), jobs)
        incidents = examination.incidents()
        if not incidents:
            _show(examination.report)
            return False
        chosen = _chosen(finding, examination.report, incidents)
        _tell(examination, chosen, incidents, show_bodies=show_bodies)
        return True

    _run(work)


def _chosen(name: str | None, report: "Report", incidents: "list[Incident]") -> "Incident":
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


def _tell(
    examination: "Examination",
    chosen: "Incident",
    incidents: "list[Incident]",
    *,
    show_bodies: bool,
) -> None:
    from rich.console import Console

    from analyzer.report import ladder

    console = Console(highlight=False, soft_wrap=False)
    ladder.show(examination.story(chosen, show_bodies=show_bodies), console)
    ladder.others([i.headline for i in incidents if i is not chosen], console)


def _run(work: Callable[[], bool]) -> NoReturn:
    """Do the work, which says whether anything was found, and end with the exit status."""
    try:
        found = work()
    except InputError as error:
        click.echo(f"wrangler-forensics: {_one_line(error)}", err=True)
        sys.exit(NOT_DONE)
    except KeyboardInterrupt:
        click.echo("wrangler-forensics: interrupted", err=True)
        sys.exit(NOT_DONE)
    except Exception:
        # Our bug. Python's own status for it is 1, which here would mean a finding.
        traceback.print_exc()
        sys.exit(NOT_DONE)
    sys.exit(FOUND if found else NOTHING_FOUND)


def _one_line(error: InputError) -> str:
    from analyzer.report.escape import visible

    return visible(str(error))


def _check_outputs(
    csv_file: str | None, json_file: str | None, exchanges_file: str | None, *, force: bool
) -> None:
    """Complain before the work, not after it."""
    from analyzer.report import files

    for path in (csv_file, json_file, exchanges_file):
        if path is not None and not (path is json_file and path == STANDARD_STREAM):
            files.check(path, force=force)
    if exchanges_file is not None and not exchanges_file.endswith((".csv", ".parquet")):
        raise InputError(f"{exchanges_file}: the name must end in .csv or .parquet")
    named = [str(Path(p).resolve()) for p in (csv_file, json_file, exchanges_file) if p]
    if len(named) != len(set(named)):
        raise InputError("two outputs have the same name")


def _examine(captures: list[str], jobs: int) -> "Examination":
    import gc

    from analyzer import pipeline

    # Nothing built here has cycles that matter, and looking for some takes a tenth of the time.
    gc.disable()
    with _progress(captures) as advance:
        return pipeline.examine(captures, progress=advance, jobs=jobs)


class _Silent:
    """No progress bar: the standard error is no terminal."""

    def __enter__(self) -> Callable[[int], None] | None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class _Bar:
    """A progress bar over the bytes of the captures, on standard error."""

    def __init__(self, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("reading", total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._progress.__enter__()
        return lambda size: self._progress.advance(self._task, size)

    def __exit__(self, *problem: object) -> None:
        self._progress.__exit__(None, None, None)


def _progress(captures: list[str]) -> "_Silent | _Bar":
    if not sys.stderr.isatty():
        return _Silent()
    paths = [Path(path) for path in captures]
    total = sum(
        file.stat().st_size
        for path in paths
        if path.exists()
        for file in (path.rglob("*") if path.is_dir() else (path,))
        if file.is_file()
    )
    return _Bar(total or None)


def _write(
    report: "Report", csv_file: str | None, json_file: str | None, exchanges_file: str | None
) -> None:
    from analyzer.report import files

    if csv_file is not None:
        files.write(csv_file, lambda file: file.write(files.csv_text(report)))
    if exchanges_file is not None:
        name = exchanges_file
        files.write(name, lambda file: files.write_exchanges(report, name, file))
    if json_file == STANDARD_STREAM:
        sys.stdout.buffer.write(files.json_text(report))
        return
    if json_file is not None:
        files.write(json_file, lambda file: file.write(files.json_text(report)))
    _show(report)


def _show(report: "Report") -> None:
    from rich.console import Console

    from analyzer.report import terminal

    console = Console(highlight=False, soft_wrap=False)
    terminal.show(report, console)
