"""`scan` and `explain`: captures judged, and one incident told."""

from typing import TYPE_CHECKING

import click

from analyzer.cli.group import main
from analyzer.cli.options import (
    BASELINE,
    CLIENT_LOG,
    EXPECT,
    JOBS,
    LIMIT,
    LOG_FORMAT,
    MARKS,
    PATH,
    SERVER_LOG,
    SHOW_BODIES,
    SHOW_SECRETS,
)
from analyzer.cli.running import (
    STANDARD_STREAM,
    check,
    check_secrets,
    commands_of,
    examine,
    kept_marks,
    known_before,
    read_logs,
    read_marks,
    run,
)
from analyzer.cli.showing import (
    Shown,
    chosen_by,
    say_brief,
    show,
    show_messages,
    tell,
    write,
    write_evidence,
)
from analyzer.errors import InputError

if TYPE_CHECKING:
    from analyzer.report.result import Report
    from analyzer.stopping import Pace


def _some(
    context: click.Context, argument: click.Parameter, captures: tuple[str, ...]
) -> tuple[str, ...]:
    """The captures, of which there must be one where no watch has kept any."""
    if not captures and context.params.get("kept_folder") is None:
        raise click.MissingParameter(ctx=context, param=argument)
    return captures


@main.command()
@click.argument("captures", nargs=-1, type=PATH, metavar="CAPTURE...", callback=_some)
@click.option(
    "--keep",
    "kept_folder",
    type=PATH,
    is_eager=True,
    metavar="DIR",
    help="Instead of CAPTURE: the evidence of all incidents that watch --keep DIR has kept, judged "
    "by what it learned.",
)
@click.option(
    "--csv", "csv_file", type=PATH, metavar="FILE", help="Write the findings, a row each."
)
@click.option("--json", "json_file", type=PATH, metavar="FILE", help="Write the whole report.")
@click.option(
    "--jsonl",
    "jsonl_file",
    type=PATH,
    metavar="FILE",
    help="Write the findings as JSON Lines: each as in --json, one a line.",
)
@click.option(
    "--html",
    "html_file",
    type=PATH,
    metavar="FILE",
    help="Write the report as one page for a browser, which needs no network.",
)
@click.option(
    "--junit",
    "junit_file",
    type=PATH,
    metavar="FILE",
    help="Write the incidents as failed test cases, for CI (JUnit XML).",
)
@click.option(
    "--har",
    "har_file",
    type=PATH,
    metavar="FILE",
    help="Write every exchange for the tools of browsers (HAR 1.2), with heads; bodies only with "
    "--show-bodies.",
)
@click.option(
    "--exchanges",
    "exchanges_file",
    type=PATH,
    metavar="FILE",
    help="Write every exchange, as .csv or .parquet by the name.",
)
@click.option(
    "--evidence",
    "evidence_folder",
    type=PATH,
    metavar="DIR",
    help="Write each incident: packets (hence bodies) as a commented pcapng, facts as JSON.",
)
@BASELINE
@EXPECT
@CLIENT_LOG
@SERVER_LOG
@LOG_FORMAT
@MARKS
@JOBS
@SHOW_BODIES
@SHOW_SECRETS
@LIMIT
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
    kept_folder: str | None,
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
    client_logs: tuple[str, ...],
    server_logs: tuple[str, ...],
    log_format: str | None,
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

        check_secrets(show_secrets, show_bodies)
        files, usual = _inputs(captures, kept_folder, baselines)
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
        others = (*usual, *documents, *client_logs, *server_logs, *kept_marks(files, marks_file))
        check(outputs, files, limit, others)
        if verify and STANDARD_STREAM in files:
            raise InputError("standard input cannot be verified: it cannot be read again")
        known = known_before(usual, documents)
        logs = read_logs(client_logs, server_logs, log_format)
        examination = examine(list(files), jobs, pace, known, logs)
        report = examination.report
        read_marks(report, files, marks_file)
        if verify:
            from analyzer import verification

            report.verified = verification.verify(report)
        named = _named(client_logs, server_logs, log_format)
        commands = commands_of(files, limit, usual, documents, named)
        shown = Shown(examination, commands, endpoints=endpoints, full=full)
        write(shown, outputs, show_bodies=show_bodies, show_secrets=show_secrets)
        if show_bodies and not outputs.takes_standard_output:
            show_messages(examination, show_secrets=show_secrets)
        if evidence_folder is not None:
            write_evidence(examination, evidence_folder, force=force)
        if report.verified and report.verified.failures:
            raise InputError("the captures do not have what the report says; see above")
        return report

    run(work)


def _named(
    client_logs: tuple[str, ...], server_logs: tuple[str, ...], log_format: str | None
) -> tuple[tuple[str, str], ...]:
    """The options that name logs, as they were given."""
    formats = () if log_format is None else (("--log-format", log_format),)
    return (
        *(("--client-log", path) for path in client_logs),
        *(("--server-log", path) for path in server_logs),
        *formats,
    )


def _inputs(
    captures: tuple[str, ...], kept_folder: str | None, baselines: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The captures and the baselines to read: as given, or what a watch has kept."""
    if kept_folder is None:
        return captures, baselines
    if captures:
        raise InputError("--keep DIR is all that is read; leave it or the captures out")
    from analyzer.watch.settings import kept

    evidence, learned = kept(kept_folder)
    return evidence, (*learned, *baselines)


@main.command()
@click.argument("captures", nargs=-1, required=True, type=PATH, metavar="CAPTURE...")
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
@BASELINE
@EXPECT
@CLIENT_LOG
@SERVER_LOG
@LOG_FORMAT
@MARKS
@JOBS
@LIMIT
@SHOW_BODIES
@SHOW_SECRETS
def explain(
    captures: tuple[str, ...],
    finding: str | None,
    brief: bool,
    baselines: tuple[str, ...],
    documents: tuple[str, ...],
    client_logs: tuple[str, ...],
    server_logs: tuple[str, ...],
    log_format: str | None,
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

        check_secrets(show_secrets, show_bodies)
        if brief and show_bodies:
            raise InputError("--brief shows no bodies; leave one of it and --show-bodies out")
        check(Outputs(), captures, limit)
        logs = read_logs(client_logs, server_logs, log_format)
        known = known_before(baselines, documents)
        examination = examine(list(captures), jobs, pace, known, logs)
        read_marks(examination.report, captures, marks_file)
        incidents = examination.incidents()
        if not incidents:
            named = _named(client_logs, server_logs, log_format)
            show(Shown(examination, commands_of(captures, limit, baselines, documents, named)))
            return examination.report
        chosen = chosen_by(finding, examination.report, incidents)
        if brief:
            say_brief(examination, chosen)
            return examination.report
        tell(
            examination,
            chosen,
            incidents,
            show_bodies=show_bodies,
            show_secrets=show_secrets,
        )
        return examination.report

    run(work)
