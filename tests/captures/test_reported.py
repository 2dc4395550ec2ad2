"""Recordings made after public bug reports, held against their truth.

Law: what the board says of them is found, no twin gives an alarm, and nothing is wrong that is
called certain. The board may be bettered; it is written by
`python -m captures.score --json captures/reported/* > captures/reported.json`.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from captures.score import score
from captures.scoring import Tally

HERE = Path(__file__).parents[2]
REPORTED = HERE / "captures" / "reported"
BOARD: dict[str, Any] = json.loads((HERE / "captures" / "reported.json").read_text())
GAINS = ("planted", "found", "owner_right", "layer_right", "mechanism_right")
each_row = pytest.mark.parametrize("row", BOARD["recordings"], ids=lambda row: row["recording"])


@each_row
def test_a_recording_scores_no_worse_than_the_board_says(row: dict[str, Any]) -> None:
    now = score(REPORTED / row["recording"])
    for name, counts in row["views"].items():
        tally = asdict(now.best if name == "best" else now.views[name])
        board = asdict(Tally(**counts))
        assert all(tally[key] >= board[key] for key in GAINS), name
        assert tally["false_alarms"] == tally["wrong_certain"] == 0, name


def test_every_recording_is_on_the_board_and_in_the_log_of_reports() -> None:
    shipped = {path.parent.name for path in REPORTED.glob("*/truth.json")}
    assert {row["recording"] for row in BOARD["recordings"]} == shipped
    text = (HERE / "docs" / "reports.md").read_text()
    assert [name for name in sorted(shipped) if f"`{name}`" not in text] == []


def test_each_fault_has_a_twin_without_one() -> None:
    told = [json.loads(path.read_text()) for path in REPORTED.glob("*/truth.json")]
    faulty = [one["scenario"] for one in told if one["mechanism"]]
    honest = [one for one in told if one["scenario"].startswith("honest-")]
    assert len(faulty) >= 10 and len(honest) >= 8
    for one in honest:
        assert {fault["cause"] for fault in one["planted"]} <= {"client/gave-up"}
        assert all(row["own"] is not False for row in one["log"])


def test_they_are_small() -> None:
    for path in REPORTED.glob("*/*.pcap.zst"):
        assert path.stat().st_size < 60_000
