"""`watch`: waits beside the wire."""

import signal
import sys
from typing import TYPE_CHECKING

import click

from analyzer.cli.group import main
from analyzer.cli.options import LIMIT, PATH
from analyzer.cli.printing import say
from analyzer.cli.running import ENDING, FOUND, NOTHING_FOUND, told_in_a_line

if TYPE_CHECKING:
    from analyzer.watch.watching import Settings


@main.command()
@click.argument("source", required=False, metavar="[-]")
@click.option(
    "--keep",
    "folder",
    required=True,
    type=PATH,
    metavar="DIR",
    help="Where packets, evidence and state are kept; the folder is this watch's own.",
)
@click.option(
    "-i",
    "--interface",
    metavar="INTERFACE",
    help="Which interface to capture on.  [default: any]",
)
@click.option("--ring", type=PATH, metavar="DIR", help="Read the files that somebody else fills.")
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
@LIMIT
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

    with told_in_a_line():
        if status:
            say(settings.status(folder).encode())
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


def _watch(chosen: "Settings") -> int:
    """Watch until a signal comes, or the input ends; how many incidents were kept."""
    from analyzer.report.escape import visible
    from analyzer.watch.watching import Watch

    here = Watch(chosen, lambda text: click.echo(visible(text)))

    def stop(_number: int, _frame: object) -> None:
        here.stop()

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    return here.run()
