"""The command line: the only place that prints or sets an exit status.

Exit status: 0 judged and nothing found, 1 at least one finding, 2 it could not be done, 3 nothing
could be judged, 128 and the signal's number when a signal ended it (130 for Ctrl-C, 143 for
SIGTERM).
"""

import io
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

from analyzer.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from analyzer.baselines.learned import Learned
    from analyzer.explain.incidents import Incident
    from analyzer.pipeline import Examination, Known
    from analyzer.report.outputs import Outputs
    from analyzer.report.paste import Commands
    from analyzer.report.result import Report
    from analyzer.stopping import Pace
    from analyzer.watch.watching import Settings

NOTHING_FOUND, FOUND, NOT_DONE, NOT_JUDGED = 0, 1, 2, 3
STANDARD_STREAM = "-"
MOST_SHOWN = 5  # incidents whose messages a scan shows
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128

# A type for the sake of shell completion alone: what is the matter with a path is told later.
_PATH = click.Path(allow_dash=True, readable=False)
_JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: os.cpu_count() or 1,
    show_default="the processors",
    help="Processes to read large captures with.",
)
_LIMIT = click.option(
    "--limit",
    "limit",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Another limit than the default; repeatable. An unknown name lists those there are.",
)
_BASELINE = click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=_PATH,
    metavar="FILE",
    help="Judge with what learn wrote, too; repeatable: several are added up.",
)
_EXPECT = click.option(
    "--expect",
    "documents",
    multiple=True,
    type=_PATH,
    metavar="FILE",
    help="An OpenAPI document (3.0 or 3.1, YAML or JSON) of the API; repeatable. Needs the extra "
    "'openapi'.",
)
_MARKS = click.option(
    "--marks",
    "marks_file",
    type=_PATH,
    metavar="FILE",
    help="Where the marks of a review are. Without it: beside the first CAPTURE, as "
    "CAPTURE.marks.json.",
)
_SHOW_BODIES = click.option(
    "--show-bodies",
    is_flag=True,
    help="Show the messages of an incident with the values in their bodies.",
)
_SHOW_SECRETS = click.option(
    "--show-secrets",
    is_flag=True,
    help="With --show-bodies: show cookies, credentials and keys as well, which are masked else.",
)


def _show_version(context: click.Context) -> None:
    from analyzer import __version__
    from analyzer.compiled import kernels

    how = "compiled kernels" if kernels else "no compiled kernels: the same answers, more slowly"
    click.echo(f"wrangler-forensics {__version__} ({how})")
    context.exit()


class _Command(click.Command):
    """A command whose usage errors are one line."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _in_a_line():
            return super().make_context(*args, **more)


class _Group(click.Group):
    """A group of such commands."""

    command_class = _Command

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _in_a_line():
            return super().make_context(*args, **more)

    def resolve_command(self, *args: Any, **more: Any) -> Any:
        with _in_a_line():
            return super().resolve_command(*args, **more)


@contextmanager
def _in_a_line() -> Iterator[None]:
    """Leave the usage away that click puts before a usage error: how to get help is enough."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "wrangler-forensics"
        told = " ".join(error.format_message().split())
        raise _OneLine(f"{told.rstrip('.')} ({where} --help)") from None


class _OneLine(click.ClickException):
    exit_code = NOT_DONE


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, wanted: _show_version(context) if wanted else None,
    help="Show the version, and whether the compiled kernels run, and exit.",
)
def main() -> None:
    """Find the HTTP responses that went to the wrong request, or to none.

    \b
    wrangler-forensics scan capture.pcap
    """


