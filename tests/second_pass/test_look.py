"""A second look says of a connection what the first one said, and every packet besides."""

import gzip
import io
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analyzer import pipeline
from analyzer.capture import files
from analyzer.capture.frames import BLOCK
from analyzer.errors import InputError
from analyzer.intervals import advance
from analyzer.second_pass.look import wanted as wanted_of
from analyzer.second_pass.model import CLIENT, SERVER, Limits, Reread
from tests.builder import (
    COOKED2,
    FIN,
    RAW,
    SECOND,
    START,
    Conversation,
    Frame,
    in_time,
    pcap,
    request,
    response,
)
from tests.recordings import recording

TSHARK = shutil.which("tshark")


def looked(
    paths: list[Path], *, limits: Limits | None = None, block: int = BLOCK, **window: Any
) -> list[Reread]:
    """Close looks at all connections of the captures, in the order of their first frames."""
    extraction, captures, interfaces = pipeline.extract([str(p) for p in paths])
    tables = pipeline._tables(extraction, captures, interfaces)
    numbers = range(len(tables.connections))
    wanted = wanted_of(tables.connections, tables.addresses, numbers, **window)
    found = pipeline.look(captures, interfaces, wanted, limits=limits, block=block)
    return sorted(found.values(), key=lambda c: (c.packets[0].capture, c.packets[0].frame))


def look_at(folder: Path, frames: list[Frame], **how: Any) -> list[Reread]:
    """Close looks at all connections of these frames."""
    path = folder / "built.pcap"
    path.write_bytes(pcap(frames))
    return looked([path], **how)


def test_packets_and_messages_of_an_exchange(tmp_path: Path) -> None:
    talk = Conversation().open()
    talk.ask(request("/things?id=7", "POST", body=b'{"a": 1}', fields="X-Id: q1\r\n"))
    talk.answer(response(b'{"b": 2}'), 40).close()
    (found,) = look_at(tmp_path, talk.frames)
    assert [p.frame for p in found.packets] == list(range(1, len(talk.frames) + 1))
    assert found.bases == (1_000, 500_000)
    syn, answer, *_ = found.packets
    assert (syn.side, syn.seq, syn.end, syn.flags) == (CLIENT, 0, 1, 2)
    assert (answer.side, answer.seq, answer.ack) == (SERVER, 0, 1)
    assert (syn.ttl, syn.ip_id, syn.stamp) == (64, 1, None)
    assert (syn.source_mac, syn.target_mac) == ("06:07:08:09:0a:0b", "00:01:02:03:04:05")
    asked, answered = found.messages
    assert (asked.side, asked.method, asked.target) == (CLIENT, "POST", b"/things?id=7")
    assert asked.headers == (
        ("Host", "api.example"),
        ("Content-Length", "8"),
        ("X-Id", "q1"),
    )
    assert asked.header("x-id") == "q1" and asked.header("x-none") is None
    assert (asked.body, answered.body) == (b'{"a": 1}', b'{"b": 2}')
    assert (asked.exchange, answered.exchange) == (0, 0)
    assert asked.end == answered.ack == found.packets[3].end
    assert (answered.frame, answered.end_frame) == (6, 7)
    assert answered.end == found.packets[-2].seq == answered.seq + len(response(b'{"b": 2}'))


def test_codings_are_undone(tmp_path: Path) -> None:
    coded = gzip.compress(b'{"n": 5}')
    chunks = b"3\r\n" + coded[:3] + b"\r\n%x\r\n" % len(coded[3:]) + coded[3:] + b"\r\n0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    talk = Conversation().open().ask(request("/n"))
    talk.answer(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks, 11)
    (found,) = look_at(tmp_path, talk.frames)
    assert found.messages[1].body == b'{"n": 5}'
    assert found.messages[1].length == len(coded)


def test_messages_in_one_segment_end_where_the_next_begins(tmp_path: Path) -> None:
    one, two = request("/one"), request("/two")
    talk = Conversation().open().ask(one + two)
    talk.answer(response(b"1") + response(b"22"))
    (found,) = look_at(tmp_path, talk.frames)
    asked = [m for m in found.messages if m.side == CLIENT]
    assert [(m.target, m.seq, m.end) for m in asked] == [
        (b"/one", 1, 1 + len(one)),
        (b"/two", 1 + len(one), 1 + len(one + two)),
    ]


