"""Recordings taken apart and put together again: other formats, missing frames, cut frames."""

import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

from analyzer.report.result import Report
from tests.builder import Pcapng
from tests.recordings import plain, truth


class Record(NamedTuple):
    """A frame with its link header; time in ns."""

    time: int
    data: bytes
    wire: int


@cache
def records(path: Path) -> tuple[int, tuple[Record, ...]]:
    """Link type and frames of a recorded capture (pcap in µs, little endian)."""
    data = plain(path)
    magic, link_type = struct.unpack_from("<I16xI", data)
    assert magic == 0xA1B2C3D4
    found, at = [], 24
    while at < len(data):
        seconds, rest, size, wire = struct.unpack_from("<IIII", data, at)
        found.append(Record(seconds * 10**9 + rest * 1_000, data[at + 16 : at + 16 + size], wire))
        at += 16 + size
    return link_type, tuple(found)


def pcap(
    link_type: int, frames: tuple[Record, ...] | list[Record], order: str = "<", unit: int = 1_000
) -> bytes:
    """The frames as classic pcap with times in `unit` ns."""
    magic = 0xA1B2C3D4 if unit == 1_000 else 0xA1B23C4D
    parts = [struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 262_144, link_type)]
    for time, data, wire in frames:
        head = time // 10**9, time % 10**9 // unit, len(data), wire
        parts.append(struct.pack(f"{order}IIII", *head) + data)
    return b"".join(parts)


def pcapng(link_type: int, frames: tuple[Record, ...] | list[Record], order: str = "<") -> bytes:
    """The frames as pcapng, times in ns."""
    file = Pcapng(order).interface(link_type, options={9: b"\x09"})
    head, blocks = file.data, []
    for time, data, wire in frames:
        file.data = b""
        blocks.append(file.enhanced(data, ticks=time, wire=wire).data)
    return head + b"".join(blocks)


def cut(frames: tuple[Record, ...], snaplen: int) -> list[Record]:
    """The frames as a capture with this snaplen has them."""
    return [Record(time, data[:snaplen], wire) for time, data, wire in frames]


def false_findings(report: Report, scenario: str) -> list[tuple[str, str]]:
    """Findings (kind, target) that did not happen."""
    told = truth(scenario)
    planted = [*told["planted"], *told["tolerated"]]
    happened: dict[str, set[str]] = {
        "misdelivered": {p["request"]["target"] for p in planted if p["kind"] == "misdelivered"},
        "unsolicited": {"" for p in planted if p["kind"] == "unsolicited"},
    }
    left_waiting = {p["request"]["target"] for p in planted if p["kind"] != "misdelivered"}
    left_waiting |= {r["target"] for r in told.get("log", ()) if r["outcome"] != "answered"}
    happened["unanswered"] = happened["incomplete"] = left_waiting
    return [
        (str(finding.kind), target)
        for finding in report.judgement.findings
        if (target := finding.request.target if finding.request else "")
        not in happened[finding.kind]
    ]
