"""The scoreboard is what the scan finds today, and the README tells its sum."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from captures.score import RECORDINGS, score

HERE = Path(__file__).parents[2]
BOARD: dict[str, Any] = json.loads((HERE / "captures" / "scoreboard.json").read_text())


@pytest.mark.parametrize("row", BOARD["recordings"], ids=lambda row: str(row["recording"]))
def test_a_recording_scores_as_the_board_says(row: dict[str, Any]) -> None:
    assert asdict(score(RECORDINGS / row["recording"])) == row


def test_every_recording_is_on_the_board() -> None:
    shipped = {truth.parent.name for truth in RECORDINGS.glob("*/truth.json")}
    assert {row["recording"] for row in BOARD["recordings"]} == shipped


def test_no_alarm_is_false() -> None:
    assert BOARD["sum"]["false_alarms"] == 0
    assert BOARD["sum"]["wrong_certain"] == 0


def test_the_readme_tells_the_sum() -> None:
    total, rows = BOARD["sum"], BOARD["recordings"]
    faults = sum(1 for row in rows if row["planted"])
    readme = " ".join((HERE / "README.md").read_text().split())
    assert (
        f"has {len(rows)} recordings of real servers, {faults} of them with planted faults, "
        f"{total['planted']} in all. Found are {total['found']}; of {total['with_owner']} with an "
        f"owner the owner is right in {total['owner_right']}; the layer of the cause in "
        f"{total['layer_right']}, its mechanism in {total['mechanism_right']}; there is no false "
        "alarm on any recording."
    ) in readme
