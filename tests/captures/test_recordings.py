"""The shipped recordings are what their truth says; no root needed."""

import hashlib
import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from captures.lab import scenario, wire
from tests.recordings import plain

CAPTURES = Path(__file__).parents[2] / "captures"
RECORDINGS = sorted(path.parent for path in (CAPTURES / "recordings").glob("*/truth.json"))
CAUSES = {
    "server/descriptor", "server/crossed", "server/stolen", "server/silent", "server/closed",
    "server/reset", "connection/desync", "client/pool-reuse", "client/gave-up", "network/lost",
    "network/reset", "proxy/crossed", "client/early-final",
    "server/backend-desync",
}  # fmt: skip
REPORTED = sorted(path.parent for path in (CAPTURES / "reported").glob("*/truth.json"))
each_recording = pytest.mark.parametrize(
    "recording", RECORDINGS + REPORTED, ids=lambda path: path.name
)


@cache
def truth(recording: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((recording / "truth.json").read_text())
    return told


def lengths(data: bytes) -> list[int]:
    """The captured length of each record of a little-endian pcap file."""
    found, at = [], 24
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        found.append(length)
        at += 16 + length
    return found


@each_recording
def test_captures_have_the_hashes_and_frames_that_truth_names(recording: Path) -> None:
    told = truth(recording)
    assert {one["file"] for one in told["captures"]} == {
        path.name for path in recording.iterdir() if path.name != "truth.json"
    }
    for one in told["captures"]:
        data = (recording / one["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == one["sha256"]
        assert len(lengths(plain(recording / one["file"]))) == one["frames"] > 0


@each_recording
def test_totals_agree_with_each_other_and_with_the_log(recording: Path) -> None:
    told = truth(recording)
    for count in told["totals"]:
        assert told["totals"][count] == sum(one[count] for one in told["clients"].values())
    rows = [row for row in told.get("log", ()) if row["client"] != "unconnected"]
    if rows:
        asked = [row for row in rows if row["outcome"] != "surplus"]
        assert len(asked) == told["totals"]["requests"]
        answered = sum(row["outcome"] == "answered" for row in asked)
        assert answered == told["totals"]["answered"]
    else:
        assert sum(told["endpoints"].values()) == told["totals"]["requests"]


@each_recording
def test_planted_faults_are_named_in_the_reports_words(recording: Path) -> None:
    told = truth(recording)
    assert bool(told["planted"]) == bool(told["mechanism"]) or told["tolerated"]
    for one in told["planted"]:
        assert one["kind"] in scenario.KINDS
        assert {one["cause"], *one.get("also", ())} <= CAUSES
        assert one["kind"] != "misdelivered" or one["owner"]
        assert one["seen_at"] or one["request"]["method"] == "-"
        assert set(one["seen_at"]) <= {capture["vantage"] for capture in told["captures"]}
        for request in (one["request"], one["owner"]):
            assert request is None or set(request) == {"method", "target", "client", "time"}


@each_recording
def test_planted_requests_are_on_the_wire(recording: Path) -> None:
    told = truth(recording)
    whole = b"".join(plain(recording / one["file"]) for one in told["captures"])
    for one in told["planted"]:
        for request in (one["request"], one["owner"]):
            if request and request["method"] != "-":
                assert f"{request['method']} {request['target']} HTTP/1.1".encode() in whole


@pytest.mark.parametrize("name", ["story-node12", "request-lost-node12", "proxy-mixes-node16"])
def test_where_a_request_is_seen_can_be_read_again(name: str, tmp_path: Path) -> None:
    recording = CAPTURES / "recordings" / name
    told = truth(recording)
    captures = {}
    for one in told["captures"]:
        captures[one["vantage"]] = tmp_path / one["vantage"]
        captures[one["vantage"]].write_bytes(plain(recording / one["file"]))
    requests = [one["request"] for one in told["planted"]]
    assert wire.seen_at(captures, requests) == [one["seen_at"] for one in told["planted"]]


def test_every_scenario_is_recorded_and_every_recording_has_its_scenario() -> None:
    wanted = {
        variant.name for one in scenario.load_all().values() for variant in scenario.variants(one)
    }
    unseen = {path.parent.name for path in (CAPTURES / "unseen").glob("*/truth.json")}
    assert {path.name for path in RECORDINGS + REPORTED} | unseen == wanted


def test_there_are_enough_of_them_and_they_are_small() -> None:
    faults = {truth(path)["scenario"] for path in RECORDINGS if truth(path)["planted"]}
    controls = {truth(path)["scenario"] for path in RECORDINGS if not truth(path)["planted"]}
    assert len(faults) >= 30
    assert len(controls) >= 15
    size = sum(path.stat().st_size for path in (CAPTURES / "recordings").rglob("*"))
    assert size < 20_000_000


def test_the_readme_lists_every_scenario() -> None:
    text = (CAPTURES / "README.md").read_text()
    missing = [name for name in scenario.load_all() if f"`{name}`" not in text]
    assert not missing
