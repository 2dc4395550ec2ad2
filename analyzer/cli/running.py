"""What every command does around its work: checks before it, progress, an exit status at its end.

Exit status: 0 judged and nothing found, 1 at least one finding, 2 it could not be done, 3 nothing
could be judged, 128 and the signal's number when a signal ended it (130 for Ctrl-C, 143 for
SIGTERM).
"""

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from analyzer.cli.printing import complain
from analyzer.errors import InputError

if TYPE_CHECKING:
    from analyzer.logs.model import Log
    from analyzer.pipeline import Examination, Known
    from analyzer.report.outputs import Outputs
    from analyzer.report.paste import Commands
    from analyzer.report.result import Report
    from analyzer.stopping import Pace

NOTHING_FOUND, FOUND, NOT_DONE, NOT_JUDGED = 0, 1, 2, 3
STANDARD_STREAM = "-"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BY_SIGNAL = 128


class NothingLearned(Exception):
    """There were no exchanges that anything could be learned from."""


def run(work: Callable[["Pace"], "Report | None"], *, found: int = FOUND) -> NoReturn:
    """Do the work and end with its exit status, whatever comes in between.

    `found` is the status where there are findings.
    """
    import gc

    # Nothing built here has cycles that matter, and looking for some takes a tenth of the time.
    gc.disable()
    from analyzer.stopping import Pace, Stopped

    pace = Pace()
    caught: list[int] = []

    def stop(number: int, _: object) -> None:
        caught.append(number)
        if len(caught) > 1:
            raise KeyboardInterrupt
        pace.ask()

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        report = work(pace)
        status = found if report is not None and report.judgement.findings else NOTHING_FOUND
        if report is not None and report.nothing_judged:
            status = NOT_JUDGED
        if report is not None and report.partial:
            if found == FOUND:
                complain("ended by a signal; what was read by then has been reported")
            status = BY_SIGNAL + caught[0]
    except NothingLearned:
        complain("nothing could be learned: no exchange of the captures could be judged")
        status = NOT_JUDGED
    except InputError as error:
        for line in error.args:
            complain(line)
        status = NOT_DONE
    except (KeyboardInterrupt, Stopped):
        complain("ended at once; nothing was reported")
        status = BY_SIGNAL + (caught or [signal.SIGINT])[0]
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            # The file system's: a name too long, a folder that may not be read.
            complain(f"{error.filename}: {error.strerror}")
        else:
            # Our bug. Python's own status for it is 1, which here would mean a finding.
            traceback.print_exc()
        status = NOT_DONE
    gc.freeze()  # the interpreter looks for cycles at its end, too
    sys.exit(status)


@contextmanager
def told_in_a_line() -> Iterator[None]:
    """What a person did wrong is told in a line, and the status is 2."""
    try:
        yield
    except InputError as error:
        for line in error.args:
            complain(line)
    except OSError as error:
        if error.filename is None:
            traceback.print_exc()
        else:
            complain(f"{error.filename}: {error.strerror}")
    except Exception:
        # Our bug. Python's own status for it is 1, which here would mean an incident.
        traceback.print_exc()
    else:
        return
    sys.exit(NOT_DONE)


def check_secrets(show_secrets: bool, show_bodies: bool) -> None:
    if show_secrets and not show_bodies:
        raise InputError("--show-secrets shows nothing by itself; it goes with --show-bodies")


def check(
    outputs: "Outputs",
    captures: tuple[str, ...],
    limit: tuple[str, ...],
    beside: tuple[str, ...] = (),
) -> None:
    """Complain before the work, not after it; the limits are in force from here on."""
    from analyzer import limits

    limits.use(limits.parsed(limit))
    from analyzer import facts, pipeline
    from analyzer.report.outputs import check

    try:
        inputs = pipeline.inputs(list(captures)) if captures else []
        inputs += facts.beside(inputs)
    except InputError:
        inputs = list(captures)  # what is the matter with them is told when they are to be read
    check(outputs, inputs, beside)


def known_before(baselines: tuple[str, ...], documents: tuple[str, ...]) -> "Known | None":
    from analyzer import pipeline

    return pipeline.known_from(baselines, documents)


def kept_marks(captures: tuple[str, ...], named: str | None) -> tuple[str, ...]:
    """The file with the marks of an earlier review, which no output may replace."""
    from analyzer.report import marks

    place = named or marks.beside(captures)
    return (place,) if place is not None and Path(place).exists() else ()


def read_marks(report: "Report", captures: tuple[str, ...], named: str | None) -> None:
    """Give a report the marks of an earlier review. Raises InputError where a named file is none.

    A file beside the capture that is none is said, and left alone.
    """
    from analyzer.report import marks

    if named is not None:
        if not Path(named).exists():
            raise InputError(f"{named}: no such file")
        report.marks = marks.read(named)
        return
    place = marks.beside(captures)
    try:
        report.marks = marks.read(place) if place is not None else {}
    except InputError as error:
        complain(f"{error}; no marks are shown")


def read_logs(
    client_logs: tuple[str, ...], server_logs: tuple[str, ...], log_format: str | None
) -> "list[Log]":
    """The logs to hold against the wire. Raises InputError where one is none."""
    if not client_logs and not server_logs:
        if log_format is not None:
            raise InputError("--log-format goes with --client-log or --server-log")
        return []
    from analyzer.logs.model import Side
    from analyzer.logs.reading import Named, read_all

    sides = ((Side.CLIENT, client_logs), (Side.SERVER, server_logs))
    named = [Named(path, side) for side, paths in sides for path in paths]
    return read_all(named, log_format)


def examine(
    captures: list[str],
    jobs: int,
    pace: "Pace",
    known: "Known | None" = None,
    logs: "Sequence[Log]" = (),
) -> "Examination":
    from analyzer import facts, pipeline

    sockets = facts.sockets_in(facts.beside(pipeline.inputs(captures)))
    with _progress(captures) as advance:
        return pipeline.examine(
            captures,
            progress=advance,
            jobs=jobs,
            pace=pace,
            known=known,
            sockets=sockets,
            logs=logs,
        )


class _Silent:
    """No progress bar: the standard error is no terminal, or one that cannot draw it."""

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
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
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


def commands_of(
    captures: tuple[str, ...],
    limit: tuple[str, ...],
    baselines: tuple[str, ...],
    documents: tuple[str, ...],
    logs: tuple[tuple[str, str], ...] = (),
) -> "Commands":
    """The commands to type next: by the name that this program was called by."""
    from analyzer.report.paste import Commands, quoted

    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        program = f"{quoted(_found(Path(sys.executable)))} -m analyzer"
    else:
        program = quoted(_found(called))
    return Commands(program, captures, limit, baselines, documents, logs)


def _found(program: Path) -> str:
    """The name alone of a program that the shell finds by it, else its path as it was called."""
    found = shutil.which(program.name)
    # Links are not followed: the interpreter of an environment is a link to the system's.
    same = found is not None and Path(found).absolute() == program.absolute()
    return program.name if same else str(program)
