"""One connection seen at several places is judged once."""

from pathlib import Path

import pytest

import analyzer
from analyzer.report.result import Report
from tests.builder import (
    COOKED2,
    SECOND,
    Conversation,
    Frame,
    Pcapng,
    linked,
    pcap,
    request,
    response,
)
from tests.findings.stable import LATER, OCCUPANCY, VET, epilogue, ordinary, swap, talk
from tests.tools import found

MICROSECOND = 1_000
CLIENT_NET, DOCKER, CONTAINER = ("172.31.17.21", 49_234), ("192.0.2.10", 80), ("172.17.0.2", 8080)


def translated(seen: Conversation, *, later: int, server: tuple[str, int]) -> list[Frame]:
    """The conversation as seen behind a translation of the server's address and port."""
    frames = []
    for frame in seen.frames:
        source, target = frame.packet[12:16], frame.packet[16:20]
        old = bytes(int(part) for part in seen.ends[1][0].split("."))
        new = bytes(int(part) for part in server[0].split("."))
        ports = frame.packet[20:22], frame.packet[22:24]
        old_port = seen.ends[1][1].to_bytes(2, "big")
        new_port = server[1].to_bytes(2, "big")
        data = (
            frame.packet[:12]
            + (new if source == old else source)
            + (new if target == old else target)
            + (new_port if ports[0] == old_port else ports[0])
            + (new_port if ports[1] == old_port else ports[1])
            + frame.packet[24:]
        )
        frames.append(Frame(frame.time + later, data))
    return frames


def any_capture(folder: Path, seen: list[tuple[int, Frame]]) -> Report:
    """A cooked capture of several interfaces: (interface index, frame)."""
    file = Pcapng().interface(COOKED2, options={9: b"\x09"})
    for index, frame in sorted(seen, key=lambda s: s[1].time):
        file.enhanced(linked(frame.packet, COOKED2, scope=index), ticks=frame.time)
    path = folder / "any.pcapng"
    path.write_bytes(file.data)
    return analyzer.scan(path)


def test_before_and_after_translation_an_exchange_counts_once(tmp_path: Path) -> None:
    one = Conversation(CLIENT_NET, DOCKER).open()
    one.ask(request("/a")).answer(response(b"{}")).ask(request("/b")).answer(response(b"{}"))
    one.close()
    seen = [(2, frame) for frame in one.frames]
    seen += [
        (index, frame)
        for index, later in ((3, 20 * MICROSECOND), (9, 40 * MICROSECOND))
        for frame in translated(one, later=later, server=CONTAINER)
    ]
    report = any_capture(tmp_path, seen)
    assert report.totals["connections"] == 1
    assert report.totals["requests"] == report.totals["answered"] == 2
    assert len(report.exchanges) == 2


def test_a_finding_is_reported_once_with_all_its_interfaces(tmp_path: Path) -> None:
    one = Conversation(CLIENT_NET, DOCKER).open().ask(request("/a")).wait(20 * SECOND).close()
    seen = [(2, frame) for frame in one.frames]
    seen += [(3, f) for f in translated(one, later=20 * MICROSECOND, server=CONTAINER)]
    report = any_capture(tmp_path, seen)
    assert found(report) == [("unanswered", "server/silent", "/a", "")]
    request_ = report.judgement.findings[0].request
    assert request_ is not None
    assert request_.client == "172.31.17.21:49234"
    assert request_.interfaces == ("if2", "if3")


def test_two_connections_of_one_client_stay_two(tmp_path: Path) -> None:
    seen = []
    for number in range(2):
        one = Conversation(
            ("172.31.17.21", 49_000 + number), DOCKER, isns=(5_000 * number, 9_000 * number)
        )
        one.open().ask(request("/a")).answer(response(b"{}")).close()
        seen += [(2, frame) for frame in one.frames]
    report = any_capture(tmp_path, seen)
    assert report.totals["connections"] == report.totals["answered"] == 2


def test_equal_numbers_much_later_are_another_connection(tmp_path: Path) -> None:
    seen = []
    for number in range(2):
        one = Conversation(CLIENT_NET, DOCKER, start=LATER + number * 3_600 * SECOND)
        one.open().ask(request("/a")).answer(response(b"{}")).close()
        seen += [(2 + number, frame) for frame in one.frames]
    assert any_capture(tmp_path, seen).totals["connections"] == 2


@pytest.mark.parametrize("lost_at", [0, 1])
def test_the_more_complete_sighting_is_judged(tmp_path: Path, lost_at: int) -> None:
    one = Conversation(CLIENT_NET, DOCKER).open().ask(request("/a")).answer(response(b"{}"))
    one.close()
    sightings = [one.frames, translated(one, later=20 * MICROSECOND, server=CONTAINER)]
    del sightings[lost_at][5]
    seen = [(index, frame) for index, frames in enumerate(sightings, 2) for frame in frames]
    report = any_capture(tmp_path, seen)
    assert report.totals["connections"] == report.totals["answered"] == 1
    assert report.totals["undecided"] == 0


@pytest.mark.parametrize("apart", [-3 * SECOND, 0, 3 * SECOND])
def test_the_story_over_two_captures_with_clocks_apart(tmp_path: Path, apart: int) -> None:
    one, two = swap()
    both = sorted([*ordinary(), *one.frames, *two.frames, *epilogue()])
    (tmp_path / "server.pcap").write_bytes(pcap(both))
    after = talk(3, start=one.time + 60 * SECOND).ask(request("/later")).answer(response(b"{}"))
    near = [
        Frame(frame.time + apart, frame.packet) for frame in sorted([*one.frames, *after.frames])
    ]
    (tmp_path / "client.pcap").write_bytes(pcap(near))
    report = analyzer.scan([tmp_path / "server.pcap", tmp_path / "client.pcap"])
    assert [kind for kind, *_ in found(report)] == ["misdelivered", "unanswered"]
    alone = analyzer.scan(tmp_path / "server.pcap")
    assert report.totals["requests"] == alone.totals["requests"] + 1
    assert {target for _, _, target, _ in found(report)} == {VET, OCCUPANCY}