def test_repeats_and_probes_are_told_apart(tmp_path: Path) -> None:
    talk = Conversation().open()
    data = request("/x")
    talk.send(CLIENT, data[:20])
    talk.send(CLIENT, data[20:])
    talk.send(CLIENT, data[10:30], seq=1_001 + 10)  # lies in both
    talk.send(CLIENT, data[-1:], seq=1_001 + len(data) - 1)  # a keep-alive's byte
    talk.send(CLIENT, seq=1_001 + len(data) - 1)  # and one without
    talk.send(CLIENT, flags=2, seq=1_000)
    (found,) = look_at(tmp_path, talk.frames)
    marks = [(p.again, p.probe) for p in found.packets[3:]]
    assert marks == [
        (False, False), (False, False), (True, False), (False, True), (False, True), (True, False),
    ]  # fmt: skip


def test_numbers_wrap_and_go_on(tmp_path: Path) -> None:
    talk = Conversation(isns=(2**32 - 30, 2**32 - 5)).open()
    talk.ask(request("/wrap")).answer(response(b"{}")).close()
    (found,) = look_at(tmp_path, talk.frames)
    ends = [p.end for p in found.packets if p.side == CLIENT]
    assert ends == sorted(ends) and ends[-1] == len(request("/wrap")) + 2
    raw = [f.packet[24:28] for f in talk.frames]
    assert [struct.pack(">I", advance(found.bases[p.side], p.seq)) for p in found.packets] == raw


def test_a_port_used_again_is_another_connection(tmp_path: Path) -> None:
    first = Conversation().open().ask(request("/first")).answer(response(b"1")).close()
    later = Conversation(isns=(70_000, 90_000), start=START + SECOND).open()
    later.ask(request("/later")).answer(response(b"2"))
    one, two = look_at(tmp_path, in_time(first.frames, later.frames))
    assert [m.target for m in one.messages if m.target] == [b"/first"]
    assert [m.target for m in two.messages if m.target] == [b"/later"]
    assert (len(one.packets), len(two.packets)) == (len(first.frames), len(later.frames))


def test_a_connection_that_is_not_wanted_leaves_no_packets(tmp_path: Path) -> None:
    first = Conversation().open().ask(request("/first")).answer(response(b"1")).close()
    refused = Conversation(isns=(70_000, 90_000), start=START + SECOND)
    refused.send(CLIENT, flags=2)
    refused.send(SERVER, flags=4 | 16)
    for block in (BLOCK, 100):
        (found,) = look_at(tmp_path, in_time(first.frames, refused.frames), block=block)
        assert len(found.packets) == len(first.frames)


def test_too_much_leaves_the_middle_out(tmp_path: Path) -> None:
    talk = Conversation().open()
    for n in range(50):
        talk.ask(request(f"/n/{n}")).answer(response(b"x" * 300))
    talk.close()
    limits = Limits(packets=20, bytes=8_000, least_packets=10)
    (found,) = look_at(tmp_path, talk.frames, limits=limits)
    assert len(found.packets) == 20
    assert found.packets_left_out == len(talk.frames) - 20
    assert (found.packets[0].frame, found.packets[-1].frame) == (1, len(talk.frames))
    assert found.packets[-1].seq == 2 + sum(len(request(f"/n/{n}")) for n in range(50))
    assert 0 < len(found.messages) < 16
    assert found.messages_left_out == 100 - len(found.messages)
    assert found.messages[0].target == b"/n/0"
    assert found.messages[-2].target == b"/n/49"


def test_a_body_beyond_the_limit_is_not_kept(tmp_path: Path) -> None:
    talk = Conversation().open().ask(request("/big")).answer(response(b"x" * 3_000), 1_400)
    (found,) = look_at(tmp_path, talk.frames, limits=Limits(bytes=8_000))
    assert found.messages[1].body is None
    assert (found.messages[1].length, found.bodies_left_out) == (3_000, 1)


def test_outside_of_the_window_nothing_is_kept(tmp_path: Path) -> None:
    talk = Conversation().open().ask(request("/before")).answer(response(b"1"))
    talk.wait(SECOND).ask(request("/within")).answer(response(b"2")).wait(SECOND)
    talk.ask(request("/after")).answer(response(b"3")).close()
    window = {"since": START + SECOND, "until": START + 2 * SECOND}
    (found,) = look_at(tmp_path, talk.frames, **window)
    assert [m.target for m in found.messages if m.target] == [b"/within"]
    assert found.messages[0].seq == found.packets[0].seq == 1 + len(request("/before"))
    assert len(found.packets) == 4


