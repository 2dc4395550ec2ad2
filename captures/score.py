"""The scoreboard: `scan` over every recording, held against its truth.

    python -m captures.score [--json | --findings | --misses] [RECORDING or DIRECTORY...]

A planted fault counts as found in `best` if one of the recording's captures shows it; owner and
cause are right if they are in one of the findings of that fault. The other sums are stricter: each
capture by itself, by where it was taken, and all captures of a recording together.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import click

from captures import scoring
from captures.scoring import Json, Score, Tally

RECORDINGS = Path(__file__).parent / "recordings"


def scanned(paths: Sequence[Path]) -> Json:
    """The report of a scan of one capture or of several together, as JSON types."""
    import analyzer
    from analyzer.report.files import json_text

    report: Json = json.loads(json_text(analyzer.scan(paths)))
    return report


def score(directory: Path) -> Score:
    """Scan one recording and count."""
    return scoring.score(directory, scanned)


def chosen(names: tuple[str, ...]) -> Iterator[Path]:
    """The directories of the named recordings, or of all that are shipped."""
    for name in names or sorted(truth.parent.name for truth in RECORDINGS.glob("*/truth.json")):
        shipped = RECORDINGS / name
        directory = shipped if shipped.is_dir() else Path(name)
        if not (directory / "truth.json").is_file():
            raise click.UsageError(f"{name}: no recording of that name, and no truth.json there")
        yield directory


@click.command()
@click.argument("recordings", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--findings", is_flag=True, help="Print what every view makes of every fault.")
@click.option("--misses", is_flag=True, help="Print those of them that are not fully right.")
def main(recordings: tuple[str, ...], as_json: bool, findings: bool, misses: bool) -> None:
    """Scan the recordings and print what was found, missed and imagined."""
    if findings or misses:
        for directory in chosen(recordings):
            _print_lines(directory, misses)
        return
    rows = [score(directory) for directory in chosen(recordings)]
    sums = scoring.sums(rows)
    if as_json:
        click.echo(as_text(rows, sums), nl=False)
        return
    _print(rows, sums)


def as_text(rows: Sequence[Score], sums: dict[str, Tally]) -> str:
    """The scoreboard as JSON: a line for each view, without what is zero."""
    out = ['{\n "recordings": [']
    for row in rows:
        views = {"best": row.best, **row.views}
        told = ",\n".join(f"   {json.dumps(name)}: {_brief(one)}" for name, one in views.items())
        head = f'"recording": {json.dumps(row.recording)}, "mechanism": {json.dumps(row.mechanism)}'
        out.append(f'  {{{head}, "views": {{\n{told}}}}}{"," if row is not rows[-1] else ""}')
    out.append(' ],\n "sum": {')
    out.append(",\n".join(f"  {json.dumps(name)}: {_brief(one)}" for name, one in sums.items()))
    out.append(" }\n}")
    return "\n".join(out) + "\n"


def _brief(tally: Tally) -> str:
    return json.dumps({key: count for key, count in asdict(tally).items() if count})


def _print(rows: list[Score], sums: dict[str, Tally]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=120)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("recording", no_wrap=True)
    table.add_column("")
    for name in ("planted", "found", "owner", "layer", "mechanism", "false", "undecided"):
        table.add_column(name, justify="right")
    for row in rows:
        best = row.best
        table.add_row(
            row.recording,
            row.mechanism,
            str(best.planted),
            str(best.found),
            f"{best.owner_right}/{best.with_owner}" if best.with_owner else "",
            str(best.layer_right),
            str(best.mechanism_right),
            str(best.false_alarms),
            str(best.undecided),
            style="yellow" if best.found < best.planted or best.false_alarms else "",
        )
    console.print(table)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("sum", no_wrap=True)
    for title in sums:
        table.add_column(title, justify="right", no_wrap=True)
    for one in fields(Tally):
        shares = [_share(total, one.name) for total in sums.values()]
        table.add_row(one.name.replace("_", " "), *shares)
    console.print(table)


# Of what a count is a part.
_WHOLE = {
    "found": "planted",
    "owner_right": "with_owner",
    "layer_right": "found",
    "mechanism_right": "found",
}


def _share(total: Tally, name: str) -> str:
    count = getattr(total, name)
    whole = getattr(total, _WHOLE[name]) if name in _WHOLE else 0
    return f"{count} {100 * count / whole:5.1f} %" if whole else str(count)


def _print_lines(directory: Path, only_misses: bool) -> None:
    for line in scoring.lines(directory, scanned):
        if only_misses and not line.wrong:
            continue
        request = line.fault["request"]
        asked = f"{request['method']} {request['target']}" if request else "-"
        was = f"{line.fault['kind']} {asked}, {line.fault['cause']}"
        verdict = ", ".join(line.wrong) or "right"
        said = f": {line.said}" if line.said else ""
        click.echo(f"{directory.name}/{line.view}: {was}: {verdict}{said}")


if __name__ == "__main__":
    main()