@main.command()
@click.argument("captures", nargs=-1, required=True, type=_PATH, metavar="CAPTURE...")
@click.option(
    "--csv", "csv_file", type=_PATH, metavar="FILE", help="Write the findings, a row each."
)
@click.option("--json", "json_file", type=_PATH, metavar="FILE", help="Write the whole report.")
@click.option(
    "--jsonl",
    "jsonl_file",
    type=_PATH,
    metavar="FILE",
    help="Write the findings as JSON Lines: each as in --json, one a line.",
)
@click.option(
    "--html",
    "html_file",
    type=_PATH,
    metavar="FILE",
    help="Write the report as one page for a browser, which needs no network.",
)
@click.option(
    "--junit",
    "junit_file",
    type=_PATH,
    metavar="FILE",
    help="Write the incidents as failed test cases, for CI (JUnit XML).",
)
@click.option(
    "--har",
    "har_file",
    type=_PATH,
    metavar="FILE",
    help="Write every exchange for the tools of browsers (HAR 1.2), with heads; bodies only with "
    "--show-bodies.",
)
@click.option(
    "--exchanges",
    "exchanges_file",
    type=_PATH,
    metavar="FILE",
    help="Write every exchange, as .csv or .parquet by the name.",
)
@click.option(
    "--evidence",
    "evidence_folder",
    type=_PATH,
    metavar="DIR",
    help="Write each incident: packets (hence bodies) as a commented pcapng, facts as JSON.",
)
@_BASELINE
@_EXPECT
@_MARKS
@_JOBS
@_SHOW_BODIES
@_SHOW_SECRETS
@_LIMIT
@click.option(
    "--verify",
    is_flag=True,
    help="Check each finding's frames against the file by another way; print its SHA-256.",
)
@click.option("--force", is_flag=True, help="Replace output files that exist.")
@click.option(
    "--endpoints", is_flag=True, help="Show the endpoints and their responses' shapes too."
)
@click.option(
    "--full",
    is_flag=True,
    help="Show all that there is: each finding's evidence and causes, endpoints, notices, what was "
    "not judged and what was noted.",
)
def scan(
    captures: tuple[str, ...],
    csv_file: str | None,
    json_file: str | None,
    jsonl_file: str | None,
    html_file: str | None,
    junit_file: str | None,
    har_file: str | None,
    exchanges_file: str | None,
    evidence_folder: str | None,
    baselines: tuple[str, ...],
    documents: tuple[str, ...],
    marks_file: str | None,
    jobs: int,
    show_bodies: bool,
    show_secrets: bool,
    limit: tuple[str, ...],
    verify: bool,
    force: bool,
    endpoints: bool,
    full: bool,
) -> None:
    """Read captures and report every response that is not its request's own.

    It says what happened first, the worst first, and the command that tells more; then how much was
    judged, and what could not be. Where standard output is no terminal nothing is coloured, and
    lines are not wrapped, unless COLUMNS says at how many columns; NO_COLOR and TERM=dumb turn
    colours off in a terminal.

    CAPTURE is a pcap or pcapng file, plain or compressed (gzip, zstd, lz4, xz, bzip2); a directory;
    several files of one rotated set or of several vantages; or '-' for standard input.

    FILE may be '-' for standard output, of one option: then nothing else goes there, and
    exchanges go there as CSV. A file that is read is never written to, whatever --force says.

    Ctrl-C or SIGTERM ends the reading: what was found by then is reported, and marked partial.
    A second one ends it at once.

    Exit status: 0 judged and nothing found, 1 at least one finding, 2 it could not be done,
    3 nothing could be judged (no HTTP/1.x, one direction only, an empty file); 130 when ended by
    Ctrl-C, 143 by SIGTERM.
    """

    def work(pace: "Pace") -> "Report":
        from analyzer.report.outputs import Outputs

        _check_secrets(show_secrets, show_bodies)
        outputs = Outputs(
            csv=csv_file,
            json=json_file,
            jsonl=jsonl_file,
            html=html_file,
            junit=junit_file,
            har=har_file,
            exchanges=exchanges_file,
            evidence=evidence_folder,
            force=force,
        )
        _check(outputs, captures, limit, (*baselines, *documents))
        if verify and STANDARD_STREAM in captures:
            raise InputError("standard input cannot be verified: it cannot be read again")
        known = _known(baselines, documents)
        examination = _examine(list(captures), jobs, pace, known)
        report = examination.report
        _read_marks(report, captures, marks_file)
        if verify:
            from analyzer import verification

            report.verified = verification.verify(report)
        commands = _commands(captures, limit, baselines, documents)
        shown = _Shown(examination, commands, endpoints=endpoints, full=full)
        _write(shown, outputs, show_bodies=show_bodies, show_secrets=show_secrets)
        if show_bodies and not outputs.takes_standard_output:
            _show_messages(examination, show_secrets=show_secrets)
        if evidence_folder is not None:
            _write_evidence(examination, evidence_folder, force=force)
        if report.verified and report.verified.failures:
            raise InputError("the captures do not have what the report says; see above")
        return report

    _run(work)