def test_a_start_in_the_middle(tmp_path: Path) -> None:
    talk = Conversation().open(captured=False).ask(request("/mid")).answer(response(b"1"))
    (found,) = look_at(tmp_path, talk.frames)
    assert (found.packets[0].seq, found.packets[0].ack) == (1, 1)
    assert (found.messages[0].seq, found.messages[1].seq) == (1, 1)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("link_type", [1, RAW, COOKED2])
def test_headers_behind_any_link(tmp_path: Path, version: int, link_type: int) -> None:
    one, two = ("10.0.0.1", "10.0.0.2") if version == 4 else ("2001:db8::1", "2001:db8::2")
    talk = Conversation((one, 40_000), (two, 80))
    option = b"\x01\x01\x08\x0a" + struct.pack(">II", 77, 88)
    talk.send(CLIENT, flags=2, tcp_options=option)
    talk.send(CLIENT, request("/h"), tcp_options=option)
    talk.send(SERVER, response(b"1"))
    path = tmp_path / "built.pcap"
    path.write_bytes(
        pcap(talk.frames, link_type=link_type, vlans=() if link_type == RAW else (0x8100,))
    )
    (found,) = looked([path])
    assert [(p.ttl, p.stamp, p.echo) for p in found.packets] == [
        (64, 77, 88), (64, 77, 88), (64, None, None),
    ]  # fmt: skip
    assert {p.ip_id for p in found.packets} == ({1} if version == 4 else {None})


def test_cut_frames_have_no_headers_to_show(tmp_path: Path) -> None:
    talk = Conversation().open().ask(request("/cut")).answer(response(b"1"))
    path = tmp_path / "built.pcap"
    path.write_bytes(pcap(talk.frames, snaplen=70))
    found = looked([path])
    assert all(p.captured < p.length for c in found for p in c.packets if p.length)


def test_rotated_files_and_compression_make_no_difference(tmp_path: Path) -> None:
    source = recording("story-node12", "container")
    whole = looked([source])
    tiny = looked([source], block=1_000)
    assert tiny == whole
    talk = Conversation().open().ask(request("/a")).answer(response(b"1")).wait(SECOND)
    half = len(talk.frames)
    talk.ask(request("/b")).answer(response(b"2")).close()
    parts = [tmp_path / "x1.pcap.gz", tmp_path / "x2.pcap.gz"]
    parts[0].write_bytes(gzip.compress(pcap(talk.frames[:half])))
    parts[1].write_bytes(gzip.compress(pcap(talk.frames[half:])))
    (found,) = looked(parts)
    assert [m.target for m in found.messages if m.target] == [b"/a", b"/b"]
    assert {p.capture for p in found.packets} == {0, 1}


def test_standard_input_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = recording("story-node12", "container").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    spool = files.Spool()
    extraction, captures, interfaces = pipeline.extract(["-"], spool=spool)
    tables = pipeline._tables(extraction, captures, interfaces)
    wanted = wanted_of(tables.connections, tables.addresses, range(5))
    first = pipeline.look(captures, interfaces, wanted, spool=spool)
    again = pipeline.look(captures, interfaces, wanted, spool=spool)
    assert len(first) == 5 and first == again


def test_standard_input_without_room_for_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    data = recording("story-node12", "container").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    spool = files.Spool()
    extraction, captures, interfaces = pipeline.extract(["-"], spool=spool)
    assert extraction.exchanges.length and spool.lost
    tables = pipeline._tables(extraction, captures, interfaces)
    wanted = wanted_of(tables.connections, tables.addresses, range(5))
    assert pipeline.look(captures, interfaces, wanted, spool=spool) == {}


def test_a_capture_that_has_gone(tmp_path: Path) -> None:
    talk = Conversation().open().ask(request("/a")).answer(response(b"1"))
    path = tmp_path / "built.pcap"
    path.write_bytes(pcap(talk.frames))
    extraction, captures, interfaces = pipeline.extract([str(path)])
    tables = pipeline._tables(extraction, captures, interfaces)
    wanted = wanted_of(tables.connections, tables.addresses, [0])
    path.write_bytes(pcap([]))
    assert pipeline.look(captures, interfaces, wanted) == {}
    path.unlink()
    with pytest.raises(InputError):
        pipeline.look(captures, interfaces, wanted)


