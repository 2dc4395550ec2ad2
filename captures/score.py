"""The scoreboard: `scan` over every recording, held against its truth.

    python -m captures.score [--json] [RECORDING or DIRECTORY...]

Every capture of a recording is scanned by itself, as somebody with just that one would. A planted
fault is found if one of them shows it; a finding that is neither planted nor tolerated is a false
alarm wherever it appears. Owner and cause count as right if they are in the best of the findings of
a fault.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

RECORDINGS = Path(__file__).parent / "recordings"
_NEAR = 2.0  # seconds between a client's clock and the wire

Json = dict[str, Any]


@dataclass(slots=True)
class Score:
    """What became of one recording; counts of planted faults and of findings."""

    recording: str
    mechanism: str
    planted: int = 0
    found: int = 0
    with_owner: int = 0  # planted faults found that have an owner
    owner_right: int = 0
    layer_right: int = 0
    mechanism_right: int = 0
    wrong_certain: int = 0
    false_alarms: int = 0
    undecided: int = 0  # in the capture that has the fewest

    def add(self, other: "Score") -> None:
        """Add another recording's counts."""
        for name, value in asdict(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)


def score(directory: Path) -> Score:
    """Scan the captures of one recording and compare with its truth."""
    truth = json.loads((directory / "truth.json").read_text())
    planted: list[Json] = truth["planted"]
    out = Score(directory.name, truth["mechanism"] or "", planted=len(planted))
    best: list[list[Json]] = [[] for _ in planted]
    undecided: list[int] = []
    for capture in truth["captures"]:
        report = scanned(directory / capture["file"])
        undecided.append(report["totals"]["undecided"])
        for finding in report["findings"]:
            matching = [n for n, fault in enumerate(planted) if matches(finding, fault)]
            for number in matching:
                best[number].append(finding)
            if not matching and not any(matches(finding, one) for one in truth["tolerated"]):
                out.false_alarms += 1
                out.wrong_certain += finding["confidence"] == "certain"
    out.undecided = min(undecided, default=0)
    for fault, findings in zip(planted, best, strict=True):
        if not findings:
            continue
        causes = {fault["cause"], *fault.get("also", ())}
        layers = {cause.partition("/")[0] for cause in causes}
        out.found += 1
        out.layer_right += any(f["cause"].partition("/")[0] in layers for f in findings)
        out.mechanism_right += any(f["cause"] in causes for f in findings)
        if fault["owner"]:
            out.with_owner += 1
            out.owner_right += any(same(f["owner"], fault["owner"]) for f in findings)
    return out


def scanned(path: Path) -> Json:
    """The report of a scan, as JSON types."""
    import analyzer
    from analyzer.report.result import as_dict

    report: Json = json.loads(json.dumps(as_dict(analyzer.scan(path))))
    return report


def matches(finding: Json, fault: Json) -> bool:
    """Whether a finding is that planted fault."""
    if finding["kind"] != fault["kind"]:
        return False
    if finding["kind"] == "unsolicited":
        # The wire has no request for it; the truth has the last one of its connection.
        return abs(seconds(finding["response"]["time"]) - seconds(fault["request"]["time"])) < 60
    return same(finding["request"], fault["request"])


def same(request: Json | None, truth: Json) -> bool:
    """Whether both are the same request; not by address, since a proxy has its own."""
    return (
        request is not None
        and request["method"] == truth["method"]
        and request["target"] == truth["target"]
        and abs(seconds(request["time"]) - seconds(truth["time"])) < _NEAR
    )


def seconds(rfc3339: str) -> float:
    """Seconds since 1970 of a time with up to nine digits."""
    return datetime.fromisoformat(rfc3339[:26].rstrip("Z") + "+00:00").timestamp()


def scores(names: tuple[str, ...]) -> Iterator[Score]:
    """The scores of the named recordings (by name, or by directory), or of all that are shipped."""
    for name in names or sorted(truth.parent.name for truth in RECORDINGS.glob("*/truth.json")):
        shipped = RECORDINGS / name
        directory = shipped if shipped.is_dir() else Path(name)
        if not (directory / "truth.json").is_file():
            raise click.UsageError(f"{name}: no recording of that name, and no truth.json there")
        yield score(directory)


@click.command()
@click.argument("recordings", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(recordings: tuple[str, ...], as_json: bool) -> None:
    """Scan the recordings and print what was found, missed and imagined."""
    total = Score("all", "")
    rows = []
    for row in scores(recordings):
        rows.append(row)
        total.add(row)
    if as_json:
        both = {"recordings": [asdict(row) for row in rows], "sum": asdict(total)}
        click.echo(json.dumps(both, indent=1))
        return
    _print([*rows, total])


def _print(rows: list[Score]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("recording", no_wrap=True)
    table.add_column("")
    for name in ("planted", "found", "owner", "layer", "mechanism", "false", "undecided"):
        table.add_column(name, justify="right")
    for row in rows:
        if row is rows[-1]:
            table.add_section()
        missed = row.found < row.planted or row.false_alarms
        table.add_row(
            row.recording,
            row.mechanism,
            str(row.planted),
            str(row.found),
            f"{row.owner_right}/{row.with_owner}" if row.with_owner else "",
            str(row.layer_right),
            str(row.mechanism_right),
            str(row.false_alarms),
            str(row.undecided),
            style="yellow" if missed else "",
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
