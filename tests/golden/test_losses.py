"""Frames that the capture lacks are never taken for somebody's fault."""

import random
from pathlib import Path

import pytest

import analyzer
from tests.golden.rewriting import Record, cut, false_findings, pcap, records
from tests.recordings import Recording, recordings

FIRST = ("story-node12", "story-node14", "crossed-node14", "silent-node12", "clean-node14")
CLOSELY = [r for r in recordings() if r.scenario in FIRST and r.vantage in ("container", "bridge")]
ALL = [r for r in recordings() if r.vantage in ("container", "host-any", "proxy")]


def false(
    folder: Path, one: Recording, link_type: int, frames: list[Record]
) -> list[tuple[str, str]]:
    """What is found in these frames and did not happen."""
    path = folder / "c.pcap"
    path.write_bytes(pcap(link_type, frames))
    return false_findings(analyzer.scan(path), one.scenario)


def thinned(frames: tuple[Record, ...], share: float, seed: int) -> list[Record]:
    """The frames without a random share of them."""
    chance = random.Random(seed)
    return [frame for frame in frames if chance.random() >= share]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("one", CLOSELY, ids=str)
def test_random_losses(tmp_path: Path, one: Recording, seed: int) -> None:
    link_type, frames = records(one.path)
    for share in (0.02, 0.2):
        assert false(tmp_path, one, link_type, thinned(frames, share, seed)) == []


@pytest.mark.parametrize("one", ALL, ids=str)
def test_cuts_and_losses_of_every_recording(tmp_path: Path, one: Recording) -> None:
    link_type, frames = records(one.path)
    third = len(frames) // 3
    ways = {
        "2 % lost": thinned(frames, 0.02, 1),
        "starts late": list(frames[third:]),
        "ends early": list(frames[:-third]),
        "snaplen 120": cut(frames, 120),
        "snaplen 60": cut(frames, 60),
        "the middle is missing": [*frames[:third], *frames[-third:]],
    }
    found = {way: false(tmp_path, one, link_type, left) for way, left in ways.items()}
    assert {way: false for way, false in found.items() if false} == {}


def test_a_burst_of_losses_anywhere_in_the_story(tmp_path: Path) -> None:
    one = next(r for r in CLOSELY if str(r) == "story-node12/container")
    link_type, frames = records(one.path)
    for at in range(0, len(frames), 60):
        left = [*frames[:at], *frames[at + 25 :]]
        assert false(tmp_path, one, link_type, left) == [], at
