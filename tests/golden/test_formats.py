"""One capture in every format and compression gives one report."""

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard

import analyzer
from analyzer.report.files import json_text
from tests.golden.rewriting import Record, pcap, pcapng, records
from tests.recordings import recording

LINK, FRAMES = records(recording("story-node12", "bridge"))
PLAIN = pcap(LINK, FRAMES)
PROGRAM = Path(sys.executable).parent / "wrangler-forensics"

WAYS: dict[str, Callable[[], bytes]] = {
    "big endian": lambda: pcap(LINK, FRAMES, ">"),
    "nanoseconds": lambda: pcap(LINK, FRAMES, "<", 1),
    "nanoseconds, big endian": lambda: pcap(LINK, FRAMES, ">", 1),
    "pcapng": lambda: pcapng(LINK, FRAMES),
    "pcapng, big endian": lambda: pcapng(LINK, FRAMES, ">"),
    "gzip": lambda: gzip.compress(PLAIN),
    "zstd": lambda: zstandard.ZstdCompressor().compress(PLAIN),
    "lz4": lambda: lz4.frame.compress(PLAIN),
    "xz": lambda: lzma.compress(PLAIN, preset=0),
    "bzip2": lambda: bz2.compress(PLAIN),
    "pcapng in gzip": lambda: gzip.compress(pcapng(LINK, FRAMES)),
}


def said(path: Path | list[Path]) -> dict[str, Any]:
    """The report as JSON, but for the captures."""
    report: dict[str, Any] = json.loads(json_text(analyzer.scan(path)))
    del report["captures"]
    return report


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """The report on the recording as it is."""
    return said(recording("story-node12", "bridge"))


@pytest.mark.parametrize("way", WAYS)
def test_the_report_does_not_depend_on_the_format(
    way: str, tmp_path: Path, expected: dict[str, Any]
) -> None:
    path = tmp_path / "a capture"
    path.write_bytes(WAYS[way]())
    assert said(path) == expected
    assert expected["totals"]["findings"] == 2


def placeless(value: Any) -> Any:
    """A report without the numbers of frames and captures, which count in each file, and without
    how they were read: blocks end where files do.
    """
    if isinstance(value, dict):
        places = (
            "request_frame",
            "request_capture",
            "response_frame",
            "response_capture",
            "exchange",
        )
        gone = ("frame", "capture", "frames", "captures", "fact", "reading", *places)
        return {key: placeless(item) for key, item in value.items() if key not in gone}
    return [placeless(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("size", [1, 97, 400, 1_000])
def test_the_report_does_not_depend_on_rotation(
    size: int, tmp_path: Path, expected: dict[str, Any]
) -> None:
    frames = FRAMES if size > 1 else FRAMES[-100:]
    for number, at in enumerate(range(0, len(frames), size)):
        path = tmp_path / f"ring{number:05}.pcap"
        path.write_bytes(pcap(LINK, frames[at : at + size]))
    whole = tmp_path / "whole"
    whole.write_bytes(pcap(LINK, frames))
    parts = said([path for path in tmp_path.iterdir() if path != whole])
    assert placeless(parts) == placeless(said(whole))
    if size > 1:
        assert placeless(parts) == placeless(expected)


def test_standard_input(expected: dict[str, Any]) -> None:
    for data in (PLAIN, gzip.compress(PLAIN), pcapng(LINK, FRAMES)):
        done = subprocess.run(
            [PROGRAM, "scan", "-", "--json", "-"], input=data, capture_output=True, check=False
        )
        assert done.returncode == 1
        report = json.loads(done.stdout)
        del report["captures"]
        assert report == expected


def test_the_order_of_frames_in_one_instant_does_not_matter(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    # Some drivers hand over a reply before its request.
    frames: list[Record] = list(FRAMES)
    for at in range(0, len(frames) - 1, 2):
        if frames[at + 1].time - frames[at].time < 100_000:
            frames[at], frames[at + 1] = frames[at + 1], frames[at]
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(LINK, frames))
    shuffled = said(path)
    assert shuffled["totals"] == expected["totals"]
    assert [f["id"] for f in shuffled["findings"]] == [f["id"] for f in expected["findings"]]
