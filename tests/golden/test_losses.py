"""Frames that the capture lacks are never taken for somebody's fault."""

import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import analyzer
from tests.golden.rewriting import Record, cut, false_findings, pcap, records
from tests.recordings import Recording, recordings

FIRST = ("story-node12", "story-node14", "crossed-node14", "silent-node12", "clean-node14")
CLOSELY = [r for r in recordings() if r.scenario in FIRST and r.vantage in ("container", "bridge")]
EVERY_WAY = os.environ.get("WRANGLER_FORENSICS_LOSSES") == "all"
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


def third(frames: tuple[Record, ...]) -> int:
    return len(frames) // 3


WAYS: dict[str, Callable[[tuple[Record, ...]], list[Record]]] = {
    "2 % lost": lambda frames: thinned(frames, 0.02, 1),
    "starts late": lambda frames: list(frames[third(frames) :]),
    "ends early": lambda frames: list(frames[: -third(frames)]),
    "snaplen 120": lambda frames: cut(frames, 120),
    "snaplen 60": lambda frames: cut(frames, 60),
    "the middle is missing": lambda frames: [*frames[: third(frames)], *frames[-third(frames) :]],
}


@pytest.mark.parametrize("one", ALL, ids=str)
def test_cuts_and_losses_of_every_recording(tmp_path: Path, one: Recording) -> None:
    """Every way at the container and the proxy. A host's capture, which has each of their packets
    four times over, is lossy in two ways of the six, which differ from scenario to scenario;
    `WRANGLER_FORENSICS_LOSSES=all` takes them all.
    """
    link_type, frames = records(one.path)
    ways = list(WAYS)
    if one.vantage == "host-any" and not EVERY_WAY:
        ways = ways[hashlib.sha256(one.scenario.encode()).digest()[0] % 3 :: 3]
    found = {way: false(tmp_path, one, link_type, WAYS[way](frames)) for way in ways}
    assert {way: false for way, false in found.items() if false} == {}


def test_a_burst_of_losses_anywhere_in_the_story(tmp_path: Path) -> None:
    one = next(r for r in CLOSELY if str(r) == "story-node12/container")
    link_type, frames = records(one.path)
    for at in range(0, len(frames), 60):
        left = [*frames[:at], *frames[at + 25 :]]
        assert false(tmp_path, one, link_type, left) == [], at
