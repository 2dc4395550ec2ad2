"""What a detector makes of variants, held against what it makes of the recordings themselves.

Law: a verdict counts as changed if from any view a planted fault is found or missed, its owner
right or wrong, or the causes of its findings are others than in the unvaried recording, or if an
alarm is raised that was not there, or is gone.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from captures import scoring
from captures.scoring import Scan, Tally, View
from captures.vary import recording
from captures.vary.recording import NotApplicable
from captures.vary.variants import vary


@dataclass
class Row:
    """A variant of one recording: its tally, and what changed, a line for each."""

    variant: str
    recording: str
    tally: Tally = field(default_factory=Tally)
    changed: list[str] = field(default_factory=list)
    skipped: str = ""  # why the variant was not made
    notes: Counter[str] = field(default_factory=Counter)


@dataclass
class Sum:
    """A variant over all recordings."""

    made: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)
    changed: dict[str, list[str]] = field(default_factory=dict)
    left: int = 0

    def add(self, row: Row) -> None:
        """Count a row in."""
        if row.skipped:
            self.skipped[row.skipped] += 1
            return
        self.made += 1
        self.tally.add(row.tally)
        self.left += row.notes["left"]
        if row.changed:
            self.changed[row.recording] = row.changed


def make(directory: Path, names: Sequence[str], seed: int, out: Path) -> Counter[str]:
    """Write a variant of a recording; NotApplicable if it can't have it. What was done, counted."""
    one = recording.read(directory)
    vary(one, names, seed)
    one.write(out, names, seed)
    return one.notes


def rows(directory: Path, variants: Sequence[str], seed: int, scan: Scan) -> Iterator[Row]:
    """Every variant of a recording, made in a temporary directory and scored."""
    _, own = scoring.views_of(directory, scan)
    for name in variants:
        row = Row(name, directory.name)
        with tempfile.TemporaryDirectory(prefix="vary-") as made:
            try:
                row.notes = make(directory, [name], seed, Path(made))
            except NotApplicable as why:
                row.skipped = str(why)
            else:
                truth, views = scoring.views_of(Path(made), scan)
                row.tally = scoring.best(truth, views).tally
                row.changed = list(differences(own, views))
        yield row


def differences(own: Mapping[str, View], varied: Mapping[str, View]) -> Iterator[str]:
    """A line for each verdict that isn't the same."""
    for vantage, was in own.items():
        now = varied[vantage]
        for before, after in zip(was.verdicts, now.verdicts, strict=True):
            fault = before.fault["request"]
            about = f"{vantage}: {before.fault['kind']} {fault['method']} {fault['target']}"
            for what, told in _TOLD.items():
                old, new = told(before), told(after)
                if old != new:
                    yield f"{about}: {what} was {old}, is {new}"
        alarms = [Counter(f"{one['kind']} {one['cause']}" for one in v.alarms) for v in (was, now)]
        for alarm, times in sorted((alarms[1] - alarms[0]).items()):
            yield f"{vantage}: alarm {alarm} ({times})"
        for alarm, times in sorted((alarms[0] - alarms[1]).items()):
            yield f"{vantage}: no alarm {alarm} any more ({times})"


_TOLD: dict[str, Callable[[scoring.Verdict], str]] = {
    "found": lambda one: "found" if one.findings else "missed",
    "owner": lambda one: "right" if one.owner_right else "not right",
    "cause": lambda one: ", ".join(sorted({each["cause"] for each in one.findings})) or "none",
}
