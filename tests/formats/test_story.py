"""The story in a tunnel: the same findings as without."""

from pathlib import Path

import pytest

import analyzer
from analyzer import dossier, pipeline
from analyzer.verification import verify
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


def in_fragments(data: bytes) -> list[bytes]:
    return pieces(data, 200) if len(data) > 300 else [data]


@pytest.mark.parametrize("name", ["inner", "outer", "both", "last first", "repeated"])
def test_what_came_in_fragments_can_be_checked_and_copied(tmp_path: Path, name: str) -> None:
    link_type, frames = records(recording("story-node12", "bridge"))
    made: list[Record] = []
    for time, data, _ in frames:
        inner = [data] if name == "outer" else in_fragments(data)
        if name in ("outer", "both"):
            inner = [part for one in inner for part in in_fragments(tunnelled(VXLAN, one))]
        if name == "last first":
            inner.reverse()
        if name == "repeated":
            inner = [*inner[:1], *inner] if len(inner) > 1 else inner
        made += [Record(time, part, len(part)) for part in inner]
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(link_type, made))
    examined = pipeline.examine([str(path)])
    assert verify(examined.report).failures == []
    found = dossier.write(examined, str(tmp_path), force=False)
    assert found
    for one in found:
        assert one.found == one.incident
        again = analyzer.scan(one.path)
        assert again.captures[0].fates["ip-fragment"] > 0
        assert not again.captures[0].fates["ip-fragment-incomplete"]
        assert not again.anomalies["gap"]


def test_a_fragment_that_was_changed_is_noticed(tmp_path: Path) -> None:
    link_type, frames = records(recording("story-node12", "bridge"))
    path = tmp_path / "made.pcap"

    def put(changed: bytes) -> None:
        made = [
            Record(time, part.replace(b"HTTP/1.1 200", changed), len(part))
            for time, data, _ in frames
            for part in in_fragments(data)
        ]
        path.write_bytes(pcap(link_type, made))

    put(b"HTTP/1.1 200")
    report = analyzer.scan(path)
    assert verify(report).failures == []
    put(b"HTTP/1.1 201")
    assert any("200" in failure for failure in verify(report).failures)
