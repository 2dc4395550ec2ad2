"""`python -m captures.referee`: how many pairs other readers get wrong, and how many they lose."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import click

from captures.referee.judge import Count
from captures.referee.model import Json
from captures.referee.run import held, sums
from captures.referee.tools import TOOLS
from captures.score import chosen

_COLUMNS = {
    "captures": "captures", "refused": "not read", "exchanges": "exchanges", "right": "right",
    "wrong": "wrong pair", "silent": "silent loss", "told": "loss, told",
    "swaps": "swaps in sight", "swaps_told": "told as such",
}  # fmt: skip


def table(totals: dict[str, Count]) -> str:
    """The sums as a table in Markdown."""
    lines = ["| reader | " + " | ".join(_COLUMNS.values()) + " |", "|---|" + "---|" * len(_COLUMNS)]
    for name, count in totals.items():
        cells = " | ".join(f"{getattr(count, key):,}" for key in _COLUMNS)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


@click.command()
@click.argument("recordings", nargs=-1)
@click.option("--reader", "readers", multiple=True, type=click.Choice(list(TOOLS)),
              help="Only these readers (default: all that are installed).")  # fmt: skip
@click.option("--vantage", "vantages", multiple=True, help="Only captures of these vantages.")
@click.option("--lines", is_flag=True, help="Also print each capture in which something is amiss.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Processes.", show_default=True)
def main(
    recordings: tuple[str, ...],
    readers: tuple[str, ...],
    vantages: tuple[str, ...],
    lines: bool,
    jobs: int,
) -> None:
    """Hold readers of captures against the truth of RECORDINGS (default: all)."""
    names = tuple(name for name in readers or TOOLS if TOOLS[name].there)
    for name in set(readers or TOOLS) - set(names):
        click.echo(f"{name} is not installed ({TOOLS[name].get}): left out", err=True)
    if not names:
        raise click.UsageError("no reader is installed")
    rows: list[Json] = []
    work = partial(held, names=names, vantages=vantages)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for found in pool.map(work, list(chosen(recordings))):
            rows += found
            for row in found if lines else ():
                amiss = {key: row[key] for key in ("refused", "wrong", "silent", "told")}
                if any(amiss.values()):
                    told = ", ".join(f"{value} {key}" for key, value in amiss.items() if value)
                    click.echo(f"{row['capture']}: {row['reader']}: {told}")
    click.echo(table(sums(rows)))


if __name__ == "__main__":
    main()