@main.command()
@click.argument("captures", nargs=-1, required=True, type=_PATH, metavar="CAPTURE...")
@click.option(
    "--finding",
    metavar="ID",
    help="Which incident: the id of a finding or an incident, its beginning, or the number of a "
    "finding in the table of scan --full. Without it the worst is told.",
)
@click.option(
    "--brief",
    is_flag=True,
    help="A text of some 600 characters to pass on, without the evidence: what scan says of it.",
)
@_BASELINE
@_EXPECT
@_MARKS
@_JOBS
@_LIMIT
@_SHOW_BODIES
@_SHOW_SECRETS
def explain(
    captures: tuple[str, ...],
    finding: str | None,
    brief: bool,
    baselines: tuple[str, ...],
    documents: tuple[str, ...],
    marks_file: str | None,
    jobs: int,
    limit: tuple[str, ...],
    show_bodies: bool,
    show_secrets: bool,
) -> None:
    """Tell one incident: what happened, the evidence, the causes, and what would settle the rest.

    CAPTURE is as in scan. The captures are read a second time for the connections of the incident;
    standard input is kept in a temporary file for that.

    Values from bodies are not shown, unless --show-bodies is given; credentials (cookies,
    authorization, what is called password, token, key or the like) only with --show-secrets too.

    Exit status: 0 judged and nothing found, 1 at least one finding, 2 it could not be done,
    3 nothing could be judged.
    """

    def work(pace: "Pace") -> "Report":
        from analyzer.report.outputs import Outputs

        _check_secrets(show_secrets, show_bodies)
        if brief and show_bodies:
            raise InputError("--brief shows no bodies; leave one of it and --show-bodies out")
        _check(Outputs(), captures, limit)
        examination = _examine(list(captures), jobs, pace, _known(baselines, documents))
        _read_marks(examination.report, captures, marks_file)
        incidents = examination.incidents()
        if not incidents:
            _show(_Shown(examination, _commands(captures, limit, baselines, documents)))
            return examination.report
        chosen = _chosen(finding, examination.report, incidents)
        if brief:
            _say_brief(examination, chosen)
            return examination.report
        _tell(
            examination,
            chosen,
            incidents,
            show_bodies=show_bodies,
            show_secrets=show_secrets,
        )
        return examination.report

    _run(work)


