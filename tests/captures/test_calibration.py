"""What is predicted is held against the truth, bin by bin, below the threshold too."""

import json
from importlib import import_module
from typing import Any

import pytest
from click.testing import CliRunner

from captures import calibration
from captures.calibration import FINDINGS, Point, bins, is_true
from captures.score import RECORDINGS
from captures.scoring import Truth


def point(bits: float, true: bool = True, recording: str = "r") -> Point:
    return Point(recording, "recorded", "container", "GET /", bits, true)


def test_bins_begin_at_their_edges_and_predict_the_mean() -> None:
    found = [point(0.0, False), point(1.999), point(2.0), point(5.0, False, "s"), point(5.0, False),
             point(15.0), point(400.0), point(1e9)]  # fmt: skip
    told = {one.name: one for one in bins(found, FINDINGS)}
    assert {name: one.many for name, one in told.items()} == {
        "0 to 2": 2, "2 to 5": 1, "5 to 10": 2, "10 to 15": 0, "15+": 3,
    }  # fmt: skip
    first = told["0 to 2"]
    assert first.predicted == pytest.approx((0.5 + 1 / (1 + 2**1.999)) / 2)
    assert (first.false, first.true_share) == (1, 0.5)
    assert (told["5 to 10"].false, told["5 to 10"].recordings) == (2, 2)
    assert told["10 to 15"].predicted is told["10 to 15"].true_share is None


def test_what_is_below_all_edges_is_counted_too() -> None:
    assert [one.many for one in bins([point(-0.1)], FINDINGS)] == [1, 0, 0, 0, 0, 0]
    names = [one.name for one in bins([], (-2.0, 0.0), below=True)]
    assert names == ["< -2", "-2 to 0", "0+"]
    assert calibration.predicted_false(-3.0) == pytest.approx(8 / 9)
    assert calibration.predicted_false(-1e9) == 1.0


def request(target: str, client: str = "172.31.17.21:40001") -> dict[str, Any]:
    time = "2026-11-23T07:00:10.000000Z"
    return {"method": "GET", "target": target, "client": client, "time": time}


def test_a_finding_is_false_if_nobody_planted_it_or_its_owner_is_another() -> None:
    fault = {"kind": "misdelivered", "request": request("/a"), "owner": request("/b"),
             "owner_also": [request("/c")]}  # fmt: skip
    truth = Truth({"planted": [fault], "tolerated": []})

    def told(target: str, owner: str | None) -> bool:
        finding = {"kind": "misdelivered", "request": request(target),
                   "owner": owner and request(owner)}  # fmt: skip
        return is_true(truth, [0.0], finding)

    assert told("/a", "/b") and told("/a", "/c") and told("/a", None)
    assert not told("/a", "/d")
    assert not told("/b", "/a") and not told("/b", None)


def test_the_points_of_a_recording_are_its_findings_and_all_that_was_weighed() -> None:
    deciding: Any = import_module("analyzer.matching.deciding")
    original = deciding.explain
    found = calibration.points(RECORDINGS / "crossed-same-shape-node22", [3], True, True)
    assert deciding.explain is original
    # Both of the pair, at the container and the host, and together; then thinned; then varied.
    many = {
        source: sum(one.source == source for one in found.findings)
        for source in ("recorded", "thinned", "varied")
    }
    assert many["recorded"] >= 6 and many["thinned"] == 2 and many["varied"] == 2
    assert all(one.true for one in found.findings)
    # Of each finding that was weighed, its event was recorded, with the same bits.
    events = {(one.source, one.view, one.bits) for one in found.events if one.true}
    assert {(f.source, f.view, f.bits) for f in found.findings if f.weighed} <= events


def test_what_was_weighed_and_not_told_is_recorded_as_what_it_is() -> None:
    found = calibration.points(RECORDINGS / "odd-aliases-node20", [], False, False)
    assert found.findings == []
    assert found.events and all(one.bits < 0 and not one.true for one in found.events)


def test_the_command_counts_every_point_once() -> None:
    command = ["--json", "--jobs", "1", "--no-thin", "--no-vary", "stolen-same-shape-node16"]
    told = CliRunner().invoke(calibration.main, command)
    assert told.exit_code == 0, told.output
    board = json.loads(told.output)
    weighed = [one for one in board["points"]["findings"] if one["weighed"]]
    assert sum(one["many"] for one in board["findings"]) == len(weighed) > 0
    assert sum(one["many"] for one in board["weighed"]) == len(board["points"]["weighed"])
    plain = CliRunner().invoke(calibration.main, command[1:])
    assert plain.exit_code == 0 and "findings, recorded:" in plain.output
