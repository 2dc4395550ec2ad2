"""The story in a tunnel: the same findings as without."""

from pathlib import Path

import pytest

import analyzer
from tests.formats.make import geneve, pieces, vxlan
from tests.golden.rewriting import Record, pcap, records
from tests.recordings import recording
from tests.tools import found

VXLAN, GENEVE = vxlan(b"", True), geneve(b"", True)


def tunnelled(header: bytes, frame: bytes) -> bytes:
    """The frame behind the headers of a tunnel over IPv4, whose length is put right."""
    size = len(header) - 14 + len(frame)
    return header[:16] + size.to_bytes(2, "big") + header[18:] + frame


@pytest.mark.parametrize("name", ["vxlan", "geneve around vxlan", "two networks", "fragments"])
def test_findings_are_those_without_the_tunnel(tmp_path: Path, name: str) -> None:
    plain = recording("story-node12", "bridge")
    link_type, frames = records(plain)
    made: list[Record] = []
    for time, data, _ in frames:
        if name == "vxlan":
            parts = [tunnelled(VXLAN, data)]
        elif name == "geneve around vxlan":
            parts = [tunnelled(GENEVE, tunnelled(VXLAN, data))]
        elif name == "two networks":  # the same packets are seen twice: one connection
            parts = [tunnelled(VXLAN, data), tunnelled(VXLAN[:-4] + b"\0\0\7\0", data)]
        else:
            parts = pieces(data, 200) if len(data) > 300 else [data]
        made += [Record(time, part, len(part)) for part in parts]
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(link_type, made))
    report, expected = analyzer.scan(path), analyzer.scan(plain)
    assert found(report) == found(expected)
    assert found(report)
    for total in ("requests", "answered", "unanswered"):
        assert report.totals[total] == expected.totals[total]
    if name == "two networks":
        assert report.tables.interfaces == ["vxlan 42", "vxlan 7"]
        assert report.totals["connections"] == expected.totals["connections"]