@main.command()
@click.argument("captures", nargs=-1, type=_PATH, metavar="CAPTURE...")
@click.option(
    "-o", "--output", "output", type=_PATH, metavar="FILE", help="Write what is usual: a baseline."
)
@click.option(
    "--openapi",
    "openapi_file",
    type=_PATH,
    metavar="FILE",
    help="Write an OpenAPI 3.1 document of it, as .yaml or .json by the name. Needs the extra "
    "'openapi'.",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=_PATH,
    metavar="FILE",
    help="Add up with what was learned before; repeatable, and enough without a CAPTURE.",
)
@_EXPECT
@_JOBS
@_LIMIT
@click.option("--force", is_flag=True, help="Replace output files that exist.")
def learn(
    captures: tuple[str, ...],
    output: str | None,
    openapi_file: str | None,
    baselines: tuple[str, ...],
    documents: tuple[str, ...],
    jobs: int,
    limit: tuple[str, ...],
    force: bool,
) -> None:
    """Learn what is usual from captures, so that a short one can be judged with it.

    \b
    wrangler-forensics learn monday.pcap -o baseline.json
    wrangler-forensics scan incident.pcap --baseline baseline.json

    CAPTURE is as in scan. The captures are judged first; what is at fault in them, or in question,
    is not learned from. A baseline has shapes, names and counts, and no values of bodies.

    FILE may be '-' for standard output, of one option.

    Exit status: 0 learned, 2 it could not be done, 3 there was nothing to learn from; 130 when
    ended by Ctrl-C, 143 by SIGTERM: then nothing is written.
    """

    def work(pace: "Pace") -> "Report | None":
        from analyzer.baselines.learned import Learned
        from analyzer.report.outputs import Outputs

        if output is None and openapi_file is None:
            raise InputError("learn writes a file: name it with -o FILE or --openapi FILE")
        if not captures and not baselines:
            raise InputError("learn needs a CAPTURE, or baselines to add up (--baseline)")
        outputs = Outputs(learned=output, openapi=openapi_file, force=force)
        _check(outputs, captures, limit, (*baselines, *documents))
        if openapi_file is not None:
            from analyzer.openapi import document

            document.check_extra()
        known = _known(baselines, documents)
        every = list(known.learned) if known is not None else []
        report = None
        if captures:
            examination = _examine(list(captures), jobs, pace, known)
            report = examination.report
            if report.partial:
                _complain("what was read by then is not learned from; nothing was written")
                return report
            every.append(examination.learned())
        learned = Learned.merged(every)
        if not learned.exchanges:
            raise _NothingLearned
        _write_learned(learned, outputs)
        return report

    _run(work, found=NOTHING_FOUND)


class _NothingLearned(Exception):
    """There were no exchanges that anything could be learned from."""


def _write_learned(learned: "Learned", outputs: "Outputs") -> None:
    from analyzer.baselines.saved import to_json
    from analyzer.report import files
    from analyzer.report.counts import counted
    from analyzer.report.outputs import is_standard_output

    def baseline() -> bytes:
        return to_json(learned)

    def document() -> bytes:
        from analyzer.openapi.describe import described

        return described(learned, as_yaml=str(outputs.openapi).lower().endswith((".yaml", ".yml")))

    every: tuple[tuple[str | None, Callable[[], bytes]], ...] = (
        (outputs.learned, baseline),
        (outputs.openapi, document),
    )
    for path, made in every:
        if path is None:
            continue
        data = made()
        if is_standard_output(path):
            _say(data)
        else:
            files.write(path, partial(_put, data), force=outputs.force)
    apart = ""
    if learned.apart:
        apart = f"; {counted(learned.apart, 'exchange')} at fault, or in question, left out"
    _complain(
        f"learned from {counted(learned.exchanges, 'exchange')} of "
        f"{counted(len(learned.endpoints), 'endpoint')}{apart}"
    )


