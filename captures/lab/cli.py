"""The lab's command line; the only place that prints results and sets an exit status."""

import resource
import signal
import sys
import time
from pathlib import Path

import click

from captures.lab import recording, scenario, watch_soak, watching
from captures.lab import soak as soaking
from captures.lab.errors import LabError, RecordingFailed

RECORDINGS = Path(__file__).parents[1] / "recordings"


@click.group()
def main() -> None:
    """Reproduce the ways in which an HTTP response is lost or goes to the wrong request."""
    for one in (signal.SIGINT, signal.SIGTERM):  # everything is taken down then, too
        signal.signal(one, signal.default_int_handler)


@main.command()
@click.argument("names", nargs=-1, metavar="[SCENARIO]...")
@click.option("--all", "everything", is_flag=True, help="Record every scenario.")
@click.option(
    "--node", help="Only with this version of Node: 12, 14, 16, 18, 20, 22 or a full one."
)
@click.option("--keep", is_flag=True, help="Keep the logs and raw captures of every try.")
@click.option("--tries", default=3, show_default=True, help="How often a failed run is repeated.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RECORDINGS,
    help="Where recordings are written (default: captures/recordings).",
)
def record(
    names: tuple[str, ...], everything: bool, node: str | None, keep: bool, tries: int, out: Path
) -> None:
    """Record scenarios with real servers, clients and tcpdump; needs root on Linux.

    Without a name, the scenarios are listed.
    """
    try:
        scenarios = scenario.load_all()
        if not names and not everything:
            for one in scenarios.values():
                click.echo(f"{one.name:22} {one.mechanism or 'control':8} {one.title}")
            return
        chosen = scenario.choose(tuple(scenarios) if everything else names, scenarios, node)
        failed = [one.name for one in chosen if not _record(one, out, tries, keep)]
    except LabError as error:
        click.echo(f"captures.lab: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("captures.lab: interrupted; everything was taken down", err=True)
        sys.exit(130)
    if failed:
        click.echo(f"captures.lab: not recorded: {', '.join(failed)}", err=True)
        sys.exit(1)


def _record(variant: scenario.Variant, out: Path, tries: int, keep: bool) -> bool:
    try:
        told = recording.record(variant, out / variant.name, tries, keep)
    except RecordingFailed:
        return False
    counts = told["totals"]
    frames = sum(one["frames"] for one in told["captures"])
    click.echo(
        f"{variant.name:28} {counts['requests']:6} requests  {counts['answered']:6} answered  "
        f"{len(told['planted']):3} planted  {frames:7} frames"
    )
    return True


@main.command()
@click.argument("name", default="story", metavar="[SCENARIO]")
@click.option("--node", help="With this version of Node.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the watch keeps its packets and evidence; without it nothing stays.",
)
def watch(name: str, node: str | None, keep: Path | None) -> None:
    """Run a scenario live, with `wrangler-forensics watch` beside it; needs root on Linux.

    What the watch says appears as it says it: the alarm while the first client still waits, and
    who holds its connection.
    """
    try:
        chosen = scenario.choose((name,), scenario.load_all(), node)[-1]
        click.echo(f"{chosen.name}: {chosen.scenario.title}")
        told = watching.show(chosen, click.echo, keep=keep)
    except LabError as error:
        click.echo(f"captures.lab: {error}", err=True)
        sys.exit(2)
    except RecordingFailed as failure:
        click.echo(f"captures.lab: {failure}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("captures.lab: interrupted; everything was taken down", err=True)
        sys.exit(130)
    for one in told.incidents:
        click.echo(f"{one['verdict']} {one['incident']}: {one['cause']}: {one['title']}")


@main.command("watch-soak")
@click.option("--exchanges", default=180_000, show_default=True, help="How many requests.")
@click.option("--faults", default=12, show_default=True, help="How many of them meet the bug.")
@click.option("--rate", default=300.0, show_default=True, help="Requests a second, at most.")
@click.option("--seed", default=1, show_default=True, help="One seed, one load.")
@click.option("--node", default="14", show_default=True, help="The server's version of Node.")
@click.option("--keep-size", default="64M", show_default=True, help="Of the watch's ring.")
@click.option(
    "--kill",
    "kills",
    type=(float, click.Choice(["tcpdump", "judge"])),
    multiple=True,
    help="At which second to kill one of the watch's children; may be given several times.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where the watch keeps its packets and evidence.",
)
def watch_soaked(
    exchanges: int,
    faults: int,
    rate: float,
    seed: int,
    node: str,
    keep_size: str,
    kills: tuple[tuple[float, str], ...],
    out: Path,
) -> None:
    """Run the soak's load under a watch, and score what it kept and cost."""
    wanted = soaking.Soak(exchanges, faults, rate, seed, node, ())
    try:
        for line in watch_soak.run(
            wanted, click.echo, keep=out, kills=sorted(kills), keep_size=keep_size
        ):
            click.echo(line)
    except (LabError, ValueError) as error:
        click.echo(f"captures.lab: {error}", err=True)
        sys.exit(2)
    except RecordingFailed as failure:
        click.echo(f"captures.lab: {failure}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("captures.lab: interrupted; everything was taken down", err=True)
        sys.exit(130)


@main.command()
@click.option("--exchanges", default=1_000_000, show_default=True, help="How many requests.")
@click.option("--faults", default=10, show_default=True, help="How many of them meet the bug.")
@click.option("--rate", default=800.0, show_default=True, help="Requests a second, at most.")
@click.option("--seed", default=1, show_default=True, help="One seed, one load.")
@click.option("--node", default="14", show_default=True, help="The server's version of Node.")
@click.option(
    "--vantage",
    "vantages",
    multiple=True,
    default=("bridge",),
    show_default=True,
    help="Where to capture; may be given several times.",
)
@click.option("--keep", is_flag=True, help="Keep the logs.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The directory to write; a million exchanges need 1 GB for each vantage.",
)
def soak(
    exchanges: int,
    faults: int,
    rate: float,
    seed: int,
    node: str,
    vantages: tuple[str, ...],
    keep: bool,
    out: Path,
) -> None:
    """Record a long clean load with rare faults at random places, and score a scan of it."""
    wanted = soaking.Soak(exchanges, faults, rate, seed, node, vantages)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        told = soaking.record(wanted, out, keep)
    except (LabError, ValueError) as error:
        click.echo(f"captures.lab: {error}", err=True)
        sys.exit(2)
    except RecordingFailed as failure:
        click.echo(f"captures.lab: {failure}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("captures.lab: interrupted; everything was taken down", err=True)
        sys.exit(130)
    click.echo(f"{out}: {told['totals']}, {len(told['planted'])} planted")
    click.echo(_scored(out))


def _scored(directory: Path) -> str:
    """What a scan of a recording finds, how long it takes and how much memory."""
    from captures.score import score

    began = time.monotonic()
    row = score(directory).best
    took = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"scan: found {row.found} of {row.planted}, owner right in {row.owner_right} of "
        f"{row.with_owner}, {row.false_alarms} false alarms, {row.undecided} undecided; "
        f"{took:.1f} s, peak {peak:.0f} MB"
    )
