"""Variants of recordings.

    python -m captures.vary --list
    python -m captures.vary NAME... --recording R... --out DIR [--seed N] [--force]
    python -m captures.vary --score [NAME...] [--recording R...] [--jobs N] [--changes]

Several names make one variant of all of them, in that order; with --score each is one by itself.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from captures.score import chosen, scanned
from captures.vary import board
from captures.vary.board import Row, Sum
from captures.vary.packets import NotACapture
from captures.vary.recording import NotApplicable
from captures.vary.variants import VARIANTS, unknown


@click.command()
@click.argument("names", nargs=-1)
@click.option("--list", "as_list", is_flag=True, help="Say what variants there are.")
@click.option("--score", is_flag=True, help="Make, scan and compare all variants.")
@click.option("--recording", "recordings", multiple=True, help="A recording; all without.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write: DIR/RECORDING.")
@click.option("--seed", default=1, show_default=True, help="Other names, ids and addresses.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@click.option("--jobs", default=1, show_default=True, help="Processes for --score.")
@click.option("--changes", is_flag=True, help="With --score: print every change.")
def main(
    names: tuple[str, ...],
    as_list: bool,
    score: bool,
    recordings: tuple[str, ...],
    out: Path | None,
    seed: int,
    force: bool,
    jobs: int,
    changes: bool,
) -> None:
    """Rewrite recordings in what must not matter."""
    if as_list:
        for name, variant in VARIANTS.items():
            click.echo(f"{name:12} {variant.about}")
        return
    if strange := unknown(names):
        raise click.UsageError(f"no such variant: {', '.join(strange)}; --list names them")
    directories = list(chosen(recordings))
    if score:
        _print(_rows(directories, names or tuple(VARIANTS), seed, jobs), changes)
        return
    if not names or out is None:
        raise click.UsageError("say which variants, and --out where; or --list, or --score")
    for directory in directories:
        _write(directory, names, seed, out / directory.name, force)


def _write(directory: Path, names: Sequence[str], seed: int, to: Path, force: bool) -> None:
    if to.exists() and not force:
        raise click.ClickException(f"{to} is there already; --force overwrites it")
    try:
        notes = board.make(directory, names, seed, to)
    except (NotApplicable, NotACapture) as why:
        click.echo(f"{directory.name}: not made: {why}")
        return
    told = ", ".join(f"{many} {what}" for what, many in sorted(notes.items()))
    click.echo(f"{directory.name}: {to}" + (f" ({told})" if told else ""))


def _rows(directories: Sequence[Path], names: Sequence[str], seed: int, jobs: int) -> Iterator[Row]:
    if jobs < 2:
        for one in directories:
            yield from board.rows(one, names, seed, scanned)
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_scored, one, tuple(names), seed) for one in directories]
        for each in waiting:
            yield from each.result()


def _scored(directory: Path, names: tuple[str, ...], seed: int) -> list[Row]:
    return list(board.rows(directory, names, seed, scanned))


def _print(rows: Iterator[Row], changes: bool) -> None:
    sums: dict[str, Sum] = {}
    for row in rows:
        sums.setdefault(row.variant, Sum()).add(row)
    heads = ("made", "planted", "found", "owner", "mechanism", "false", "changed", "recordings")
    click.echo(f"{'variant':12}" + "".join(f"{one:>11}" for one in heads))
    for name, one in sums.items():
        tally = one.tally
        owners = f"{tally.owner_right}/{tally.with_owner}"
        lines = sum(len(each) for each in one.changed.values())
        counts = (one.made, tally.planted, tally.found, owners, tally.mechanism_right)
        counts = (*counts, tally.false_alarms, lines, len(one.changed))  # type: ignore[assignment]
        click.echo(f"{name:12}" + "".join(f"{each:>11}" for each in counts))
    for name, one in sums.items():
        for why, times in sorted(one.skipped.items()):
            click.echo(f"{name}: not made of {times}: {why}")
        if one.left:
            click.echo(f"{name}: {one.left} connections left as they are")
        for where, lines_of in one.changed.items():
            click.echo(f"{name}: changed: {where} ({len(lines_of)})")
            for line in lines_of if changes else ():
                click.echo(f"    {line}")


if __name__ == "__main__":
    main()
