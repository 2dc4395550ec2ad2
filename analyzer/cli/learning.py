"""`learn`: what is usual in captures, kept for the next one."""

from collections.abc import Callable
from functools import partial
from typing import IO, TYPE_CHECKING

import click

from analyzer.cli.group import main
from analyzer.cli.options import EXPECT, JOBS, LIMIT, PATH
from analyzer.cli.printing import complain, say
from analyzer.cli.running import NOTHING_FOUND, NothingLearned, check, examine, known_before, run
from analyzer.errors import InputError

if TYPE_CHECKING:
    from analyzer.baselines.learned import Learned
    from analyzer.report.outputs import Outputs
    from analyzer.report.result import Report
    from analyzer.stopping import Pace


@main.command()
@click.argument("captures", nargs=-1, type=PATH, metavar="CAPTURE...")
@click.option(
    "-o", "--output", "output", type=PATH, metavar="FILE", help="Write what is usual: a baseline."
)
@click.option(
    "--openapi",
    "openapi_file",
    type=PATH,
    metavar="FILE",
    help="Write an OpenAPI 3.1 document of it, as .yaml or .json by the name. Needs the extra "
    "'openapi'.",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Add up with what was learned before; repeatable, and enough without a CAPTURE.",
)
@EXPECT
@JOBS
@LIMIT
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
        check(outputs, captures, limit, (*baselines, *documents))
        if openapi_file is not None:
            from analyzer.openapi import document

            document.check_extra()
        known = known_before(baselines, documents)
        every = list(known.learned) if known is not None else []
        report = None
        if captures:
            examination = examine(list(captures), jobs, pace, known)
            report = examination.report
            if report.partial:
                complain("what was read by then is not learned from; nothing was written")
                return report
            every.append(examination.learned())
        learned = Learned.merged(every)
        if not learned.exchanges:
            raise NothingLearned
        _write_learned(learned, outputs)
        return report

    run(work, found=NOTHING_FOUND)


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
            say(data)
        else:
            files.write(path, partial(_put, data), force=outputs.force)
    apart = ""
    if learned.apart:
        apart = f"; {counted(learned.apart, 'exchange')} at fault, or in question, left out"
    complain(
        f"learned from {counted(learned.exchanges, 'exchange')} of "
        f"{counted(len(learned.endpoints), 'endpoint')}{apart}"
    )


def _put(data: bytes, file: IO[bytes]) -> None:
    file.write(data)