@pytest.mark.parametrize(
    ("scenario", "vantage"),
    [
        ("story-node12", "host-any"),
        ("double-answer-node20", "container"),
        ("port-reused-node22", "client1"),
    ],
)
def test_messages_are_the_exchanges_of_the_first_look(scenario: str, vantage: str) -> None:
    """On real traffic: what both looks say of every exchange is the same."""
    path = recording(scenario, vantage)
    extraction, captures, interfaces = pipeline.extract([str(path)])
    tables = pipeline._tables(extraction, captures, interfaces)
    wanted = wanted_of(tables.connections, tables.addresses, range(len(tables.connections)))
    found = pipeline.look(captures, interfaces, wanted)
    assert len(found) == len(tables.connections)
    told = set()
    for rows, targets in extraction.exchanges.chunks():
        for row, target in zip(rows, targets, strict=True):
            told.add(
                (
                    int(row["connection"]), target, int(row["request_frame"]), int(row["status"]),
                    int(row["response_frame"]), int(row["response_end_frame"]),
                    int(row["response_length"]), int(row["outcome"]), int(row["request_seq"]),
                )
            )  # fmt: skip
    again = set()
    for number, look in found.items():
        for which in {m.exchange for m in look.messages}:
            sides: list[Any] = [None, None]
            for message in look.messages:
                if message.exchange == which:
                    sides[message.side] = message
            asked, answered = sides
            again.add(
                (
                    number,
                    asked.target if asked else b"",
                    asked.frame if asked else 0,
                    answered.status if answered else 0,
                    answered.frame if answered else 0,
                    answered.end_frame if answered else 0,
                    answered.length if answered else 0,
                    int((asked or answered).outcome),
                    advance(look.bases[CLIENT], asked.seq) if asked else 0,
                )
            )
    assert again == told


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
@pytest.mark.parametrize("vantage", ["container", "client1"])
def test_packets_are_those_that_tshark_shows(tmp_path: Path, vantage: str) -> None:
    path = recording("answer-lost-node22", vantage)
    names = ["frame.number", "tcp.seq", "tcp.ack", "tcp.len", "ip.ttl", "ip.id",
             "tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr", "eth.src", "eth.dst",
             "tcp.flags"]  # fmt: skip
    command = [str(TSHARK), "-r", str(path), "-n", "-Y", "tcp", "-T", "fields"]
    command += [part for name in names for part in ("-e", name)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = {}
    for line in out.splitlines():
        frame, seq, ack, size, ttl, ip_id, stamp, echo, source, target, flags = line.split("\t")
        theirs[int(frame)] = (
            int(seq), int(ack), int(size), int(ttl), int(ip_id, 16), int(stamp or -1),
            int(echo or -1), source, target, int(flags, 16) & 0xFF,
        )  # fmt: skip
    ours = {
        p.frame: (
            p.seq, p.ack, p.length, p.ttl, p.ip_id, -1 if p.stamp is None else p.stamp,
            -1 if p.echo is None else p.echo, p.source_mac, p.target_mac, p.flags,
        )
        for c in looked([path])
        for p in c.packets
    }  # fmt: skip
    assert len(ours) > 100
    assert {n: theirs[n] for n in ours} == ours


def test_hostile_frames_end_in_numbers_not_errors(tmp_path: Path) -> None:
    """Options that lie, acks from nowhere, numbers that jump: a look at all of them."""
    talk = Conversation().open().ask(request("/a"))
    for n in range(300):
        talk.send(CLIENT, b"x", seq=(n * 0x1357_9BDF) & 0xFFFFFFFF)
        talk.send(SERVER, flags=16, ack=(n * 0x0246_8ACE) & 0xFFFFFFFF)
    talk.send(CLIENT, b"y", tcp_options=b"\x08\xff\x00\x00")
    talk.send(SERVER, b"y", tcp_options=b"\x08\x01\x02\x00", flags=FIN | 16)
    (found,) = look_at(tmp_path, talk.frames)
    assert len(found.packets) == len(talk.frames)


def test_the_client_may_have_the_higher_address(tmp_path: Path) -> None:
    talk = Conversation(("10.0.0.9", 50_000), ("10.0.0.2", 80)).open()
    talk.ask(request("/a")).answer(response(b"1"))
    (found,) = look_at(tmp_path, talk.frames)
    assert [m.side for m in found.messages] == [CLIENT, SERVER]
    assert found.packets[0].side == CLIENT
