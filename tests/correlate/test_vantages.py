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


# --- joined by what is left of the numbers, and never two for one --------------------------


def through_nat(seen: Conversation, *, later: int, client: tuple[str, int]) -> list[Frame]:
    """The conversation as seen behind a translation of the client's address and port."""
    behind = Conversation(client, seen.ends[1])
    swapped = {seen.ends[0]: client, seen.ends[1]: seen.ends[1]}
    frames = []
    for frame in seen.frames:
        data = bytearray(frame.packet)
        for ends, ports in ((12, 20), (16, 22)):
            address = ".".join(str(part) for part in data[ends : ends + 4])
            place = address, int.from_bytes(data[ports : ports + 2], "big")
            new = swapped[place]
            data[ends : ends + 4] = bytes(int(part) for part in new[0].split("."))
            data[ports : ports + 2] = new[1].to_bytes(2, "big")
        frames.append(Frame(frame.time + later, bytes(data)))
    assert behind.ends[0] == client
    return frames


def dialogue(*, isns: tuple[int, int] = (77_001, 88_002), target: str = "/a") -> Conversation:
    """A connection with two exchanges, closed."""
    one = Conversation(CLIENT_NET, DOCKER, isns=isns).open()
    one.ask(request(target)).answer(response(b'{"a": 1}'))
    return one.ask(request("/b")).answer(response(b'{"b": 1}')).close()


def test_a_translated_client_port_is_the_same_connection(tmp_path: Path) -> None:
    one = dialogue()
    seen = [(2, frame) for frame in one.frames]
    seen += [(3, f) for f in through_nat(one, later=20_000, client=("172.17.0.1", 61_001))]
    report = any_capture(tmp_path, seen)
    assert report.totals["connections"] == 1
    assert report.totals["requests"] == report.totals["answered"] == 2


def test_another_port_with_equal_numbers_and_other_traffic_is_another(tmp_path: Path) -> None:
    one = dialogue()
    other = Conversation(("172.17.0.1", 61_001), DOCKER, isns=(77_001, 88_002)).open()
    other.ask(request("/a")).answer(response(b'{"a": 1}')).close()
    seen = [(2, frame) for frame in one.frames] + [(3, frame) for frame in other.frames]
    assert any_capture(tmp_path, seen).totals["connections"] == 2


def test_clients_with_constant_initial_numbers_stay_apart(tmp_path: Path) -> None:
    """As toy stacks have them: same numbers, same ports, at the same time, at one place."""
    seen = []
    for number in range(4):
        one = Conversation((f"172.31.17.{number + 1}", 49_000), DOCKER, isns=(1_000, 2_000))
        one.open().ask(request(f"/things/{number}")).answer(response(b"{}")).close()
        seen += [(2, frame) for frame in one.frames]
    report = any_capture(tmp_path, seen)
    assert report.totals["connections"] == report.totals["answered"] == 4


def test_constant_numbers_and_other_ports_stay_apart_at_two_places(tmp_path: Path) -> None:
    seen = []
    for number in range(4):
        client = ("172.31.17.21", 49_000 + number)
        one = Conversation(client, DOCKER, isns=(1_000, 2_000))
        one.open().ask(request("/a")).answer(response(b"{}")).close()
        seen += [(2 + number // 2, frame) for frame in one.frames]
    assert any_capture(tmp_path, seen).totals["connections"] == 4


@pytest.mark.parametrize("order", [("client", "server"), ("server", "client")])
def test_a_capture_that_began_later_is_joined_by_what_it_has(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    one = dialogue()
    begin = next(i for i, f in enumerate(one.frames) if b"/b" in f.packet)
    files = {"client": one.frames, "server": one.frames[begin:]}
    for name, frames in files.items():
        moved = [Frame(f.time + 20_000 * (name == "server"), f.packet) for f in frames]
        (tmp_path / f"{name}.pcap").write_bytes(pcap(moved))
    report = analyzer.scan([tmp_path / f"{name}.pcap" for name in order])
    assert report.totals["connections"] == 1
    assert report.totals["requests"] == report.totals["answered"] == 2
    assert report.totals["undecided"] == 0


def test_a_vantage_of_one_direction_counts_nothing_twice(tmp_path: Path) -> None:
    one = dialogue()
    back = [f for f in one.frames if f.packet[12:16] == bytes([192, 0, 2, 10])]
    (tmp_path / "both.pcap").write_bytes(pcap(one.frames))
    (tmp_path / "back.pcap").write_bytes(pcap([Frame(f.time - 9_000, f.packet) for f in back]))
    report = analyzer.scan([tmp_path / "both.pcap", tmp_path / "back.pcap"])
    assert report.totals["connections"] == 1
    assert report.totals["answered"] == 2


def test_what_leaves_untranslated_belongs_to_its_connection(tmp_path: Path) -> None:
    one = Conversation(CLIENT_NET, DOCKER).open().ask(request("/a"))
    inside = translated(one, later=20_000, server=CONTAINER)
    answer = Conversation(CLIENT_NET, CONTAINER, start=one.time)
    answer.next = list(one.next)
    for _ in range(3):
        answer.wait(SECOND).send(1, response(b'{"a": 1}'))
    seen = [(2, frame) for frame in one.frames] + [(3, frame) for frame in inside]
    seen += [(index, frame) for index in (2, 3) for frame in answer.frames]
    assert any_capture(tmp_path, seen).totals["connections"] == 1


@pytest.mark.parametrize("apart", [-3 * SECOND, 0, 3 * SECOND])
def test_where_the_capture_at_the_client_ends_first_the_other_one_is_judged(
    tmp_path: Path, apart: int
) -> None:
    asked = [talk(n, start=LATER + n * SECOND) for n in (1, 2)]
    for number, one in enumerate(asked):
        one.ask(request(f"/horses/{number}/vet-report"))
    early = [Frame(f.time + apart, f.packet) for one in asked for f in one.frames]
    asked[0].wait(20 * SECOND).answer(response(b"{}")).close()
    asked[1].wait(20 * SECOND).close()
    late = [Frame(f.time + 30_000, f.packet) for one in asked for f in one.frames]
    both = sorted([*ordinary(), *late, *epilogue()])
    (tmp_path / "client.pcap").write_bytes(pcap(sorted(early)))
    (tmp_path / "server.pcap").write_bytes(pcap(both))
    report = analyzer.scan([tmp_path / "client.pcap", tmp_path / "server.pcap"])
    assert found(report) == [("unanswered", "server/silent", "/horses/1/vet-report", "")]
    assert report.totals["undecided"] == 0


def test_one_server_has_many_names(tmp_path: Path) -> None:
    """The two of a swap are told to be of one server, though no vantage has both."""
    one, two = swap()
    outside = [Frame(f.time, f.packet) for f in sorted([*ordinary(), *one.frames, *epilogue()])]
    inside = sorted([*ordinary(), *two.frames, *epilogue()])
    moved = Conversation(("10.0.1.1", 41_001), ("10.0.0.2", 8080))
    moved.frames = list(inside)
    (tmp_path / "outside.pcap").write_bytes(pcap(outside))
    behind = translated(moved, later=20_000, server=("172.17.0.2", 3000))
    (tmp_path / "inside.pcap").write_bytes(pcap(behind))
    report = analyzer.scan([tmp_path / "outside.pcap", tmp_path / "inside.pcap"])
    assert [kind for kind, *_ in found(report)] == ["misdelivered", "unanswered"]