def _put(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def _known(baselines: tuple[str, ...], documents: tuple[str, ...]) -> "Known | None":
    from analyzer import pipeline

    return pipeline.known_from(baselines, documents)


@main.command()
@click.argument("source", required=False, metavar="[-]")
@click.option(
    "--keep",
    "folder",
    required=True,
    type=_PATH,
    metavar="DIR",
    help="Where packets, evidence and state are kept; the folder is this watch's own.",
)
@click.option(
    "-i",
    "--interface",
    metavar="INTERFACE",
    help="Which interface to capture on.  [default: any]",
)
@click.option("--ring", type=_PATH, metavar="DIR", help="Read the files that somebody else fills.")
@click.option("--filter", "expression", default="", metavar="FILTER", help="Capture these alone.")
@click.option("--recorder", metavar="PROGRAM", help="tcpdump or dumpcap, or a path of one of them.")
@click.option(
    "--keep-size", default="2G", show_default=True, metavar="SIZE", help="Bytes of packets to keep."
)
@click.option(
    "--keep-time", default="3d", show_default=True, metavar="TIME", help="How long to keep them."
)
@click.option("--pid", type=click.IntRange(min=1), help="Ask for sockets in its network alone.")
@click.option("--container", metavar="ID", help="The same, of a container; the id's beginning.")
@click.option("--no-sockets", is_flag=True, help="Never ask who holds a socket.")
@click.option(
    "--on-alarm",
    metavar="COMMAND",
    help="Run this in a shell at each alarm, and at its end; it reads the incident as JSON.",
)
@click.option(
    "--metrics", metavar="[HOST:]PORT", help="Serve metrics for Prometheus.  [host: 127.0.0.1]"
)
@click.option("--status", is_flag=True, help="Say how the watch is that keeps DIR, and end.")
@_LIMIT
def watch(
    source: str | None,
    folder: str,
    interface: str | None,
    ring: str | None,
    expression: str,
    recorder: str | None,
    keep_size: str,
    keep_time: str,
    pid: int | None,
    container: str | None,
    no_sockets: bool,
    on_alarm: str | None,
    metrics: str | None,
    status: bool,
    limit: tuple[str, ...],
) -> None:
    """Record, and judge what passes until it happens; then keep the evidence.

    Packets go round in a bounded ring. A request that waits longer than its endpoint ever takes, or
    a response that looks like another's, is an alarm at once: the kernel is asked which process
    holds the connection. When it is over it is an incident, kept with its packets, or the alarm is
    withdrawn with its reason.

    With '-' a capture comes on standard input, with --ring the files of another program are read.

    Ctrl-C or SIGTERM ends it; the next start goes on with what is kept. Exit status: 0 nothing was
    found, 1 at least one incident was kept, 2 it could not be done.
    """
    from analyzer.watch import settings

    with _told():
        if status:
            _say(settings.status(folder).encode())
            sys.exit(NOTHING_FOUND)
        chosen = settings.settings(
            source=source,
            folder=folder,
            interface=interface,
            ring=ring,
            expression=expression,
            recorder=recorder,
            keep_size=keep_size,
            keep_time=keep_time,
            pid=pid,
            container=container,
            sockets=not no_sockets,
            on_alarm=on_alarm,
            metrics=metrics,
        )
        from analyzer import limits

        limits.use(limits.parsed(limit))
        sys.exit(FOUND if _watch(chosen) else NOTHING_FOUND)


@contextmanager
def _told() -> Iterator[None]:
    """What a person did wrong is told in a line, and the status is 2."""
    try:
        yield
    except InputError as error:
        for line in error.args:
            _complain(line)
    except OSError as error:
        if error.filename is None:
            traceback.print_exc()
        else:
            _complain(f"{error.filename}: {error.strerror}")
    except Exception:
        # Our bug. Python's own status for it is 1, which here would mean an incident.
        traceback.print_exc()
    else:
        return
    sys.exit(NOT_DONE)


def _watch(chosen: "Settings") -> int:
    """Watch until a signal comes, or the input ends; how many incidents were kept."""
    from analyzer.report.escape import visible
    from analyzer.watch.watching import Watch

    here = Watch(chosen, lambda text: click.echo(visible(text)))

    def stop(_number: int, _frame: object) -> None:
        here.stop()

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    return here.run()


@main.command()
@click.argument("captures", nargs=-1, required=True, type=_PATH, metavar="CAPTURE...")
@_BASELINE
@_EXPECT
@_MARKS
@_JOBS
@_LIMIT
@_SHOW_BODIES
@_SHOW_SECRETS
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

        _check_secrets(show_secrets, show_bodies)
        if STANDARD_STREAM in captures:
            raise InputError("review reads keys from standard input, not a capture")
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
            raise InputError("review needs a terminal that it can draw on; scan and explain do not")
        reviewing = _reviewing()
        _check(Outputs(), captures, limit, (*baselines, *documents))
        place = marks_file or marks.beside(captures) or ""
        marks.check(place, captures)
        known = _known(baselines, documents)
        examination = _examine(list(captures), jobs, pace, known)
        examination.report.marks = marks.read(place)
        if not examination.report.judgement.findings or examination.report.partial:
            _show(_Shown(examination, _commands(captures, limit, baselines, documents)))
            return examination.report
        ended = reviewing(examination, place, show_bodies=show_bodies, show_secrets=show_secrets)
        if ended:
            os.kill(os.getpid(), ended)
            raise KeyboardInterrupt
        return examination.report

    _run(work)


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


def _read_marks(report: "Report", captures: tuple[str, ...], named: str | None) -> None:
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
        _complain(f"{error}; no marks are shown")


def _say_brief(examination: "Examination", chosen: "Incident") -> None:
    from analyzer.report import verdict

    text = verdict.brief(examination.report, examination.summary(chosen))
    _say(f"{text}\n".encode(_Text.encoding, "backslashreplace"))


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

    _print(tell)


def _run(work: Callable[["Pace"], "Report | None"], *, found: int = FOUND) -> NoReturn:
    """Do the work and end with its exit status, whatever comes in between.

    `found` is the status where there are findings.
    """
    from analyzer.stopping import Pace, Stopped

    pace = Pace()
    caught: list[int] = []

    def stop(number: int, _: object) -> None:
        caught.append(number)
        if len(caught) > 1:
            raise KeyboardInterrupt
        pace.ask()

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        report = work(pace)
        status = found if report is not None and report.judgement.findings else NOTHING_FOUND
        if report is not None and report.nothing_judged:
            status = NOT_JUDGED
        if report is not None and report.partial:
            if found == FOUND:
                _complain("ended by a signal; what was read by then has been reported")
            status = _BY_SIGNAL + caught[0]
    except _NothingLearned:
        _complain("nothing could be learned: no exchange of the captures could be judged")
        status = NOT_JUDGED
    except InputError as error:
        for line in error.args:
            _complain(line)
        status = NOT_DONE
    except (KeyboardInterrupt, Stopped):
        _complain("ended at once; nothing was reported")
        status = _BY_SIGNAL + (caught or [signal.SIGINT])[0]
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            # The file system's: a name too long, a folder that may not be read.
            _complain(f"{error.filename}: {error.strerror}")
        else:
            # Our bug. Python's own status for it is 1, which here would mean a finding.
            traceback.print_exc()
        status = NOT_DONE
    sys.exit(status)


def _complain(text: str) -> None:
    from analyzer.report.escape import visible

    click.echo(f"wrangler-forensics: {visible(text)}", err=True)


def _check_secrets(show_secrets: bool, show_bodies: bool) -> None:
    if show_secrets and not show_bodies:
        raise InputError("--show-secrets shows nothing by itself; it goes with --show-bodies")


def _check(
    outputs: "Outputs",
    captures: tuple[str, ...],
    limit: tuple[str, ...],
    beside: tuple[str, ...] = (),
) -> None:
    """Complain before the work, not after it; the limits are in force from here on."""
    from analyzer import limits

    limits.use(limits.parsed(limit))
    from analyzer import dossier, pipeline
    from analyzer.report.outputs import check

    try:
        inputs = pipeline.inputs(list(captures)) if captures else []
        inputs += dossier.beside(inputs)
    except InputError:
        inputs = list(captures)  # what is the matter with them is told when they are to be read
    check(outputs, inputs, beside)


def _write_evidence(examination: "Examination", folder: str, *, force: bool) -> None:
    from analyzer import dossier

    if examination.report.partial:
        _complain(f"{folder}: no evidence is written of captures that were not read to their end")
        return
    written = dossier.write(examination, folder, force=force)
    for one in written:
        if not one.found:
            _complain(f"{one.path}: the same incident is not found in it")
    if written:
        what = "incident" if len(written) == 1 else "incidents"
        _complain(f"{len(written)} {what} in {folder}; .pcapng files hold packets, hence bodies")


def _show_messages(examination: "Examination", *, show_secrets: bool) -> None:
    from analyzer.report import ladder

    stories = examination.stories(
        examination.incidents()[:MOST_SHOWN], show_bodies=True, show_secrets=show_secrets
    )

    def tell(console: "Console") -> None:
        for story in stories:
            ladder.messages(story, console)

    _print(tell)


def _examine(
    captures: list[str], jobs: int, pace: "Pace", known: "Known | None" = None
) -> "Examination":
    import gc

    from analyzer import dossier, pipeline

    sockets = dossier.sockets_in(dossier.beside(pipeline.inputs(captures)))
    # Nothing built here has cycles that matter, and looking for some takes a tenth of the time.
    gc.disable()
    with _progress(captures) as advance:
        return pipeline.examine(
            captures, progress=advance, jobs=jobs, pace=pace, known=known, sockets=sockets
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


def _write(shown: "_Shown", outputs: "Outputs", *, show_bodies: bool, show_secrets: bool) -> None:
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
        _complain(f"{outputs.har}: no HAR is written of captures that were not read to their end")
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
        _show(shown) if alone is None else _say(_bytes(alone))
    except InputError as error:
        problems += error.args
    if problems:
        raise InputError(*problems)
    if alone is not None and report.nothing_judged:
        _complain(f"nothing could be judged: {report.coverage.summary}")


def _nothing(_: IO[bytes]) -> None:
    """Write nothing."""


def _bytes(put: Callable[[IO[bytes]], Any]) -> bytes:
    file = io.BytesIO()
    put(file)
    return file.getvalue()


@dataclass(frozen=True)
class _Shown:
    """What a scan shows on standard output."""

    examination: "Examination"
    commands: "Commands"
    endpoints: bool = False
    full: bool = False


def _commands(
    captures: tuple[str, ...],
    limit: tuple[str, ...],
    baselines: tuple[str, ...],
    documents: tuple[str, ...],
) -> "Commands":
    """The commands to type next: by the name that this program was called by."""
    from analyzer.report.paste import Commands, quoted

    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        program = f"{quoted(_found(Path(sys.executable)))} -m analyzer"
    else:
        program = quoted(_found(called))
    return Commands(program, captures, limit, baselines, documents)


def _found(program: Path) -> str:
    """The name alone of a program that the shell finds by it, else its path as it was called."""
    found = shutil.which(program.name)
    # Links are not followed: the interpreter of an environment is a link to the system's.
    same = found is not None and Path(found).absolute() == program.absolute()
    return program.name if same else str(program)


def _show(shown: _Shown) -> None:
    from analyzer.report import terminal, verdict
    from analyzer.report.layout import UNWRAPPED, Out

    examination, report = shown.examination, shown.examination.report
    overview = examination.overview(verdict.MOST_LISTED)

    def show(console: "Console") -> None:
        width = UNWRAPPED if _unwrapped(console) else min(console.width, verdict.WIDEST)
        verdict.show(report, overview, shown.commands, Out(console, width), full=shown.full)
        if shown.full:
            console.print()
            terminal.details(report, console)
        elif shown.endpoints:
            console.print()
            terminal.endpoints(report, console)

    _print(show, piped=_PIPED)


_PIPED = 500  # columns of tables in what is piped: all that they have in a line


def _unwrapped(console: "Console") -> bool:
    """Whether lines are left as long as they are: nobody said where they are to be wrapped."""
    return not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit()


def _print(render: Callable[["Console"], None], *, piped: int | None = None) -> None:
    """Render for the terminal, or whatever else standard output is, then write it in one go.

    `piped` is how many columns there are where that is no terminal and nobody says how many.
    """
    from rich.console import Console

    there = Console()
    text = _Text()
    console = Console(
        file=text,
        width=piped if piped and _unwrapped(there) else there.width,
        force_terminal=there.is_terminal,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        soft_wrap=False,
    )
    render(console)
    shown = text.getvalue()
    if not there.is_terminal:
        shown = re.sub(" +$", "", shown, flags=re.MULTILINE)
    _say(shown.encode(text.encoding, "backslashreplace"))


class _Text(io.StringIO):
    """Text that will go to standard output, in whose encoding it has to be."""

    encoding = sys.stdout.encoding or "utf-8"


def _say(data: bytes) -> None:
    """Write to standard output. Nobody needs to read it to the end: `| head` is no problem.

    Raises InputError when it cannot be written for another reason, such as a full disk.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        _nowhere()
    except OSError as error:
        _nowhere()
        raise InputError(f"standard output: {error.strerror}") from None


def _nowhere() -> None:
    """Let standard output lead nowhere, so that Python has nothing to complain of at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
