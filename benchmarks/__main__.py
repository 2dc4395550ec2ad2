"""How fast a scan is on each kind of ordinary traffic, beside sha256sum of the same file.

\b
python -m benchmarks                     every kind, 60 MB each
python -m benchmarks --only posts-apart  one kind
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.kinds import KINDS, make
from benchmarks.measure import run
from benchmarks.speed import found, scan, tshark, warm


@click.command(help=__doc__)
@click.option("--megabytes", default=60, show_default=True, type=click.IntRange(1))
@click.option("--only", multiple=True, type=click.Choice(list(KINDS)), help="Only this kind.")
@click.option("--command", metavar="WORDS", help="What to measure instead of the program.")
@click.option("--seed", default=1, show_default=True)
@click.option("--with-tshark", is_flag=True, help="Time tshark as well.")
def main(
    megabytes: int, only: tuple[str, ...], command: str | None, seed: int, with_tshark: bool
) -> None:
    """Make a capture of each kind, one after the other, and print what reading it costs."""
    table = Table("traffic", "MB/s", "× sha256sum", "µs an exchange", "peak MB", "× tshark")
    with tempfile.TemporaryDirectory(prefix="wfbench-") as folder:
        for name in only or KINDS:
            path = Path(folder) / name
            count = make(KINDS[name], path, megabytes * 1_000_000, seed)
            size = path.stat().st_size
            warm(path)
            cost = run(scan(command, path), (0, 1))
            digest = run([found("sha256sum"), str(path)])
            beside = f"{run(tshark(path)).cpu / cost.cpu:.1f}" if with_tshark else ""
            table.add_row(
                KINDS[name].what,
                f"{size / cost.cpu / 1e6:.0f}",
                f"{cost.cpu / digest.cpu:.1f}",
                f"{cost.cpu / count * 1e6:.0f}",
                f"{cost.rss / 1e6:.0f}",
                beside,
            )
            path.unlink()
    Console().print(table)


if __name__ == "__main__":
    main()
