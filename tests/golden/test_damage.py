"""Recordings with damaged, repeated and displaced frames: read to the end, and nobody accused."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import analyzer
from analyzer.report.files import csv_text, json_text
from tests.golden.rewriting import Record, false_findings, pcap, records
from tests.recordings import Recording, recordings

SOME = [r for r in recordings() if r.vantage == "container"][::5]


def flipped(frames: list[Record], chance: random.Random) -> list[Record]:
    """Bytes changed anywhere in every tenth frame."""
    out = []
    for time, data, wire in frames:
        changed = bytearray(data)
        if chance.random() < 0.1:
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
        out.append(Record(time, bytes(changed), wire))
    return out


def cut_short(frames: list[Record], chance: random.Random) -> list[Record]:
    """Every tenth frame cut anywhere."""
    return [
        Record(f.time, f.data[: chance.randrange(len(f.data) + 1)], f.wire)
        if chance.random() < 0.1
        else f
        for f in frames
    ]


def repeated(frames: list[Record], chance: random.Random) -> list[Record]:
    """Every fifth frame recorded twice."""
    return [f for f in frames for _ in range(2 if chance.random() < 0.2 else 1)]


def displaced(frames: list[Record], chance: random.Random) -> list[Record]:
    """Neighbours recorded the other way round."""
    out = list(frames)
    for at in range(0, len(out) - 1, 2):
        if chance.random() < 0.3 and out[at + 1].time - out[at].time < 50_000_000:
            out[at], out[at + 1] = out[at + 1], out[at]
    return out


Way = Callable[[list[Record], random.Random], list[Record]]


def read(folder: Path, one: Recording, way: Way, seed: int) -> list[tuple[str, str]]:
    """What is found and did not happen; the whole report has been written."""
    link_type, frames = records(one.path)
    path = folder / "c.pcap"
    path.write_bytes(pcap(link_type, way(list(frames), random.Random(seed))))
    report = analyzer.scan(path)
    assert json_text(report)
    assert csv_text(report)
    assert len(report.exchanges) >= report.totals["requests"]
    return false_findings(report, one.scenario)


@pytest.mark.parametrize("way", [flipped, cut_short])
@pytest.mark.parametrize("one", SOME, ids=str)
def test_damage_is_survived(tmp_path: Path, one: Recording, way: Way) -> None:
    for seed in range(4):
        read(tmp_path, one, way, seed)


@pytest.mark.parametrize("way", [repeated, displaced])
@pytest.mark.parametrize("one", SOME, ids=str)
def test_repeated_and_displaced_frames_accuse_nobody(
    tmp_path: Path, one: Recording, way: Way
) -> None:
    for seed in range(3):
        assert read(tmp_path, one, way, seed) == []


def test_bytes_of_the_file_changed_anywhere(tmp_path: Path) -> None:
    link_type, frames = records(SOME[0].path)
    whole = pcap(link_type, frames)
    path = tmp_path / "c.pcap"
    for seed in range(30):
        chance, data = random.Random(seed), bytearray(whole)
        for _ in range(20):
            data[chance.randrange(24, len(data))] = chance.randrange(256)
        path.write_bytes(data)
        assert analyzer.scan(path).totals["frames"] <= len(frames) + 20
